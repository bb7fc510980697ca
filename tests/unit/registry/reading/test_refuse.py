from __future__ import annotations

import pytest

from proxy.journal.event import EventKind
from proxy.oci.faults import Fault, Unavailable
from proxy.oci.reference import parse_reference
from proxy.registry.reading.refuse import refuse
from proxy.registry.request import Request
from proxy.trust.question import Named
from proxy.trust.reason import Reason
from tests.worlds.conversation import ANYBODY, REPO, World, world

V1 = parse_reference("v1")


async def refused(w: World, reason: Reason, *, pushing: bool = False) -> Fault:
    kind, who = (EventKind.PUSH_DENIED if pushing else EventKind.PULL_DENIED), Named("bob", "basic")
    return await refuse(kind, REPO, V1, reason, "the detail", who, Request(ANYBODY, "r7"), w.ports, pushing=pushing)


@pytest.mark.parametrize("pushing", [False, True])
@pytest.mark.parametrize("reason", list(Reason))
async def test_every_refusal_has_a_page_a_row_and_a_line(reason: Reason, pushing: bool) -> None:
    w = await world()
    fault = await refused(w, reason, pushing=pushing)
    assert (fault.code, fault.status, fault.reason) == ("DENIED", 403, reason)
    assert len(fault.message) <= 300
    (row,) = w.store.journal.events
    assert (row.who, row.how, row.reason, row.request_id) == ("bob", "basic", reason, "r7")
    decision = await w.store.journal.decision(row.decision_id)
    assert decision is not None
    assert not decision.allowed
    assert str(fault.detail).endswith(f"/-/d/{decision.id}")
    retry = reason in {Reason.NOT_VERIFIABLE, Reason.NOT_SIGNED}
    assert ("Retry-After" in fault.headers) is retry


async def test_a_store_that_is_down_takes_the_row_and_not_the_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    w = await world()

    async def down(*_: object, **__: object) -> None:
        raise Unavailable("store: locked")

    monkeypatch.setattr(w.store.journal, "decided", down)
    assert (await refused(w, Reason.UNSIGNED)).status == 403
