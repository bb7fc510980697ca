"""FAULT 9: a reload happens as a whole or not at all, whatever fails in the middle of it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from proxy.config import load
from proxy.oci.faults import Unavailable
from proxy.server.running import Running, open_running
from proxy.web.logs import open_log

CONFIG = """
version: 1
server: {{listen: 127.0.0.1:0, public_urls: [http://registry.example.com]}}
admin: {{listen: 127.0.0.1:0}}
upstreams: [{{name: registry, url: "http://127.0.0.1:9"}}]
trust: {{vendor: {{public_key: {key}}}}}
policies: [{{repositories: ["**"], contact: {contact}, pull: {{require: [{{signed_by: [vendor]}}]}}}}]
"""


@dataclass
class World:
    """A proxy that is ready to serve, and the file it was configured by."""

    running: Running
    path: Path

    def write(self, key: str, contact: str) -> None:
        self.path.write_text(CONFIG.format(key=key, contact=contact))

    def in_force(self) -> tuple[str, str]:
        ports = self.running.ports
        return ports.rules.current().revision, ports.keybook.ring().revision


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    for name in ("one", "two"):
        public = ec.generate_private_key(ec.SECP256R1()).public_key()
        (tmp_path / f"{name}.pem").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    path = tmp_path / "countersign.yaml"
    path.write_text(CONFIG.format(key="one.pem", contact="first"))
    async with AsyncExitStack() as stack:
        log = open_log(io.StringIO(), as_json=True)
        yield World(await open_running(load(path), log, stack), path)


async def test_keys_and_policies_change_between_two_requests(world: World) -> None:
    before, seen = world.in_force(), list[tuple[str, str]]()
    world.write("two.pem", "second")
    reloading = asyncio.create_task(world.running.reload())
    while not reloading.done():
        seen.append(world.in_force())
        await asyncio.sleep(0)
    after = world.in_force()
    assert await reloading is None
    assert before[0] != after[0]
    assert before[1] != after[1]
    assert set(seen) <= {before, after}


@pytest.mark.parametrize("step", ["keep_revision", "record", "trust"])
async def test_a_store_that_fails_on_the_way_changes_nothing(
    world: World, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, settings = world.in_force(), world.running.settings
    world.write("two.pem", "second")

    async def fails(*_given: object) -> None:
        raise Unavailable("store: database or disk is full")

    store = world.running.store
    with monkeypatch.context() as broken:
        broken.setattr(store.keybook if step == "trust" else store.journal, step, fails)
        assert await world.running.reload() == "store: database or disk is full"
    assert world.in_force() == before
    assert world.running.settings is settings
    assert "not reloaded" in world.running.problems()[0].what
    assert await world.running.reload() is None
    assert world.in_force()[0] != before[0]
    assert world.running.problems() == []


async def test_work_beside_requests_does_not_keep_the_process(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.server.running.LATER_S", 0.1)
    world.running.ports.cache.later(asyncio.sleep(60))
    async with asyncio.timeout(5):
        assert await world.running.leave() == 0
