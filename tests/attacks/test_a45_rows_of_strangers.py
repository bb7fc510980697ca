"""ATTACK 45: nobody makes the journal grow: strangers are counted by address and hour, refusals within a bound."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.journal.event import Event, EventKind
from proxy.oci import operation as o
from proxy.oci.faults import Fault
from proxy.oci.limits import Limits
from proxy.oci.reference import Digest, parse_reference, parse_repository
from proxy.registry.cache import Cache, Rows
from proxy.registry.handle import handle
from proxy.registry.ports.upstream import Credential
from proxy.registry.reading.rights import UpstreamRights
from proxy.registry.request import Request, Response
from proxy.trust.policy import Policy, PushRules
from tests.worlds.conversation import SIGN, World, world
from tests.worlds.images import image
from tests.worlds.memory import NOON, FrozenClock
from tests.worlds.registry import Access, MemoryRegistry, basic

APP = image("app")
USERS = {"alice": "secret", "bob": "hunter2"}
ALICE, BOB = Credential(basic("alice", "secret")), Credential(basic("bob", "hunter2"))
STRANGERS = [Credential(), Credential(basic("mallory", "x")), Credential("Bearer junk")]
JUNK = b'{"a":1,"a":2}'


class NoTokens:
    """No token was ever issued through us."""

    def name_of(self, token: str) -> str | None:
        del token
        return None

    def ends(self, token: str) -> float | None:
        del token
        return None


async def _once(body: bytes) -> object:
    yield body


def sent(by: Credential, body: bytes = b"", network: str = "192.0.2.1", kind: str = APP.media_type) -> Request:
    return Request(by, "r", (("content-type", kind),), _once(body), len(body), address=network, network=network)  # type: ignore[arg-type]


async def guarded(*policies: Policy, limits: Limits | None = None, access: Access | None = None) -> World:
    registry = MemoryRegistry(access=access or Access("htpasswd", USERS, pushers=frozenset({"alice", "bob"})))
    bounds = limits or Limits(rows_each=5)
    rights = UpstreamRights(registry, NoTokens(), FrozenClock(), bounds)
    return await world(*policies, registry=registry, rights=rights, limits=bounds)


async def tried(w: World, op: o.Operation, request: Request) -> Response | None:
    try:
        return await handle(op, request, w.ports)
    except Fault as fault:  # upstream's refusal of our own look, in its words
        return Response(fault.status, ()) if fault.status in (401, 403) else None


def put(n: int) -> o.PushManifest:
    return o.PushManifest(parse_repository(f"team/r{n}"), parse_reference(f"t{n}"))


async def test_strangers_are_one_row_for_each_address_and_hour_without_what_they_asked() -> None:
    w = await guarded()
    for n in range(40):
        for by in STRANGERS:
            for body in (JUNK, b"", APP.body):
                answer = await tried(w, put(n), sent(by, body, f"192.0.2.{n % 2}"))
                assert answer is not None
                assert answer.status == 401
    assert [(e.kind, e.how, e.reason, e.detail["count"]) for e in w.store.journal.events] == [
        (EventKind.TURNED_AWAY, "address 192.0.2.0", "401", 180),
        (EventKind.TURNED_AWAY, "address 192.0.2.1", "401", 180),
    ]
    assert "team/" not in repr(w.store.journal.events)
    assert not w.store.journal.decisions
    w.store.clock.advance(3600)
    await tried(w, put(0), sent(Credential(), JUNK))
    assert len(w.store.journal.events) == 3


async def test_many_addresses_are_counted_together_beyond_a_bound() -> None:
    w = await guarded()
    for n in range(50):
        await tried(w, put(n), sent(Credential(), JUNK, f"2001:db8:0:{n:x}::/64"))
    hows = [e.how for e in w.store.journal.events]
    assert len(hows) == 6
    assert hows[-1] == "other addresses"
    assert w.store.journal.events[-1].detail["count"] == 45


@pytest.mark.parametrize("by", STRANGERS)
async def test_neither_deletions_uploads_nor_pulls_of_strangers_leave_a_row(by: Credential) -> None:
    w = await guarded(Policy(("**",), PushRules(("release",), allow=("alice",)), SIGN.pull))
    repository = parse_repository("team/app")
    operations: list[o.Operation] = [
        o.DeleteManifest(repository, parse_reference("v1")),
        o.DeleteManifest(repository, APP.digest),
        o.DeleteBlob(repository, APP.digest),
        o.StartUpload(repository),
        o.StartUpload(repository, None, Digest(APP.digest), parse_repository("team/other")),
        o.UploadChunk(repository, "s", ()),
        o.PullManifest(repository, parse_reference("v1")),
        o.PullManifest(repository, APP.digest, head=True),
        o.PullBlob(repository, APP.digest),
        o.ListTags(repository),
        o.ListReferrers(repository, APP.digest),
    ]
    for op in operations:
        answer = await tried(w, op, Request(by, "r", address="192.0.2.1", network="192.0.2.1"))
        assert answer is not None, op
        assert answer.status in (401, 403), op
    assert not w.store.journal.events
    assert not w.store.journal.decisions


async def test_malformed_pushes_of_who_is_let_in_are_one_row() -> None:
    w = await guarded()
    op = put(1)
    for n in range(30):
        await tried(w, replace(op, reference=parse_reference(f"t{n}")), sent(ALICE, JUNK))
    (row,) = w.store.journal.events
    assert (row.kind, row.repository, row.detail["count"]) == (EventKind.PUSH_DENIED, "team/r1", 30)


async def test_refusals_of_one_caller_have_a_bound_and_are_counted_beyond_it() -> None:
    w = await guarded(Policy(("**",), PushRules(("release",), allow=("alice",)), SIGN.pull))
    for n in range(40):
        await tried(w, put(n), sent(BOB, image(f"i{n}").body))
    rows = w.store.journal.events
    assert len(rows) == 6
    assert (rows[-1].who, rows[-1].repository, rows[-1].reference, rows[-1].decision_id) == ("bob", "", "", "")
    assert rows[-1].detail["count"] == 35
    assert len(w.store.journal.decisions) == 5
    await tried(w, o.PushManifest(parse_repository("x"), parse_reference("v1")), sent(ALICE, JUNK))
    assert w.store.journal.events[-1].repository == "x"  # others have rows of their own


async def test_while_upstream_is_silent_all_who_are_unknown_share_one_bound() -> None:
    w = await guarded()
    w.registry.fail(o.PullManifest, 0, times=1_000)
    w.registry.fail(o.CheckApi, 0, times=1_000)
    for n in range(40):
        op = o.PullManifest(parse_repository(f"team/r{n}"), parse_reference("v1"))
        await tried(w, op, Request(STRANGERS[n % 3], "r", address=f"192.0.2.{n}", network=f"192.0.2.{n}"))
    assert len(w.store.journal.events) == 6
    assert len(w.store.journal.decisions) == 5


def test_rows_are_told_apart_for_an_hour() -> None:
    rows = Rows(2)

    def event(n: int) -> Event:
        return Event(NOON, EventKind.PUSH_DENIED, repository=f"r{n}")

    assert [rows.own("a", event(n)) for n in (1, 2, 3, 1, 2)] == [True, True, False, True, True]
    assert rows.own("b", event(3))
    later = event(3)._replace(at=NOON.replace(hour=13))
    assert rows.own("a", later)
    assert Cache(Limits(rows_each=1), lambda: 0.0).rows.own("a", event(1))
