"""While two keys overlap, who knows only the old one and who knows only the new one both verify, with real tools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.served import Served, served
from tests.interop.clients import Clients
from tests.interop.notary import Notation
from tests.interop.peers import need
from tests.interop.registries import docker_registry
from tests.interop.verifiers import Verifiers
from tests.interop.wire import manifest

pytestmark = [pytest.mark.real, pytest.mark.go]
EVERY = ["cosign-simple", "sigstore-bundle", "notation-jws", "notation-cose"]
BOTH, BEFORE, AFTER = "team/both", "team/before", "team/after"  # the same image in each, signed for each by itself
PUBLISHED_S = 15  # until then a busy machine has certified the new key and looked at status


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Served]:
    for tool in ("cosign", "cosign2", "containersimage", "notation", "crane"):
        need(tool)

    def formats(settings: dict[str, Any]) -> None:
        settings["policies"][0]["push"]["formats"] = EVERY

    with docker_registry(tmp_path / "upstream") as upstream, served(tmp_path / "proxy", upstream, formats) as made:
        made.start()
        yield made
        assert made.leave() == 0


def keys(proxy: Served, state: str) -> list[dict[str, Any]]:
    found = json.loads(proxy("keys", "list", "-o", "json").stdout)["keys"]
    return [key for key in found if key["profile"] == "release" and key["state"] == state]


def told(proxy: Served, *words: str) -> None:
    ran = proxy(*words, "--reason", "Tuesday", "--yes")
    assert ran.status == 0, ran.output


class Knowing:
    """Everybody who verifies elsewhere and has these keys and their certificates, and no others."""

    def __init__(self, proxy: Served, folder: Path, *known: dict[str, Any]) -> None:
        self.proxy = proxy
        files = [folder / f"{key['fingerprint'][:12]}.pub" for key in known]
        folder.mkdir(parents=True)
        for file, key in zip(files, known, strict=True):
            file.write_text(key["public_key"])
        self.each = [Verifiers(proxy.host, file, folder / file.stem) for file in files]
        policy = self.each[0].folder / "policy.json"
        told = json.loads(policy.read_text())
        told["transports"]["docker"][proxy.host][0]["keyPaths"] = [str(file) for file in files]
        policy.write_text(json.dumps(told))
        self.notation = Notation(folder / "notation")
        shown = [proxy("keys", "chain", "show", key["fingerprint"], "-o", "json").stdout for key in known]
        self.notation.trusts([], "*")
        store = next((folder / "notation").rglob("ca.pem"))
        store.write_text("".join(json.loads(each)["chain"] for each in shown))

    def say(self, repository: str) -> dict[str, bool]:
        """Who of them takes the image, by tag and by digest."""
        digest = manifest(self.proxy.host, repository, "1").headers["docker-content-digest"]
        names = [f"{repository}:1", f"{repository}@{digest}"]
        first = self.each[0]
        return {
            "cosign 3": all(any(v.cosign(name).status == 0 for v in self.each) for name in names),
            "cosign 2": all(any(v.cosign(name, version=2).status == 0 for v in self.each) for name in names),
            "containers/image": all(first.containers_image(name).status == 0 for name in names),
            "notation": all(self.notation.verify(f"{self.proxy.host}/{name}").status == 0 for name in names),
        }


def all_say(known: Knowing, repository: str, *, yes: bool) -> None:
    assert known.say(repository) == dict.fromkeys(("cosign 3", "cosign 2", "containers/image", "notation"), yes)


def certified(proxy: Served, key: dict[str, Any], name: str) -> dict[str, Any]:
    """The key, with a chain of one."""
    told(proxy, "keys", "self-signed", key["fingerprint"], "--subject", f"C=DE,ST=Berlin,O={name}")
    return key


def test_with_dual_sign_a_verifier_with_either_key_passes(proxy: Served, tmp_path: Path) -> None:
    clients = Clients(tmp_path / "clients", {})
    (old,) = keys(proxy, "active")
    certified(proxy, old, "Old")
    told(proxy, "keys", "prepare", "release")
    (new,) = keys(proxy, "prepared")
    certified(proxy, new, "New")
    told(proxy, "keys", "activate", new["fingerprint"], "--overlap", "dual-sign:1h", "--retire-after", "30d")
    (trusted,) = keys(proxy, "trusted")
    assert trusted["fingerprint"] == old["fingerprint"]
    assert trusted["signs_until"]
    assert trusted["retire_after"]
    assert clients.push("crane", "hello", f"{proxy.host}/{BOTH}:1").status == 0
    all_say(Knowing(proxy, tmp_path / "old", old), BOTH, yes=True)
    all_say(Knowing(proxy, tmp_path / "new", new), BOTH, yes=True)


def test_with_publish_first_nobody_who_learns_of_the_key_in_time_is_stopped(proxy: Served, tmp_path: Path) -> None:
    clients = Clients(tmp_path / "clients", {})
    (old,) = keys(proxy, "active")
    certified(proxy, old, "Old")
    assert clients.push("crane", "hello", f"{proxy.host}/{BEFORE}:1").status == 0
    told(proxy, "keys", "rotate", "release", "--overlap", f"publish-first:{PUBLISHED_S}s,dual-sign:1h")
    (new,) = keys(proxy, "prepared")
    assert new["activate_at"]
    certified(proxy, new, "New")
    soon = json.loads(proxy("status", "-o", "json").stdout)["soon"]
    assert [(each["what"], each["key"]) for each in soon] == [("activate", new["fingerprint"])]
    assert f"key {new['fingerprint'][:12]} of release begins to sign" in proxy("status").stdout
    assert proxy.metric("countersign_key_changes_announced") == 1
    proxy.until(lambda: keys(proxy, "active")[0]["fingerprint"] == new["fingerprint"], "it does not begin", 30)
    assert clients.push("crane", "hello", f"{proxy.host}/{AFTER}:1").status == 0
    knows_old, knows_both = Knowing(proxy, tmp_path / "old", old), Knowing(proxy, tmp_path / "both", old, new)
    knows_new = Knowing(proxy, tmp_path / "new", new)
    all_say(knows_old, BEFORE, yes=True)
    all_say(knows_both, BEFORE, yes=True)
    all_say(knows_new, BEFORE, yes=False)
    for known in (knows_old, knows_both, knows_new):
        all_say(known, AFTER, yes=True)
