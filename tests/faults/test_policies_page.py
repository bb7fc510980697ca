"""What docs/policies.md tells people to type, typed as written, at a real token and a real registry."""

from __future__ import annotations

import re
import shlex
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.cli.exits import Exit
from tests.faults.caller import caller, image
from tests.faults.served import Served, served
from tests.interop.countersign import PROGRAM
from tests.interop.peers import Ran, run
from tests.interop.registries import docker_registry
from tests.test_docs_pages import ROOT, calls

pytestmark = pytest.mark.real
PAGE = ROOT / "docs" / "policies.md"
REPOSITORY = "team/app"


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Served]:
    with docker_registry(tmp_path / "upstream") as upstream, served(tmp_path / "proxy", upstream) as made:
        text = made.config.read_text().replace("\npolicies:", "\npolicies_from: api\npolicies:")
        assert "mode: enforce" in text
        made.config.write_text(text.replace("mode: enforce", "mode: warn"))
        made.start()
        yield made


def section(heading: str) -> list[list[str]]:
    (found,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line for line in str(found).splitlines() if line.startswith("    countersign")]
    assert lines
    return calls("\n".join(lines))


def typed(proxy: Served, words: list[str], status: int = 0) -> Ran:
    """What the page says, in the folder of the configuration; whoever is asked says yes."""
    said, into = (words[: words.index(">")], words[-1]) if ">" in words else (words, None)
    if said[1] in ("apply", "revert") and "--yes" not in said:
        said = [*said, "--yes"]
    there = [str(proxy.folder / word) if word.endswith(".yaml") else word for word in said]
    ran = run(PROGRAM, *there, "--config", proxy.config)
    assert ran.status == status, f"{shlex.join(said)}: {ran.output}"
    if into is not None:
        (proxy.folder / into).write_text(ran.stdout)
    return ran


async def test_each_section_does_what_it_says(proxy: Served) -> None:
    file = proxy.folder / "policies.yaml"
    async with caller(proxy.host) as client:
        direct = client.at(proxy.upstream.host)
        await direct.furnish(REPOSITORY)
        assert (await direct.push(REPOSITORY, "1", image())).status == 201
        assert (await client.push(REPOSITORY, "2", image())).status == 201

        async def pulled(tag: str) -> int:
            return (await client.pull(REPOSITORY, tag)).status

        assert (await pulled("1"), await pulled("2")) == (200, 200)

        show, lint, test, plan, apply, history, diff = section("Make a change")
        typed(proxy, show)
        assert "mode: warn" in file.read_text()
        text = file.read_text().replace("mode: warn", "mode: enforce")
        file.write_text(text.replace('# contact: "#platform-help"', 'contact: "#platform-help"'))
        typed(proxy, lint, 0)
        assert "unsigned" in typed(proxy, test, 1).stdout
        told = typed(proxy, plan, Exit.NEWLY_BLOCKED)
        assert "1 newly blocked" in told.stdout
        assert f"{REPOSITORY}:1" in told.stdout
        assert '+ pull.mode: "enforce"' in told.stdout
        assert (await pulled("1")) == 200
        assert "revision 2 is in force" in typed(proxy, apply).stdout
        assert (await pulled("1"), await pulled("2")) == (403, 200)
        assert "partners sign too" in typed(proxy, history).stdout
        assert '- pull.mode: "warn"' in typed(proxy, diff).stdout
        assert "revision 2, by the API" in proxy("status").stdout

        for words in section("In git"):
            typed(proxy, words)

        history, revert = section("Roll back")
        typed(proxy, history)
        assert "revision 3 is in force" in typed(proxy, revert).stdout
        assert (await pulled("1")) == 200

        proxy.signal(1)
        proxy.until(
            lambda: "config.loaded" in str(proxy.rows("SELECT kind FROM journal ORDER BY position DESC LIMIT 2")),
            "reloaded",
        )
        assert "revision 3, by the API" in proxy("status").stdout
        assert (await pulled("1")) == 200


def loads(proxy: Served) -> int:
    return len(proxy.rows("SELECT 1 FROM journal WHERE kind = 'config.loaded'"))


def test_a_revision_that_was_altered_is_not_served_and_another_one_can_be_put_in_force(proxy: Served) -> None:
    (revert,) = section("When a server does not start")
    proxy.leave()
    with sqlite3.connect(proxy.folder / "countersign.db") as store:
        store.execute("UPDATE policy_revisions SET body = replace(body, 'warn', 'off')")
    store.close()
    refused = run(PROGRAM, "serve", "--config", proxy.config)
    assert refused.status == 3
    assert "was altered in the store" in refused.output
    assert "policy revert NUMBER --offline" in refused.output
    assert "was altered" in typed(proxy, revert, 3).output
    sound = proxy.folder / "policies.yaml"
    rules = "push: {sign_with: [release]}, pull: {require: [{signed_by: [release]}]}"
    sound.write_text(f"policies: [{{repositories: ['**'], {rules}}}]")
    typed(proxy, ["policy", "apply", "policies.yaml", "--offline", "--reason", "mended"])
    proxy.start()
    assert "revision 2, by the API" in proxy("status").stdout


def test_a_name_that_is_gone_is_refused_at_the_start_and_at_a_reload(proxy: Served) -> None:
    (revert,) = section("When a server does not start")

    def without(settings: dict[str, Any]) -> None:
        settings["trust"] = {}

    def partner(settings: dict[str, Any]) -> None:
        settings["trust"] = {"partner": {"public_key": (proxy.folder / "keys" / "attestation.pub").read_text()}}

    proxy.edit(partner)
    proxy.signal(1)
    proxy.until(lambda: loads(proxy) > 1, "reloaded")
    file = proxy.folder / "policies.yaml"
    file.write_text(proxy("policy", "show").stdout.replace("signed_by: [release]", "signed_by: [release, partner]"))
    typed(proxy, ["policy", "apply", "policies.yaml", "--reason", "r"])
    proxy.edit(without)
    proxy.signal(1)
    proxy.until(proxy.problems, "the reload is refused")
    (problem,) = proxy.problems()
    assert "found partner" in problem["what"]
    assert "revision 2 of the policies" in problem["what"]
    proxy.leave()
    refused = run(PROGRAM, "serve", "--config", proxy.config)
    assert refused.status == 3
    assert "found partner" in refused.output
    typed(proxy, revert)
    proxy.start()
    assert "revision 3, by the API" in proxy("status").stdout
