"""What docs/operations-keys.md tells people to type, typed as written, at a real token and a real registry."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.config import load
from proxy.server.token_plans import tokens_plan
from proxy.tokens.setup import WantedKey, make_keys, token_settings
from tests.faults.caller import caller, digest_of, image
from tests.faults.pkcs11_fault.faulty import until
from tests.faults.served import Served, served
from tests.interop.peers import Ran, must, need
from tests.interop.registries import docker_registry
from tests.test_docs_pages import ROOT, calls

pytestmark = pytest.mark.real
PAGE = ROOT / "docs" / "operations-keys.md"
REPOSITORY = "team/app"


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Served]:
    with docker_registry(tmp_path / "upstream") as upstream, served(tmp_path / "proxy", upstream) as made:
        made.start()
        yield made
        assert made.leave() == 0


def section(heading: str) -> str:
    (found,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return str(found)


def typed(proxy: Served, heading: str, **filled: str) -> list[Ran]:
    """The commands in the section's code blocks, one after the other; each ends well. People would say yes."""
    lines = [line for line in section(heading).splitlines() if line.startswith("    countersign")]
    assert lines
    done = []
    for words in calls("\n".join(lines)):
        said = [filled.get(word, word) for word in words]
        asks = said[0] == "keys" and said[1] not in {"list", "images"} and not {"--dry-run", "--yes"} & set(said)
        ran = proxy(*said, *(["--yes"] if asks else []))
        assert ran.status == 0, f"{shlex.join(said)}: {ran.output}"
        done.append(ran)
    return done


def trusting_the_ledger(settings: dict[str, Any], *, trust: bool = True) -> None:
    settings["policies"][0]["pull"]["trust_ledger"] = trust


def in_state(proxy: Served, state: str) -> list[str]:
    keys = json.loads(proxy("keys", "list", "-o", "json").stdout)["keys"]
    return [k["fingerprint"] for k in keys if k["profile"] == "release" and k["state"] == state]


async def test_each_section_does_what_it_says(proxy: Served) -> None:
    (first,) = in_state(proxy, "active")
    async with caller(proxy.host) as client:
        await client.at(proxy.upstream.host).furnish(REPOSITORY)

        async def pulled(tag: str) -> int:
            return (await client.pull(REPOSITORY, tag)).status

        for tag in ("needed", "old"):
            assert (await client.push(REPOSITORY, tag, image())).status == 201
        shown, done, _ = typed(proxy, "Rotate")
        assert "sign every push from then on" in shown.stdout
        assert "-----BEGIN PUBLIC KEY-----" in done.stdout
        assert in_state(proxy, "trusted") == [first]
        (second,) = in_state(proxy, "active")
        assert (await client.push(REPOSITORY, "second", image())).status == 201

        heading = "Rotate when others must learn of the key first"
        prepared = proxy("keys", "prepare", "release", "--reason", "tried", "--yes")
        assert proxy("keys", "retire", in_state(proxy, "prepared")[0][:8], "--reason", "r", "--yes").status == 0
        assert "-----BEGIN PUBLIC KEY-----" in prepared.stdout
        shown, done = (proxy(*words, "--yes") for words in calls(section(heading)) if words[:2] == ["keys", "rotate"])
        assert "it verifies, and signs nothing before" in shown.stdout
        assert "it becomes active at" in done.stdout
        (ready,) = in_state(proxy, "prepared")
        (last,) = (words for words in calls(section(heading)) if words[:3] == ["keys", "activate", "KEY"])
        assert proxy(*[ready[:8] if word == "KEY" else word for word in last], "--yes").status == 0
        assert in_state(proxy, "active") == [ready]

        (done,) = typed(proxy, "Rotate and let both keys sign for a while")
        assert "it signs beside the active key until" in done.stdout
        (third,) = in_state(proxy, "active")
        body = image()
        assert (await client.push(REPOSITORY, "both", body)).status == 201
        by = proxy.rows("SELECT DISTINCT fingerprint FROM ledger WHERE digest = ?", digest_of(body))
        assert {key for (key,) in by} == {ready, third}
        assert proxy("keys", "retire", ready, "--reason", "over", "--yes").status == 0

        assert proxy("sign", f"{REPOSITORY}:needed", "--reason", "still needed").status == 0
        typed(proxy, "Retire", KEY=first[:8])
        assert (await pulled("needed"), await pulled("old")) == (200, 403)
        assert "key_retired" in proxy("why", f"{REPOSITORY}:old").stdout

        body = image()
        assert (await client.push(REPOSITORY, "third", body)).status == 201
        await asyncio.sleep(1)  # TIME is in whole seconds
        moment = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        typed(proxy, "A key is compromised", KEY=third, TIME=moment)
        assert (await pulled("third"), await pulled("second")) == (403, 200)
        proxy.edit(trusting_the_ledger)
        proxy.signal(signal.SIGHUP)
        await until(lambda: proxy("verify", f"{REPOSITORY}:third").status == 0)
        assert await pulled("third") == 200
        assert "our ledger has it from before the key was compromised" in proxy("why", f"{REPOSITORY}:third").stdout
        proxy.edit(lambda settings: trusting_the_ledger(settings, trust=False))
        proxy.signal(signal.SIGHUP)
        await until(lambda: proxy("verify", f"{REPOSITORY}:third").status == 1)
        why = proxy("why", f"{REPOSITORY}:third").stdout
        assert "key_compromised" in why
        assert third[:12] in why
        assert proxy("sign", f"{REPOSITORY}:third", "--reason", "rebuilt, same digest").status == 0
        assert await pulled("third") == 200
    assert in_state(proxy, "trusted") == [second]
    assert in_state(proxy, "compromised") == [third]


def test_what_is_to_happen_by_itself_is_put_into_force_by_a_reload(proxy: Served) -> None:
    heading = "Rotate on a schedule"
    (written,) = re.findall(r"```yaml\n(.*?)```", section(heading), re.DOTALL)
    wanted = yaml.safe_load(written)["keys"]["release"]
    assert proxy.metric("countersign_next_key_change_timestamp_seconds") == 0
    proxy.edit(lambda settings: settings["keys"].update(release=wanted))
    proxy.signal(signal.SIGHUP)
    proxy.until(lambda: proxy.metric("countersign_next_key_change_timestamp_seconds"), "nothing is set to happen")
    days = (proxy.metric("countersign_next_key_change_timestamp_seconds") - time.time()) / 86400
    assert 165 < days <= 166, "180 days, less the 14 in which it is published"
    (shown,) = typed(proxy, heading)
    assert "problems  none" in shown.stdout


def test_a_stray_key_is_deleted_as_the_page_says(proxy: Served) -> None:
    need("pkcs11-tool")
    assert proxy("keys", "list").status == 0
    proxy.leave()
    token, label = tokens_plan(load(proxy.config)).tokens["hsm"], "release-20260102-abcdef"
    stray = WantedKey(label, "ecdsa-p256", True)
    asyncio.run(make_keys(token_settings(token), [stray]))
    proxy.start()
    assert f"'{label}' on token hsm" in proxy("keys", "list").stdout
    proxy.leave()
    (written,) = re.findall(r"`(pkcs11-tool [^`]*--type privkey[^`]*)`", re.sub(r"\s+", " ", PAGE.read_text()))
    filled = {"PATH": token.module, "LABEL": str(token.label), "KEY-LABEL": label}
    words = [filled.get(word, word) for word in shlex.split(written)][1:]
    pin = ["--pin", (proxy.folder / "secrets" / "pin").read_text().strip()]
    for kind in ("privkey", "pubkey"):
        said = [kind if word == "privkey" else word for word in words]
        must("pkcs11-tool", *said, *pin, environment=dict(token.environment))
    proxy.start()
    assert proxy("keys", "list").status == 0
