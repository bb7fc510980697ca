"""Whatever is asked of the registry API is answered through the proxy as directly, but for what the table explains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from tests.interop.countersign import Proxy, countersign
from tests.interop.differential.difference import CLOSED, DEBIAN
from tests.interop.differential.reads import ALICE, ORIGIN, READS, TAKES, every_caller, places, preflights
from tests.interop.differential.seeded import policies, reading, writing
from tests.interop.differential.sides import differences
from tests.interop.differential.table import unexplained
from tests.interop.differential.writes import WRITES
from tests.interop.handmade import Handmade
from tests.interop.registries import Registry, distribution, docker_registry, passwords
from tests.interop.shared import UPSTREAMS

SHOWN = 40
Starter = Callable[..., AbstractContextManager[Registry]]


@pytest.fixture(scope="module", params=list(UPSTREAMS))
def proxy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Proxy]]:
    """The kind of a registry, and the proxy in front of it."""
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as running:
        upstream = running.enter_context(UPSTREAMS[request.param](folder / "upstream"))
        yield request.param, running.enter_context(countersign(folder / "proxy", upstream, policies))


def test_what_is_answered_differently_is_in_the_table_and_the_table_has_nothing_else(proxy: tuple[str, Proxy]) -> None:
    kind, running = proxy
    direct, through = reading(running)
    for side in (direct, through):
        for read in READS:
            read(side)
        side.line.close()
    found = list(differences(direct, through))
    for write in WRITES:
        direct, through = writing(running, write.__name__.replace("_", "-"))
        for side in (direct, through):
            write(side)
            side.line.close()
        found += differences(direct, through)
    left, needless = unexplained(found, kind)
    assert not left, f"{len(left)} differences are explained nowhere:\n" + "\n".join(left[:SHOWN])
    assert not needless, "the table explains what is no difference any more:\n" + "\n".join(needless)


def test_who_is_let_in_and_how_the_others_are_told_is_the_registrys_to_say(tmp_path: Path) -> None:
    auth = passwords(tmp_path / "auth", {"alice": "secret"})
    with ExitStack() as all_of_it:
        upstream = all_of_it.enter_context(docker_registry(tmp_path / "upstream", auth=auth))
        running = all_of_it.enter_context(countersign(tmp_path / "proxy", upstream))
        direct, through = reading(running, dict([ALICE]))
        for side in (direct, through):
            every_caller(side)
            side.line.close()
    left, needless = unexplained(differences(direct, through), CLOSED, like=DEBIAN)
    assert not left, "\n".join(left[:SHOWN])
    assert not needless, "\n".join(needless)


PAGES = {  # as the documentation of distribution has it, for pages that show what is in a registry
    "Access-Control-Allow-Origin": ["http://ui.example"],
    "Access-Control-Allow-Methods": ["HEAD", "GET", "OPTIONS", "DELETE"],
    "Access-Control-Allow-Headers": ["Authorization", "Accept"],
    "Access-Control-Expose-Headers": ["Docker-Content-Digest"],
}


@pytest.mark.parametrize("start", [docker_registry, distribution])
def test_pages_of_another_origin_read_whatever_upstream_lets_them_read(start: Starter, tmp_path: Path) -> None:
    extra = {"http": {"addr": "127.0.0.1:0", "headers": PAGES}}
    with start(tmp_path / "upstream", extra=extra) as upstream, countersign(tmp_path / "proxy", upstream) as running:
        direct, through = reading(running)
        Handmade(upstream.host, direct.repository).image("unsigned", "unsigned")
        for side in (direct, through):
            preflights(side)
            for place, target in {**places(side), "unsigned": f"/v2/{side.repository}/manifests/unsigned"}.items():
                side.ask(f"GET {place}", "GET", target, (*TAKES, ORIGIN))
            side.line.close()
    assert through.heard["GET unsigned"].status == 403
    for name, heard in direct.heard.items():
        said = {header: value for header, value in heard.headers.items() if header.startswith("access-control-")}
        ours = through.heard[name].headers
        if through.heard[name].status in {400, 405}:
            continue  # no operation: upstream is not asked what it says of this
        assert said or "referrers" in name, name
        assert {header: ours.get(header) for header in said} == said, name
        if name.startswith("preflight of GET") and "referrers" not in name:
            assert through.heard[name].status == heard.status, name
