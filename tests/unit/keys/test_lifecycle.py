from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from proxy.journal.event import Event, EventKind
from proxy.keys import lifecycle
from proxy.keys.lifecycle import key_event
from proxy.oci.faults import Fault, Unavailable
from proxy.trust.actor import Actor
from proxy.trust.keys import BookKey, KeyState, fingerprint
from proxy.trust.ledger import Stage
from proxy.trust.schedule import Handover
from tests.worlds.conversation import World, world
from tests.worlds.denials import denied
from tests.worlds.images import image
from tests.worlds.memory import NOON

OLD, NEW = image("old"), image("new")
BY = ("alice", "socket", "it is Tuesday")


def states(w: World) -> list[KeyState]:
    return [key.state for key in w.store.keybook.ring().ours]


def rows(w: World) -> list[Event]:
    return [e for e in w.store.journal.events if e.kind in {EventKind.KEY_CREATED, EventKind.KEY_STATE}]


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
    done = await lifecycle.rotate("release", Actor(*BY, "r1"), w.ports)
    assert states(w) == [KeyState.TRUSTED, KeyState.ACTIVE]
    assert (done.old, done.new) == w.store.keybook.ring().ours
    await w.push(NEW, "team/app", "new")
    assert {w.signer.made[-1][0]} == {name(done.new)}
    assert (await w.pull("team/app", "old")).status == 200
    assert (await w.pull("team/app", "new")).status == 200


async def test_the_journal_says_who_why_and_what() -> None:
    w = await world()
    done = await lifecycle.rotate("release", Actor(*BY, "r1"), w.ports)
    told = [(e.kind, e.who, e.how, e.request_id, e.detail["key"], e.detail["to"], e.detail["reason"]) for e in rows(w)]
    whose = ("alice", "socket", "r1")
    assert told == [
        (EventKind.KEY_CREATED, *whose, name(done.new), "prepared", "it is Tuesday"),
        (EventKind.KEY_STATE, *whose, name(done.new), "active", "it is Tuesday"),
        (EventKind.KEY_STATE, *whose, name(done.old), "trusted", "it is Tuesday"),
    ]


async def test_a_prepared_key_verifies_signs_nothing_and_takes_over_when_told_to() -> None:
    w = await world()
    ready = await lifecycle.prepare("release", Actor(*BY), w.ports)
    await w.push(OLD, "team/app", "v1")
    assert name(ready) not in {key for key, _ in w.signer.made}
    assert name(ready) in {v.fingerprint for v in w.store.keybook.ring().verifiers("release")}
    with pytest.raises(Fault, match="has a prepared key already"):
        await lifecycle.rotate("release", Actor(*BY), w.ports)
    await lifecycle.activate(name(ready)[:10], Actor(*BY), w.ports)
    assert name(active(w)) == name(ready)


async def test_a_prepared_key_that_is_gone_from_the_token_is_not_activated() -> None:
    w = await world()
    ready = await lifecycle.prepare("release", Actor(*BY), w.ports)
    w.signer.down = "token soft is away"
    with pytest.raises(Unavailable, match="is away"):
        await lifecycle.activate(name(ready), Actor(*BY), w.ports)
    assert states(w) == [KeyState.ACTIVE, KeyState.PREPARED]


async def test_a_prepared_key_can_be_given_up() -> None:
    w = await world()
    ready = await lifecycle.prepare("release", Actor(*BY), w.ports)
    assert (await lifecycle.retire(name(ready), Actor(*BY), w.ports)).state is KeyState.RETIRED
    await lifecycle.rotate("release", Actor(*BY), w.ports)


async def test_a_key_that_another_server_activated_meanwhile_is_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    w = await world()
    ready = await lifecycle.prepare("release", Actor(*BY), w.ports)
    set_state = w.store.keybook.set_state

    async def meanwhile(*given: Any, **more: Any) -> None:
        """Between what this server has read and what it writes."""
        await w.store.keybook.activate(name(ready), w.store.clock.now())
        await set_state(*given, **more)

    monkeypatch.setattr(w.store.keybook, "set_state", meanwhile)
    with pytest.raises(Fault, match="is active"):
        await lifecycle.retire(name(ready), Actor(*BY), w.ports)
    assert [e for e in rows(w) if e.kind is EventKind.KEY_STATE] == [], "what did not happen is not on record"
    assert states(w) == [KeyState.TRUSTED, KeyState.ACTIVE]


@pytest.mark.parametrize("end", ["retire", "compromise"])
async def test_what_only_an_ended_key_signed_is_blocked_at_once(end: str) -> None:
    w = await world()
    await w.push(OLD, "team/app", "old")
    done = await lifecycle.rotate("release", Actor(*BY), w.ports)
    await w.push(NEW, "team/app", "new")
    assert (await w.pull("team/app", "old")).status == 200
    await (lifecycle.retire if end == "retire" else lifecycle.compromise)(name(done.old), Actor(*BY), w.ports)
    await denied(w, lambda: w.pull("team/app", "old"), "key_retired" if end == "retire" else "key_compromised")
    assert (await w.pull("team/app", "new")).status == 200


async def test_an_active_key_is_distrusted_together_with_a_rotation() -> None:
    w = await world()
    await lifecycle.compromise(name(active(w)), Actor(*BY), w.ports, rotate=True)
    assert states(w) == [KeyState.COMPROMISED, KeyState.ACTIVE]


async def test_an_active_key_whose_token_is_away_is_distrusted_all_the_same() -> None:
    """Pushes are refused then, until another key is there."""
    w = await world()
    await w.push(OLD, "team/app", "old")
    bad, w.signer.down = name(active(w)), "token soft is away"
    with pytest.raises(Unavailable, match="is away"):
        await lifecycle.compromise(bad, Actor(*BY), w.ports, rotate=True)
    assert states(w) == [KeyState.ACTIVE], "with --rotate it is both or nothing"
    await lifecycle.compromise(bad, Actor(*BY), w.ports)
    assert states(w) == [KeyState.COMPROMISED]
    await denied(w, lambda: w.pull("team/app", "old"), "key_compromised")
    with pytest.raises(Fault, match="no signature could be made"):
        await w.push(NEW, "team/app", "new")
    w.signer.down = None
    await lifecycle.rotate("release", Actor(*BY), w.ports)
    await w.push(NEW, "team/app", "new")
    assert (await w.pull("team/app", "new")).status == 200


async def test_since_when_is_in_the_book_and_the_journal_and_may_be_told_later() -> None:
    w = await world()
    bad, now = name(active(w)), w.store.clock.now()
    with pytest.raises(Fault, match="is in the future"):
        await lifecycle.compromise(bad, Actor(*BY), w.ports, since=now + timedelta(seconds=1))
    assert (await lifecycle.compromise(bad, Actor(*BY), w.ports)).compromised_since is None
    with pytest.raises(Fault, match="is compromised already"):
        await lifecycle.compromise(bad, Actor(*BY), w.ports)
    since = now - timedelta(hours=1)
    assert (await lifecycle.compromise(bad, Actor(*BY), w.ports, since=since)).compromised_since == since
    assert [e.detail.get("since") for e in rows(w)] == [None, since.isoformat()]


async def test_a_prepared_key_takes_the_place_of_a_compromised_one() -> None:
    w = await world()
    bad, ready = name(active(w)), await lifecycle.prepare("release", Actor(*BY), w.ports)
    await lifecycle.compromise(bad, Actor(*BY), w.ports, rotate=True)
    assert name(active(w)) == name(ready)
    assert len(w.store.keybook.ring().ours) == 2


async def test_what_is_refused_leaves_no_row_and_no_key() -> None:
    w = await world()
    before = w.store.keybook.ring()
    one = name(active(w))
    for refused in (
        lifecycle.rotate("nobody", Actor(*BY), w.ports),
        lifecycle.retire(one, Actor(*BY), w.ports),
        lifecycle.activate(one, Actor(*BY), w.ports),
        lifecycle.retire(one[:7], Actor(*BY), w.ports),
        lifecycle.retire("0" * 64, Actor(*BY), w.ports),
    ):
        with pytest.raises(Fault, match=r"countersign keys|already|configured: release"):
            await refused
    assert (w.store.keybook.ring(), rows(w)) == (before, [])


async def test_a_token_that_is_away_leaves_everything_as_it_was() -> None:
    w = await world()
    before, w.signer.down = w.store.keybook.ring(), "token soft is away"
    with pytest.raises(Unavailable):
        await lifecycle.rotate("release", Actor(*BY), w.ports)
    assert w.store.keybook.ring() == before


async def test_a_beginning_that_fits_several_names_none() -> None:
    w = await world()
    twin = replace(active(w), state=KeyState.TRUSTED)
    ring = replace(w.store.keybook.ring(), ours=(twin, twin))
    w.store.keybook._ring = ring
    with pytest.raises(Fault, match="beginning of several"):
        lifecycle.find(name(twin)[:8], w.ports)


WEEK, MONTH = timedelta(days=7), timedelta(days=30)


async def signatures(w: World) -> set[str]:
    """Push one more image; return which keys signed it."""
    before = len(w.signer.made)
    await w.push(image(str(before)), "team/app", f"v{before}")
    return {key for key, _ in w.signer.made[before:]}


async def test_dual_sign_has_both_keys_sign_everything_until_its_end() -> None:
    w = await world()
    done = await lifecycle.rotate("release", Actor(*BY), w.ports, terms=Handover(dual_sign=WEEK, retire_after=MONTH))
    old, new = name(done.old), name(done.new)
    assert done.old is not None
    assert (done.old.signs_until, done.old.retire_after) == (NOON + WEEK, NOON + MONTH)
    assert await signatures(w) == {old, new}
    w.store.clock.advance(WEEK.total_seconds() - 1)
    assert await signatures(w) == {old, new}
    w.store.clock.advance(1)
    assert await signatures(w) == {new}
    told = rows(w)[-1].detail
    assert (told["signs_until"], told["retire_after"]) == ((NOON + WEEK).isoformat(), (NOON + MONTH).isoformat())


async def test_both_signatures_are_where_verifiers_look_for_them() -> None:
    w = await world()
    done = await lifecycle.rotate("release", Actor(*BY), w.ports, terms=Handover(dual_sign=WEEK))
    await w.push(NEW, "team/app", "v1")
    entries = [e for e in w.store.ledger.rows.values() if e.key.digest == NEW.digest]
    of = {
        fp: [(e.key.format, e.key.bound) for e in entries if e.key.fingerprint == fp]
        for fp in map(name, (done.old, done.new))
    }
    assert of[name(done.old)] == of[name(done.new)]
    assert len(of[name(done.new)]) == 3
    assert {e.stage for e in entries} == {Stage.ATTACHED}
    made = len(w.signer.made)
    await w.push(NEW, "team/app", "v1")
    assert len(w.signer.made) == made, "nothing is signed twice"


async def test_publish_first_prepares_a_key_that_says_when_it_begins() -> None:
    w = await world()
    terms = Handover(publish_first=WEEK, dual_sign=WEEK, retire_after=MONTH)
    done = await lifecycle.rotate("release", Actor(*BY), w.ports, terms=terms)
    new, begins = done.new, NOON + WEEK
    assert (new.state, new.activate_at, new.signs_until) == (KeyState.PREPARED, begins, begins + WEEK)
    assert await signatures(w) == {name(done.old)}
    assert rows(w)[-1].detail["activate_at"] == begins.isoformat()
    w.store.clock.advance(WEEK.total_seconds())
    turned = await lifecycle.activate(name(new), Actor(*BY), w.ports)
    assert turned.old is not None
    assert (turned.old.signs_until, turned.old.retire_after) == (begins + WEEK, begins + MONTH)
    assert (turned.new.activate_at, turned.new.signs_until, turned.new.retire_after) == (None, None, None)
    assert await signatures(w) == {name(done.old), name(new)}


async def test_a_compromised_key_signs_beside_nobody() -> None:
    w = await world()
    done = await lifecycle.rotate("release", Actor(*BY), w.ports, terms=Handover(publish_first=WEEK, dual_sign=WEEK))
    await lifecycle.compromise(name(done.old), Actor(*BY), w.ports, rotate=True)
    assert await signatures(w) == {name(done.new)}


async def two_tokens() -> tuple[World, BookKey, BookKey]:
    """A profile whose second token stands by with a key of its own."""
    w = await world()
    w.signer.tokens = ("soft", "spare")
    spare = replace(w.signer.create("release"), token="spare")
    await w.store.keybook.add(spare)
    return w, active(w), spare


async def test_a_standby_signs_while_the_first_token_is_away_and_says_so() -> None:
    w, first, spare = await two_tokens()
    assert await signatures(w) == {name(first)}
    w.signer.away["soft"] = "token soft is away"
    answer = await w.push(OLD, "team/app", "old")
    assert w.signer.made[-1][0] == name(spare)
    assert answer.warning == "countersign: signed for release by a standby of its token; its operators see why"
    assert (await w.pull("team/app", "old")).status == 200
    made = [e for e in w.store.journal.events if e.kind is EventKind.SIGNED]
    assert made[-1].detail["standby"] == "spare"
    del w.signer.away["soft"]
    answer = await w.push(NEW, "team/app", "new")
    assert (w.signer.made[-1][0], answer.warning) == (name(first), None)


async def test_a_token_that_fails_in_the_middle_of_a_push_does_not_fail_the_push() -> None:
    w, _, spare = await two_tokens()
    w.signer.breaks["soft"] = "token soft: session lost"
    assert (await w.push(NEW, "team/app", "new")).status == 201
    assert {key for key, _ in w.signer.made} == {name(spare)}
    assert {e.key.fingerprint for e in w.store.ledger.rows.values() if e.signature} == {name(spare)}


async def test_where_no_token_works_the_first_ones_reason_is_told() -> None:
    w, _, _ = await two_tokens()
    w.signer.away |= {"soft": "token soft is away", "spare": "token spare is away"}
    with pytest.raises(Fault, match="the signing device is unavailable"):
        await w.push(NEW, "team/app", "new")
    w.signer.away.clear()
    w.signer.breaks |= {"soft": "token soft broke", "spare": "token spare broke"}
    with pytest.raises(Fault, match="the signing device is unavailable"):
        await w.push(NEW, "team/app", "new")


async def test_each_tokens_key_is_rotated_by_itself() -> None:
    w, first, spare = await two_tokens()
    done = await lifecycle.rotate("release", Actor(*BY), w.ports, token="spare")
    assert (name(done.old), done.new.token) == (name(spare), "spare")
    assert w.store.keybook.ring().active("release", "soft") == first
    with pytest.raises(Fault, match="lists soft, spare, not 'other'"):
        await lifecycle.rotate("release", Actor(*BY), w.ports, token="other")
    await lifecycle.compromise(name(done.new), Actor(*BY), w.ports, rotate=True)
    replaced = w.store.keybook.ring().active("release", "spare")
    assert replaced is not None
    assert name(replaced) not in {name(done.new), name(spare)}
    assert w.store.keybook.ring().active("release", "soft") == first


async def test_a_compromised_key_of_the_first_token_leaves_pushes_to_the_standby() -> None:
    w, first, spare = await two_tokens()
    w.signer.away["soft"] = "token soft is away"
    await lifecycle.compromise(name(first), Actor(*BY), w.ports)
    assert await signatures(w) == {name(spare)}


async def test_a_profile_that_configuration_has_given_up_gets_no_new_key() -> None:
    w = await world()
    w.signer.tokens = ()
    with pytest.raises(Fault, match="is recorded, but no longer in `keys`"):
        await lifecycle.rotate("release", Actor(*BY), w.ports)


async def test_a_row_says_who_did_what_to_which_key_and_why() -> None:
    w = await world()
    key = w.store.keybook.ring().ours[0]
    row = key_event(EventKind.KEY_STATE, key, Actor("alice", "socket", "x" * 600, "r1"), {"to": "retired"}, w.ports)
    assert (row.at, row.kind, row.who, row.how) == (w.store.clock.now(), EventKind.KEY_STATE, "alice", "socket")
    assert (row.request_id, row.key_revision) == ("r1", w.store.keybook.ring().revision)
    told = {"profile": "release", "key": fingerprint(key.spki), "to": "retired", "reason": "x" * 500}
    assert row.detail == told
