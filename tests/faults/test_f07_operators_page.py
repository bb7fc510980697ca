"""What docs/operations-keys.md tells people to type, typed as written, at a real token and a real registry."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proxy.config import load
from proxy.setup_token import WantedKey, make_keys, token_settings
from tests.faults.caller import caller, image
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
        asks = said[:2] != ["keys", "list"] and not {"--dry-run", "--yes"} & set(said)
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
        first_line, last_line = (words for words in calls(section(heading)) if "--yes" in words)
        assert proxy(*first_line).status == 0
        (third,) = in_state(proxy, "prepared")
        assert proxy(*[third[:8] if word == "KEY" else word for word in last_line]).status == 0
        assert in_state(proxy, "active") == [third]

        assert proxy("sign", f"{REPOSITORY}:needed", "--reason", "still needed").status == 0
        typed(proxy, "Retire", KEY=first[:8])
        assert (await pulled("needed"), await pulled("old")) == (200, 403)
        assert "key_retired" in proxy("why", f"{REPOSITORY}:old").stdout

        body = image()
        assert (await client.push(REPOSITORY, "third", body)).status == 201
        await asyncio.sleep(1)  # TIME is in whole seconds
        moment = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        typed(proxy, "A key is in other hands", KEY=third, TIME=moment)
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


def test_a_stray_key_is_deleted_as_the_page_says(proxy: Served) -> None:
    need("pkcs11-tool")
    assert proxy("keys", "list").status == 0
    proxy.leave()
    settings, label = load(proxy.config), "release-20260102-abcdef"
    entry = settings.tokens["hsm"]
    stray = WantedKey(label, "ecdsa-p256", True)
    asyncio.run(make_keys(token_settings("hsm", entry, settings.directory), [stray]))
    proxy.start()
    assert f"'{label}' on token hsm" in proxy("keys", "list").stdout
    proxy.leave()
    (written,) = re.findall(r"`(pkcs11-tool [^`]*--type privkey[^`]*)`", re.sub(r"\s+", " ", PAGE.read_text()))
    filled = {"PATH": str(entry.module), "LABEL": str(entry.label), "KEY-LABEL": label}
    words = [filled.get(word, word) for word in shlex.split(written)][1:]
    pin = ["--pin", (proxy.folder / "secrets" / "pin").read_text().strip()]
    for kind in ("privkey", "pubkey"):
        said = [kind if word == "privkey" else word for word in words]
        must("pkcs11-tool", *said, *pin, environment=entry.environment)
    proxy.start()
    assert proxy("keys", "list").status == 0
