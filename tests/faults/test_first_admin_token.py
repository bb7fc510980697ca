"""A real server: the token that init wrote opens the admin API, also after a kill, and a revoked one never again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.served import Served, served
from tests.interop.countersign import PROGRAM
from tests.interop.peers import Ran, run
from tests.interop.registries import docker_registry

pytestmark = pytest.mark.real


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Served]:
    with docker_registry(tmp_path / "upstream") as upstream, served(tmp_path / "proxy", upstream) as made:
        yield made


def test_from_bootstrap_to_a_token_of_ones_own(proxy: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    first = (proxy.folder / "secrets" / "admin-token").read_text().strip()
    far = ("--server", f"http://{proxy.admin}")

    def tokens(*words: str, token: str) -> Ran:
        monkeypatch.setitem(os.environ, "COUNTERSIGN_TOKEN", token)
        return run(PROGRAM, "tokens", *words, *far)

    proxy.start()
    made = tokens("create", "erika", "--role", "key-admin", token=first)
    assert made.status == 0, made
    mine = made.stdout.strip()
    proxy.kill()
    proxy.start()
    listed = json.loads(tokens("list", "-o", "json", token=mine).stdout)["items"]
    assert [token["name"] for token in listed] == ["bootstrap", "erika"]
    refused = tokens("revoke", listed[0]["id"], token=mine)
    assert "only a holder of the role policy-admin" in refused.stderr
    assert proxy("tokens", "revoke", listed[0]["id"]).status == 0
    proxy.kill()
    proxy.start()
    gone = tokens("list", token=first)
    assert gone.status == 1
    assert "was revoked at" in gone.stderr, "the file is still there, and is not taken over again"
    assert tokens("list", token=mine).status == 0
    proxy.leave()
    kept = b"".join(path.read_bytes() for path in proxy.folder.iterdir() if path.is_file())
    for text in (first, mine):
        assert text.rpartition("_")[2].encode() not in kept, "neither in the store nor in the log"
