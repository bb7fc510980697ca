"""What a running proxy refuses, says and adds by itself; serving and reloading are in tests/faults."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from proxy import config
from proxy.journal.event import EventKind
from proxy.journal.port import Search
from proxy.oci.faults import Fault
from proxy.oci.operation import CheckApi
from proxy.policies.in_force import Taken
from proxy.policies.revision import Change
from proxy.registry.ports.upstream import Credential
from proxy.registry.request import Request
from proxy.server.running import Running, open_running
from proxy.trust.actor import Actor
from proxy.web.logs import open_log
from tests.unit.config.test_settings import MINIMAL
from tests.worlds.registry import MemoryRegistry, Said, Seen

ERIKA = Actor("erika", "socket", "r")
TWO_NAMES = MINIMAL.replace("[https://registry.example.com/]", "[https://registry.example.com, http://10.0.0.7:5000]")


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """A proxy that listens nowhere, in front of a registry in memory."""
    (tmp_path / "countersign.yaml").write_text(TWO_NAMES)
    async with AsyncExitStack() as stack:
        log = open_log(io.StringIO(), as_json=True)
        made = await open_running(config.load(tmp_path / "countersign.yaml"), log, stack)
        made.ports = replace(made.ports, registry=MemoryRegistry())
        yield made


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("10.0.0.7:5000", "http://10.0.0.7:5000"),
        ("registry.example.com", "https://registry.example.com"),
        ("evil.example", "https://registry.example.com"),
    ],
)
async def test_a_login_is_asked_for_under_the_name_that_was_used_if_it_is_ours(
    running: Running, host: str, url: str
) -> None:
    registry = running.ports.registry
    assert isinstance(registry, MemoryRegistry)
    challenge = ("www-authenticate", 'Bearer realm="http://127.0.0.1:5999/auth",service="registry"')
    registry.hooks.append(lambda _: Said(401, (challenge,)))
    answer = await running._handle(CheckApi(), Request(Credential(), "r", (("host", host),)))
    (value,) = [value for name, value in answer.headers if name == "www-authenticate"]
    assert value.startswith(f'Bearer realm="{url}/-/token"')


async def test_a_refusal_on_the_way_asks_for_a_login_with_us_too(running: Running) -> None:
    def refuse(_: Seen) -> Said:
        theirs = 'Bearer realm="http://127.0.0.1:5999/auth",service="registry"'
        raise Fault("UNAUTHORIZED", "log in", headers={"WWW-Authenticate": theirs})

    registry = running.ports.registry
    assert isinstance(registry, MemoryRegistry)
    registry.hooks.append(refuse)
    with pytest.raises(Fault) as refused:
        await running._handle(CheckApi(), Request(Credential(), "r"))
    assert refused.value.headers["WWW-Authenticate"].startswith('Bearer realm="https://registry.example.com/-/token"')


async def test_a_new_proxy_has_no_problems_and_a_broken_file_is_one_until_it_is_mended(running: Running) -> None:
    assert running.problems() == []
    path = running.settings.path
    path.write_text("version: 1\n")
    why = await running.reload()
    assert why is not None
    (problem,) = running.problems()
    assert why in problem.what
    assert problem.next == f"countersign config validate --config {path}"
    assert problem.since
    path.write_text(TWO_NAMES + "# mended\n")
    assert await running.reload() is None
    assert running.problems() == []
    kinds = [event.kind for event in await running.store.journal.search(Search())]
    assert kinds.count(EventKind.CONFIG_REFUSED) == 1
    assert kinds.count(EventKind.CONFIG_LOADED) == 2


async def test_leaving_is_what_readiness_tells(running: Running) -> None:
    assert running._obstacle() is None
    running.leaving.set()
    assert running._obstacle() == "leaving"


async def test_a_reload_leaves_revisions_in_force_and_says_so(tmp_path: Path) -> None:
    path, log = tmp_path / "countersign.yaml", io.StringIO()
    by_api = TWO_NAMES + "policies_from: api\npolicies: [{repositories: [a]}]\n"
    path.write_text(by_api)
    async with AsyncExitStack() as stack:
        running = await open_running(config.load(path), open_log(log, as_json=True), stack)
        path.write_text(by_api.replace("[a]", "[b]"))
        assert await running.reload() is None
        (policy,) = running.ports.rules.current().policies
        assert policy.repositories == ("a",)
        assert "revision 1 of the policies" in log.getvalue()
        assert "is another matter, and not in force" in log.getvalue()
        path.write_text(by_api.replace("[a]", "[b]").replace("api", "file"))
        assert await running.reload() is None
        (policy,) = running.ports.rules.current().policies
        assert policy.repositories == ("b",)
        assert running.policies.source == {"policies_from": "file"}
        path.write_text(by_api)
        assert await running.reload() is None
        assert running.policies.source == {"policies_from": "api", "policies_number": 1}


async def test_a_request_under_way_sees_the_names_of_a_reload(running: Running) -> None:
    under_way, path = running.ports, running.settings.path
    assert under_way.hosts_now() == under_way.hosts
    path.write_text(path.read_text().replace("http://10.0.0.7:5000", "http://10.0.0.8:5000"))
    assert await running.reload() is None
    assert under_way.hosts != running.ports.hosts
    assert under_way.hosts_now() == running.ports.hosts


async def test_a_reload_puts_no_policies_back_that_were_replaced_while_it_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "countersign.yaml"
    path.write_text(TWO_NAMES + "policies_from: api\npolicies: [{repositories: [a]}]\n")
    async with AsyncExitStack() as stack:
        running = await open_running(config.load(path), open_log(io.StringIO(), as_json=True), stack)
        policies = running.policies
        taken, reads = policies.taken, []

        async def slow(settings: config.Settings) -> Taken:
            found = await taken(settings)
            reads.append(found)
            if len(reads) == 1:
                assert not policies.lock.locked()
                await policies.change(Change("policies: [{repositories: [b]}]\n", "p", 1, ERIKA))
            return found

        monkeypatch.setattr(policies, "taken", slow)
        assert await running.reload() is None
        (policy,) = running.ports.rules.current().policies
        assert policy.repositories == ("b",)
        assert len(reads) == 2
