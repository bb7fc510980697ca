"""ATTACK 39: before upstream has let a caller in, no byte of a manifest is read, parsed or recorded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from proxy.journal.event import EventKind
from proxy.oci import operation as o
from proxy.oci.faults import Fault, Unavailable
from proxy.oci.limits import Limits
from proxy.oci.reference import parse_reference, parse_repository
from proxy.registry.handle import handle
from proxy.registry.ports.upstream import Credential
from proxy.registry.reading.rights import UpstreamRights
from proxy.registry.request import Request
from tests.worlds.conversation import World, world
from tests.worlds.images import image
from tests.worlds.memory import FrozenClock
from tests.worlds.registry import Access, MemoryRegistry, basic
from tests.worlds.rights import NoTokens

APP = image("app")
REPO = parse_repository("team/app")
USERS = {"alice": "secret", "reader": "secret"}
STRANGERS = {
    "no credentials": Credential(),
    "a made-up password": Credential(basic("alice", "guess")),
    "a made-up user": Credential(basic("mallory", "x")),
    "a made-up token": Credential("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9."),
    "another scheme": Credential("Negotiate YII="),
    "who may only read": Credential(basic("reader", "secret")),
}
PUTS = [
    o.PushManifest(REPO, parse_reference("v1")),
    o.PushManifest(REPO, APP.digest),
    o.PushManifest(REPO, parse_reference("sha256-" + "1" * 64 + ".sig")),
]


@dataclass
class Watched:
    """A body that notes whether somebody reads it."""

    data: bytes
    read: list[bytes] = field(default_factory=list)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.read.append(self.data)
        yield self.data


async def guarded() -> World:
    registry = MemoryRegistry(access=Access("htpasswd", USERS, pushers=frozenset({"alice"})))
    return await world(registry=registry, rights=UpstreamRights(registry, NoTokens(), FrozenClock(), Limits()))


def put(op: o.PushManifest, by: Credential, body: Watched) -> Request:
    kind = (("content-type", APP.media_type),)
    return Request(by, "r", kind, body, len(body.data), address="192.0.2.1", network="192.0.2.1")


@pytest.mark.parametrize("op", PUTS)
@pytest.mark.parametrize("who", STRANGERS)
@pytest.mark.parametrize("body", [APP.body, b'{"a":1,"a":2}', b"", b"[" * 100_000])
async def test_a_strangers_manifest_is_not_read(op: o.PushManifest, who: str, body: bytes) -> None:
    w, sent = await guarded(), Watched(body)
    answer = await handle(op, put(op, STRANGERS[who], sent), w.ports)
    assert answer.status == (403 if who == "who may only read" else 401)
    assert not sent.read
    assert [type(seen.operation) for seen in w.registry.seen] == [o.StartUpload]
    (row,) = w.store.journal.events
    assert (row.kind, row.repository, row.reference, row.detail) == (EventKind.TURNED_AWAY, "", "", {})
    assert not w.store.journal.decisions
    assert w.ports.cache.kept.used == 0
    assert not w.registry.uploads


async def test_the_demand_to_log_in_is_upstreams_own() -> None:
    w = await guarded()
    answer = await handle(PUTS[0], put(PUTS[0], Credential(), Watched(b"")), w.ports)
    assert dict(answer.headers)["www-authenticate"].lower().startswith("basic")


async def test_an_upstream_that_does_not_answer_lets_nobody_in() -> None:
    w, sent = await guarded(), Watched(APP.body)
    w.registry.fail(o.StartUpload, 503)
    with pytest.raises(Unavailable):
        await handle(PUTS[0], put(PUTS[0], Credential(basic("alice", "secret")), sent), w.ports)
    assert not sent.read
    assert not w.store.journal.events


async def test_a_push_after_an_upload_costs_no_question() -> None:
    w = await guarded()
    alice = Credential(basic("alice", "secret"))
    request = Request(alice, "r", network="192.0.2.1")
    await handle(o.StartUpload(REPO), request, w.ports)
    for blob in APP.blobs:
        w.registry.put_blob("team/app", blob)
    before = len(w.registry.seen)
    assert await w.ports.rights.let_in(REPO, alice) is None
    assert len(w.registry.seen) == before
    answer = await handle(PUTS[0], put(PUTS[0], alice, Watched(APP.body)), w.ports)
    assert answer.status == 201
    assert not w.registry.count(o.CancelUpload)


async def test_a_credential_that_upstream_refuses_is_asked_about_again() -> None:
    w = await guarded()
    alice = Credential(basic("alice", "secret"))
    w.ports.rights.confirm_push(REPO, alice)
    w.registry.access = Access("htpasswd", {})
    sent = Watched(APP.body)
    answer = await handle(PUTS[0], put(PUTS[0], alice, sent), w.ports)
    assert answer.status == 401
    again = Watched(APP.body)
    assert (await handle(PUTS[0], put(PUTS[0], alice, again), w.ports)).status == 401
    assert not again.read


async def test_on_an_open_registry_a_stranger_is_let_in_and_then_bounded() -> None:
    registry = MemoryRegistry()
    limits = Limits(kept_bytes=1_000, kept_grace_s=0.01)
    w = await world(
        registry=registry, rights=UpstreamRights(registry, NoTokens(), FrozenClock(), limits), limits=limits
    )
    sent = Watched(b" " * 2_000)
    with pytest.raises(Fault) as told:
        await handle(PUTS[0], put(PUTS[0], Credential(), sent), w.ports)
    assert told.value.status == 429
    assert not sent.read
