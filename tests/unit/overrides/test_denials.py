from datetime import timedelta

import pytest

from proxy.journal.event import EventKind
from proxy.oci.faults import Fault
from proxy.oci.reference import digest_of
from proxy.overrides.denials import deny, lift
from proxy.trust.actor import Actor
from tests.worlds.conversation import world
from tests.worlds.memory import NOON

BAD = digest_of(b"bad")
ANN = Actor("ann", "admin-token:1", "CVE-2026-1", "r1")


async def test_it_is_in_the_journal_and_in_force() -> None:
    w = await world()
    made = await deny(BAD, NOON + timedelta(hours=1), ANN, w.ports, digest=True)
    assert w.store.overrides.in_force().denials == (made,)
    (row,) = w.store.journal.events
    assert (row.kind, row.who, row.how, row.digest) == (EventKind.DENIAL_ADDED, "ann", "admin-token:1", BAD)
    assert row.detail == {"denial": made.id, "until": "2026-01-02T13:00:00+00:00", "reason": "CVE-2026-1"}


async def test_repositories_are_in_the_journal_as_such() -> None:
    w = await world()
    await deny("team/**", None, ANN, w.ports, digest=False)
    (row,) = w.store.journal.events
    assert (row.repository, row.digest, row.detail["until"]) == ("team/**", "", None)


async def test_an_end_that_is_past_is_refused() -> None:
    w = await world()
    with pytest.raises(Fault, match="is past"):
        await deny(BAD, NOON, ANN, w.ports, digest=True)
    assert w.store.journal.events == []


async def test_what_is_taken_back_is_gone_and_on_record() -> None:
    w = await world()
    made = await deny(BAD, None, ANN, w.ports, digest=True)
    assert await lift(made.id, Actor("bob", "socket", "was wrong"), w.ports) == made
    assert w.store.journal.events[-1].kind is EventKind.DENIAL_REMOVED
    with pytest.raises(Fault, match="countersign deny list"):
        await lift(made.id, ANN, w.ports)
