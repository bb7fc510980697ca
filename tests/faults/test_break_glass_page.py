"""What docs/operations-break-glass.md tells people to type, typed as written, at a real token and a real registry."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.layouts import digest_of
from tests.faults.caller import Caller, Heard, caller, image
from tests.faults.pkcs11_fault.faulty import ALWAYS
from tests.faults.served import Served, served
from tests.interop.peers import Ran
from tests.interop.registries import docker_registry
from tests.test_docs_pages import ROOT, calls

pytestmark = pytest.mark.real
PAGE = ROOT / "docs" / "operations-break-glass.md"
REPOSITORY = "team/app"
SOON_S = 1.0


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Served]:
    with docker_registry(tmp_path / "upstream") as upstream, served(tmp_path / "proxy", upstream) as made:
        made.start()
        yield made
        assert made.leave() == 0


def written(heading: str) -> list[list[str]]:
    """The commands in the section's code blocks."""
    (found,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return calls("\n".join(line for line in str(found).splitlines() if line.startswith("    countersign")))


def typed(proxy: Served, words: list[str], status: int = 0, **filled: str) -> Ran:
    """What this command, as it stands on the page, did."""
    said = [filled.get(word, word) for word in words]
    ran = proxy(*said)
    assert ran.status == status, f"{shlex.join(said)}: {ran.output}"
    return ran


async def within_a_second(client: Caller, reference: str, status: int) -> Heard:
    """The answer to a pull, which has to be this within a second."""
    until = time.monotonic() + SOON_S
    while (heard := await client.pull(REPOSITORY, reference)).status != status:
        assert time.monotonic() < until, heard
    return heard


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[Served]:
    """Its token can be taken away."""
    with (
        docker_registry(tmp_path / "upstream") as upstream,
        served(tmp_path / "proxy", upstream, faulty=True) as made,
    ):
        made.start()
        yield made
        assert made.leave() == 0


async def test_pushing_while_the_hsm_is_gone_as_the_page_says(faulty: Served) -> None:
    open_it, listed = written("Push while the HSM is gone")
    async with caller(faulty.host) as client:
        await client.at(faulty.upstream.host).furnish(REPOSITORY)
        await client.at(faulty.upstream.host).furnish("other/app")
        assert (await client.push(REPOSITORY, "before", image("before"))).status == 201
        faulty.token.inject("gone", times=ALWAYS)
        refused = await client.push(REPOSITORY, "1", image("hotfix"))
        assert refused.status == 403
        assert "the signing device is unavailable" in refused.message
        typed(faulty, open_it)
        pushed = await client.push(REPOSITORY, "1", image("hotfix"))
        assert pushed.status == 201
        assert "not signed; let through by exception" in pushed.headers["warning"]
        assert (await client.push("other/app", "1", image("elsewhere"))).status == 403
        assert "NOT YET" in typed(faulty, listed, 1).stdout
        assert any("1 pushed without a signature" in problem["what"] for problem in faulty.problems())
        assert faulty.metric("countersign_unsigned_pushes") == 1
        assert "warning" in (await client.pull(REPOSITORY, "1")).headers
        (row,) = json.loads(faulty("exceptions", "list", "-o", "json").stdout)["exceptions"]
        assert faulty("exceptions", "close", row["id"], "--reason", "r").status == 0
        assert (await client.pull(REPOSITORY, "1")).status == 403
        faulty.token.heal("gone")
        faulty.until(lambda: faulty.metric("countersign_unsigned_pushes") == 0, "nobody signs what is owed", 60)
        assert "NOT YET" not in typed(faulty, listed).stdout
        heard = await client.pull(REPOSITORY, "1")
        assert heard.status == 200
        assert "warning" not in heard.headers
        assert "sign-owed" in faulty("jobs", "list").stdout
    kinds = [kind for (kind,) in faulty.rows("SELECT kind FROM journal WHERE kind LIKE 'push.%' ORDER BY position")]
    assert kinds[-1] == "push.settled"
    assert "push.unsigned" in kinds


async def test_denying_as_the_page_says(proxy: Served) -> None:
    dry, now, repository, shown, back = written("Deny an image or a repository")
    body = image("bad")
    digest = digest_of(body)
    async with caller(proxy.host) as client:
        await client.at(proxy.upstream.host).furnish(REPOSITORY)
        assert (await client.push(REPOSITORY, "1", body)).status == 201
        assert "block every pull and push of" in typed(proxy, dry, DIGEST=digest).stdout
        assert (await client.pull(REPOSITORY, "1")).status == 200
        typed(proxy, now, DIGEST=digest)
        for reference in ("1", digest):
            refused = await within_a_second(client, reference, 403)
            assert "denied by an operator" in refused.message
        assert (await client.push(REPOSITORY, "2", body)).status == 403
        typed(proxy, repository)
        listed = typed(proxy, shown).stdout
        assert "team/legacy/**" in listed
        assert "CVE-2026-4711 in its libssl" in proxy("why", f"{REPOSITORY}:1").stdout
        denials = json.loads(proxy("deny", "list", "-o", "json").stdout)["denials"]
        (denial,) = [row["id"] for row in denials if row["target"] == digest]
        proxy.leave()
        proxy.start()
        assert (await client.pull(REPOSITORY, "1")).status == 403, "a restart lifts nothing"
        typed(proxy, back, ID=denial)
        await within_a_second(client, "1", 200)


async def test_an_exception_as_the_page_says(proxy: Served) -> None:
    dry, now, shown, close = written("Open an exception")
    (review,) = written("Review it afterwards")
    body = image("unsigned")
    digest = digest_of(body)
    async with caller(proxy.host) as client:
        upstream = client.at(proxy.upstream.host)
        await upstream.furnish(REPOSITORY)
        assert (await upstream.push(REPOSITORY, "1", body)).status == 201
        assert (await client.pull(REPOSITORY, "1")).status == 403
        assert "show it in the Warning header" in typed(proxy, dry, DIGEST=digest).stdout
        assert (await client.pull(REPOSITORY, "1")).status == 403
        typed(proxy, now, DIGEST=digest)
        heard = await within_a_second(client, "1", 200)
        assert "is let through by exception" in heard.headers["warning"]
        assert "incident 4711" in typed(proxy, shown, 1).stdout
        (row,) = json.loads(proxy("exceptions", "list", "-o", "json").stdout)["exceptions"]
        assert any(row["id"] in problem["what"] for problem in proxy.problems())
        assert (proxy.metric("countersign_exceptions_open"), proxy.metric("countersign_excepted_pulls_total")) == (1, 1)
        assert "[NO] signed by release" in proxy("why", f"{REPOSITORY}:1").stdout
        typed(proxy, close, ID=row["id"])
        await within_a_second(client, "1", 403)
        (problem,) = proxy.problems()
        assert problem["what"].startswith(f"not reviewed: exception {row['id']}")
        typed(proxy, review, ID=row["id"])
        assert proxy.problems() == []
    kinds = [kind for (kind,) in proxy.rows("SELECT kind FROM journal WHERE kind LIKE '%except%' ORDER BY position")]
    assert kinds == ["exception.opened", "pull.excepted", "exception.closed", "exception.reviewed"]
