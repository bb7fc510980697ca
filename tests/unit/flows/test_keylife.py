from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from proxy.flows import keylife
from proxy.oci.faults import Fault, Unavailable
from proxy.trust.event import Event, Kind
from proxy.trust.keys import BookKey, KeyState, fingerprint
from tests.worlds.conversation import World, world
from tests.worlds.denials import denied
from tests.worlds.images import image

OLD, NEW = image("old"), image("new")
BY = ("alice", "socket", "it is Tuesday")


def states(w: World) -> list[KeyState]:
    return [key.state for key in w.store.keybook.ring().ours]


def rows(w: World) -> list[Event]:
    return [e for e in w.store.journal.events if e.kind in {Kind.KEY_CREATED, Kind.KEY_STATE}]


def active(w: World) -> BookKey:
    found = w.store.keybook.ring().active("release")
    assert found is not None
    return found


def name(key: BookKey | None) -> str:
    assert key is not None
    return fingerprint(key.spki)


async def test_a_rotated_key_signs_and_what_the_old_one_signed_verifies() -> None:
    w = await world()
    await w.push(OLD, "team/app", "old")
    done = await keylife.rotate("release", *BY, w.house, request_id="r1")
    assert states(w) == [KeyState.TRUSTED, KeyState.ACTIVE]
    assert (done.old, done.new) == w.store.keybook.ring().ours
    await w.push(NEW, "team/app", "new")
    assert {w.signer.made[-1][0]} == {name(done.new)}
    assert (await w.pull("team/app", "old")).status == 200
    assert (await w.pull("team/app", "new")).status == 200


async def test_the_journal_says_who_why_and_what() -> None:
    w = await world()
    done = await keylife.rotate("release", *BY, w.house, request_id="r1")
    told = [(e.kind, e.who, e.how, e.request_id, e.detail["key"], e.detail["to"], e.detail["reason"]) for e in rows(w)]
    whose = ("alice", "socket", "r1")
    assert told == [
        (Kind.KEY_CREATED, *whose, name(done.new), "prepared", "it is Tuesday"),
        (Kind.KEY_STATE, *whose, name(done.new), "active", "it is Tuesday"),
        (Kind.KEY_STATE, *whose, name(done.old), "trusted", "it is Tuesday"),
    ]


async def test_a_prepared_key_verifies_signs_nothing_and_takes_over_when_told_to() -> None:
    w = await world()
    ready = await keylife.prepare("release", *BY, w.house)
    await w.push(OLD, "team/app", "v1")
    assert name(ready) not in {key for key, _ in w.signer.made}
    assert name(ready) in {v.fingerprint for v in w.store.keybook.ring().verifiers("release")}
    with pytest.raises(Fault, match="has a prepared key already"):
        await keylife.rotate("release", *BY, w.house)
    await keylife.activate(name(ready)[:10], *BY, w.house)
    assert name(active(w)) == name(ready)


async def test_a_prepared_key_that_is_gone_from_the_token_is_not_activated() -> None:
    w = await world()
    ready = await keylife.prepare("release", *BY, w.house)
    w.signer.down = "token soft is away"
    with pytest.raises(Unavailable, match="is away"):
        await keylife.activate(name(ready), *BY, w.house)
    assert states(w) == [KeyState.ACTIVE, KeyState.PREPARED]


async def test_a_prepared_key_can_be_given_up() -> None:
    w = await world()
    ready = await keylife.prepare("release", *BY, w.house)
    assert (await keylife.retire(name(ready), *BY, w.house)).state is KeyState.RETIRED
    await keylife.rotate("release", *BY, w.house)


@pytest.mark.parametrize("end", ["retire", "compromise"])
async def test_what_only_an_ended_key_signed_is_blocked_at_once(end: str) -> None:
    w = await world()
    await w.push(OLD, "team/app", "old")
    done = await keylife.rotate("release", *BY, w.house)
    await w.push(NEW, "team/app", "new")
    assert (await w.pull("team/app", "old")).status == 200
    await (keylife.retire if end == "retire" else keylife.compromise)(name(done.old), *BY, w.house)
    await denied(w, lambda: w.pull("team/app", "old"), "key_retired" if end == "retire" else "key_compromised")
    assert (await w.pull("team/app", "new")).status == 200


async def test_an_active_key_is_distrusted_together_with_a_rotation() -> None:
    w = await world()
    await keylife.compromise(name(active(w)), *BY, w.house, rotate=True)
    assert states(w) == [KeyState.COMPROMISED, KeyState.ACTIVE]


async def test_an_active_key_whose_token_is_away_is_distrusted_all_the_same() -> None:
    """Pushes are refused then, until another key is there."""
    w = await world()
    await w.push(OLD, "team/app", "old")
    bad, w.signer.down = name(active(w)), "token soft is away"
    with pytest.raises(Unavailable, match="is away"):
        await keylife.compromise(bad, *BY, w.house, rotate=True)
    assert states(w) == [KeyState.ACTIVE], "with --rotate it is both or nothing"
    await keylife.compromise(bad, *BY, w.house)
    assert states(w) == [KeyState.COMPROMISED]
    await denied(w, lambda: w.pull("team/app", "old"), "key_compromised")
    with pytest.raises(Fault, match="no active key for profile release"):
        await w.push(NEW, "team/app", "new")
    w.signer.down = None
    await keylife.rotate("release", *BY, w.house)
    await w.push(NEW, "team/app", "new")
    assert (await w.pull("team/app", "new")).status == 200


async def test_since_when_is_in_the_book_and_the_journal_and_may_be_told_later() -> None:
    w = await world()
    bad, now = name(active(w)), w.store.clock.now()
    with pytest.raises(Fault, match="is in the future"):
        await keylife.compromise(bad, *BY, w.house, since=now + timedelta(seconds=1))
    assert (await keylife.compromise(bad, *BY, w.house)).compromised_since is None
    with pytest.raises(Fault, match="is compromised already"):
        await keylife.compromise(bad, *BY, w.house)
    since = now - timedelta(hours=1)
    assert (await keylife.compromise(bad, *BY, w.house, since=since)).compromised_since == since
    assert [e.detail.get("since") for e in rows(w)] == [None, since.isoformat()]


async def test_a_prepared_key_takes_the_place_of_a_compromised_one() -> None:
    w = await world()
    bad, ready = name(active(w)), await keylife.prepare("release", *BY, w.house)
    await keylife.compromise(bad, *BY, w.house, rotate=True)
    assert name(active(w)) == name(ready)
    assert len(w.store.keybook.ring().ours) == 2


async def test_what_is_refused_leaves_no_row_and_no_key() -> None:
    w = await world()
    before = w.store.keybook.ring()
    one = name(active(w))
    for refused in (
        keylife.rotate("nobody", *BY, w.house),
        keylife.retire(one, *BY, w.house),
        keylife.activate(one, *BY, w.house),
        keylife.retire(one[:7], *BY, w.house),
        keylife.retire("0" * 64, *BY, w.house),
    ):
        with pytest.raises(Fault, match=r"countersign keys|already|there are: release"):
            await refused
    assert (w.store.keybook.ring(), rows(w)) == (before, [])


async def test_a_token_that_is_away_leaves_everything_as_it_was() -> None:
    w = await world()
    before, w.signer.down = w.store.keybook.ring(), "token soft is away"
    with pytest.raises(Unavailable):
        await keylife.rotate("release", *BY, w.house)
    assert w.store.keybook.ring() == before


async def test_a_beginning_that_fits_several_names_none() -> None:
    w = await world()
    twin = replace(active(w), state=KeyState.TRUSTED)
    ring = replace(w.store.keybook.ring(), ours=(twin, twin))
    w.store.keybook._ring = ring
    with pytest.raises(Fault, match="beginning of several"):
        keylife.find(name(twin)[:8], w.house)
