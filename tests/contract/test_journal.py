"""Journal: everything that happened, repeats counted, the newest first."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from proxy.journal.event import Event, EventKind
from proxy.journal.port import Callers, Search
from proxy.trust.decision import Decision
from proxy.trust.reason import Reason
from tests.contract.conftest import Record
from tests.worlds.memory import NOON
from tests.worlds.stored import APP, OTHER, decision, digest, happened

MINUTE = timedelta(minutes=1)
DENIED = decision("d1", Reason.UNSIGNED)
ALLOWED = decision("a1")
WARNED = decision("w1", Reason.UNSIGNED, "warn")


async def test_events_come_back_whole_and_newest_first(journal: Record) -> None:
    event = happened(EventKind.SIGNED, ALLOWED)._replace(
        detail={"formats": ["cosign-simple"], "n": 3, "deep": {"a": None}}
    )
    await journal.record(event, Event(NOON, EventKind.STOPPED))
    await journal.record(Event(NOON, EventKind.STARTED))
    assert await journal.search(Search()) == (Event(NOON, EventKind.STARTED), Event(NOON, EventKind.STOPPED), event)


async def test_the_same_event_twice_is_two_rows(journal: Record) -> None:
    await journal.record(Event(NOON, EventKind.STARTED))
    await journal.record(Event(NOON, EventKind.STARTED))
    assert len(await journal.search(Search())) == 2


async def test_nothing_is_nothing(journal: Record) -> None:
    await journal.record()
    assert await journal.search(Search()) == ()


async def test_many_at_once_are_all_there(journal: Record) -> None:
    await asyncio.gather(*(journal.record(Event(NOON, EventKind.SIGNED, request_id=str(n))) for n in range(300)))
    assert {event.request_id for event in await journal.search(Search(limit=1000))} == {str(n) for n in range(300)}


@pytest.mark.parametrize("decided", [ALLOWED, DENIED, WARNED], ids=lambda d: d.id)
async def test_a_decision_is_found_by_its_id(journal: Record, decided: Decision) -> None:
    kind = EventKind.PULL_DENIED if decided is DENIED else EventKind.PULL_ALLOWED
    await journal.decided(decided, happened(kind, decided))
    assert await journal.decision(decided.id) == decided
    assert await journal.decision("another") is None
    assert await journal.decision("nul \0 and lone surrogate \ud800") is None


@pytest.mark.parametrize(("decided", "kind"), [(ALLOWED, EventKind.PULL_ALLOWED), (DENIED, EventKind.PULL_DENIED)])
async def test_repeats_within_the_hour_are_one_row_with_a_count(
    journal: Record,
    decided: Decision,
    kind: EventKind,
) -> None:
    for n in range(3):
        await journal.decided(decided, happened(kind, decided, NOON + n * MINUTE))
    assert await journal.search(Search()) == (happened(kind, decided)._replace(detail={"count": 3}),)
    await journal.decided(decided, happened(kind, decided, NOON + 4 * MINUTE))
    (event,) = await journal.search(Search())
    assert event.detail == {"count": 4}


async def test_another_caller_hour_decision_or_kind_is_another_row(journal: Record) -> None:
    first = happened(EventKind.PULL_ALLOWED, ALLOWED)
    others = [
        (ALLOWED, first._replace(who="bob")),
        (ALLOWED, first._replace(how="basic")),
        (ALLOWED, first._replace(at=NOON + 60 * MINUTE)),
        (ALLOWED, first._replace(kind=EventKind.PULL_REVIEWED)),
        (ALLOWED, first._replace(reference="1.0")),
        (DENIED, happened(EventKind.PULL_ALLOWED, DENIED)._replace()),
    ]
    for decided, event in [(ALLOWED, first), *others]:
        await journal.decided(decided, event)
    rows = await journal.search(Search())
    assert len(rows) == len(others) + 1
    assert all("count" not in row.detail for row in rows)


async def test_an_event_of_a_decision_points_to_it(journal: Record) -> None:
    await journal.decided(DENIED, happened(EventKind.PULL_DENIED, DENIED)._replace(decision_id=""))
    assert (await journal.search(Search()))[0].decision_id == DENIED.id


async def test_search_by_kind_repository_digest_and_time(journal: Record) -> None:
    events = [
        Event(NOON, EventKind.SIGNED, repository=APP, digest=digest("a")),
        Event(NOON + MINUTE, EventKind.PUSH_ACCEPTED, repository=APP, digest=digest("b")),
        Event(NOON + 2 * MINUTE, EventKind.SIGNED, repository=OTHER, digest=digest("b")),
    ]
    await journal.record(*events)
    one, two, three = events
    assert await journal.search(Search(kinds=(EventKind.SIGNED,))) == (three, one)
    assert await journal.search(Search(kinds=(EventKind.SIGNED, EventKind.PUSH_ACCEPTED))) == (three, two, one)
    assert await journal.search(Search(repository=APP)) == (two, one)
    assert await journal.search(Search(digest=digest("b"))) == (three, two)
    assert await journal.search(Search(since=NOON + MINUTE)) == (three, two)
    assert await journal.search(Search(kinds=(EventKind.SIGNED,), repository=APP, digest=digest("b"))) == ()
    assert await journal.search(Search(limit=1)) == (three,)


async def test_a_counted_row_is_found_by_its_last_time(journal: Record) -> None:
    for at in (NOON, NOON + 10 * MINUTE):
        await journal.decided(DENIED, happened(EventKind.PULL_DENIED, DENIED, at))
    assert len(await journal.search(Search(since=NOON + 5 * MINUTE))) == 1
    assert await journal.search(Search(since=NOON + 11 * MINUTE)) == ()


async def test_what_callers_claim_cannot_make_a_row_unwritable(journal: Record) -> None:
    claimed = "a\0b\ud800c'; DROP TABLE journal; --"
    await journal.record(Event(NOON, EventKind.PULL_DENIED, who=claimed, detail={"claimed": claimed}))
    (event,) = await journal.search(Search())
    assert event.who.endswith("'; DROP TABLE journal; --")
    assert event.detail["claimed"] == claimed


async def test_revisions_are_kept_whole_and_never_change(journal: Record) -> None:
    await journal.keep_revision("policy", "r1", "whole\ntext 🔏")
    await journal.keep_revision("policy", "r1", "something else")
    await journal.keep_revision("config", "r1", "of another kind")
    assert await journal.revision("policy", "r1") == "whole\ntext 🔏"
    assert await journal.revision("config", "r1") == "of another kind"
    assert await journal.revision("policy", "r2") is None


async def test_would_block_groups_warned_pulls_by_what_was_asked_for(journal: Record) -> None:
    other_tag = decision("w2", Reason.UNTRUSTED_KEY, "warn", "1.0")
    other_reason = decision("w3", Reason.UNTRUSTED_KEY, "warn")
    for n in range(3):
        await journal.decided(WARNED, happened(EventKind.PULL_WARNED, WARNED, NOON + n * MINUTE))
    await journal.decided(other_reason, happened(EventKind.PULL_WARNED, other_reason, NOON + 90 * MINUTE))
    await journal.decided(other_tag, happened(EventKind.PULL_WARNED, other_tag))
    await journal.decided(DENIED, happened(EventKind.PULL_DENIED, DENIED))
    latest, tagged = await journal.would_block(NOON - MINUTE)
    assert (latest.repository, latest.reference, latest.count) == (APP, "latest", 4)
    assert latest.reasons == (("unsigned", 3), ("untrusted_key", 1))
    assert (latest.last, latest.decision_id) == (NOON + 90 * MINUTE, "w3")
    assert (tagged.reference, tagged.count, tagged.reasons) == ("1.0", 1, (("untrusted_key", 1),))
    assert [line.count for line in await journal.would_block(NOON + 80 * MINUTE)] == [1]
    assert await journal.would_block(NOON + 91 * MINUTE) == ()


async def test_pulled_is_a_line_for_each_name_and_digest_with_what_happened_last(journal: Record) -> None:
    since, tagged = decision("d2", Reason.UNSIGNED), decision("a2", tag="1.0")
    for n in range(3):
        await journal.decided(ALLOWED, happened(EventKind.PULL_ALLOWED, ALLOWED, NOON + n * MINUTE))
    await journal.decided(tagged, happened(EventKind.PULL_WARNED, tagged, NOON + 5 * MINUTE))
    await journal.decided(since, happened(EventKind.PULL_DENIED, since, NOON + 9 * MINUTE))
    await journal.record(
        Event(NOON, EventKind.PULL_DENIED, repository=APP, reference="x"), Event(NOON, EventKind.STARTED)
    )
    latest, one = await journal.pulled(NOON, 10)
    assert (latest.repository, latest.reference, latest.digest) == (APP, "latest", ALLOWED.digest)
    assert (latest.served, latest.pulls, latest.last, latest.decision_id) == (False, 4, NOON + 9 * MINUTE, "d2")
    assert (one.reference, one.served, one.pulls, one.decision_id) == ("1.0", True, 1, "a2")
    excepted = decision("e2", Reason.UNSIGNED, tag="2.0")
    await journal.decided(excepted, happened(EventKind.PULL_EXCEPTED, excepted, NOON - MINUTE))
    assert [(p.reference, p.served) for p in await journal.pulled(NOON - MINUTE, 10)][-1] == ("2.0", False)
    assert await journal.pulled(NOON, 1) == (latest,)
    assert await journal.pulled(NOON + 6 * MINUTE, 10) == (replace(latest, pulls=1),)
    assert await journal.pulled(NOON, 10, "prod/other") == ()


async def test_who_pulled_is_not_known(journal: Record) -> None:
    """The latest callers are named and all are counted, in both reports; without a proven name by their address."""
    for n, who in enumerate(("ann", "bob", "ann", "ci", "dora", "emil", "fritz")):
        event = happened(EventKind.PULL_WARNED, WARNED, NOON + n * MINUTE)._replace(who=who)
        await journal.decided(WARNED, event)
    other = decision("w2", Reason.UNSIGNED, "warn", "1.0")
    for address in ("10.0.0.7", "10.0.0.8"):
        event = happened(EventKind.PULL_WARNED, other)._replace(who="anonymous", how="", detail={"from": address})
        await journal.decided(other, event)
    known = {"latest": Callers(6, ("fritz", "emil", "dora", "ci", "ann")), "1.0": Callers(1, ("anonymous (10.0.0.7)",))}
    assert {p.reference: p.callers for p in await journal.pulled(NOON - MINUTE, 10)} == known
    assert {line.reference: line.callers for line in await journal.would_block(NOON - MINUTE)} == known
    (newest,) = await journal.pulled(NOON - MINUTE, 1, APP)
    assert newest.callers == known["latest"]
    late = await journal.would_block(NOON + 5 * MINUTE)
    assert [line.callers for line in late] == [Callers(2, ("fritz", "emil"))], "of that time only"


async def test_the_first_reading_of_an_hour_is_durable_and_those_after_it_count(journal: Record) -> None:
    reading = Event(
        NOON, EventKind.AUDIT_READ, "auditor", reference="journal", detail={"call": "GET /admin/v1/journal"}
    )
    for n in range(3):
        await journal.counted(reading._replace(at=NOON + n * MINUTE))
    await journal.counted(reading._replace(reference="status"))
    rows = await journal.search(Search(kinds=(EventKind.AUDIT_READ,)))
    assert [(row.reference, row.detail.get("count", 1)) for row in rows] == [("status", 1), ("journal", 3)]
