"""ATTACK 28: what strangers can make the proxy keep, in memory and in the store, is bounded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest

from proxy.oci import operation as o
from proxy.oci.faults import Fault
from proxy.oci.limits import Limits
from proxy.oci.reference import parse_reference, parse_repository
from proxy.registry.cache import Cache
from proxy.registry.ports.upstream import Credential
from proxy.trust.reason import Reason
from tests.worlds.conversation import world
from tests.worlds.images import image
from tests.worlds.registry import Said, Seen, error
from tests.worlds.stored import decision

APP = image("app")
CANARY = "canary-4711"


def _texts(kept: Iterable[object]) -> Iterable[str]:
    for each in kept:
        if isinstance(each, tuple):
            yield from _texts(each)
        else:
            yield f"{each!r} {vars(each)!r}" if hasattr(each, "__dict__") else repr(each)


async def test_neither_credentials_nor_long_headers_stay_in_memory() -> None:
    w = await world(limits=Limits(tag_age_s=30))
    await w.push(APP, "team/app", "v1")
    for at in range(20):
        by = Credential(f"Bearer {CANARY}{at}" + "x" * 7000)
        op = o.PullManifest(parse_repository("team/app"), parse_reference("v1"))
        await w.say(op, by, accept=f"{APP.media_type}, {CANARY}/{'y' * 7000}")
    kept = [*_texts([*w.ports.cache.tags, *w.ports.cache.last])]
    assert kept
    assert CANARY not in " ".join(kept)
    assert max(map(len, kept)) < 300


def test_a_mark_tells_callers_and_types_apart() -> None:
    m = Cache(Limits(), lambda: 0.0)
    kinds = [
        (Credential(), ()),
        (Credential(""), ()),
        (Credential(ours=True), ()),
        (Credential("a"), ()),
        (Credential("a"), ("b",)),
        (Credential("a"), ("b", "c")),
        (Credential("a\udcff"), ()),
    ]
    assert len({m.caller_key(*kind) for kind in kinds}) == len(kinds)
    assert m.caller_key(Credential("a"), ("b",)) == m.caller_key(Credential("a"), ("b",))
    assert Cache(Limits(), lambda: 0.0).caller_key(Credential("a"), ()) != m.caller_key(Credential("a"), ())


async def test_asking_again_while_upstream_is_silent_is_counted() -> None:
    w = await world()

    def silent(_seen: Seen) -> Said:
        return error(200, "UNKNOWN")  # JSON, and no manifest

    w.registry.hooks.append(silent)
    for _ in range(30):
        with pytest.raises(Fault):
            await w.pull("team/app", "v1")
        w.store.clock.advance(61)
    assert len(w.store.journal.decisions) == 1
    (row,) = w.store.journal.events
    assert row.detail["count"] == 30
    w.store.clock.advance(3600)
    with pytest.raises(Fault):
        await w.pull("team/app", "v1")
    assert len(w.store.journal.decisions) == 2


def test_only_the_time_may_differ() -> None:
    m = Cache(Limits(), lambda: 0.0)
    first = m.reuse_if_equal(decision("first"))
    later = replace(first, id="later", at=first.at + timedelta(minutes=59))
    assert m.reuse_if_equal(later) is first
    for other in (
        replace(later, policy_revision="other"),
        replace(later, key_revision="other"),
        replace(later, mode="warn"),
        decision("denied", Reason.UNSIGNED),
        decision("tagged", tag="v2"),
        replace(later, at=first.at + timedelta(hours=1)),
    ):
        assert m.reuse_if_equal(other) is other
