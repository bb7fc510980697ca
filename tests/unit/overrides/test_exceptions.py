import pytest

from proxy.journal.event import EventKind
from proxy.oci.faults import Fault
from proxy.overrides import exceptions as breakglass
from proxy.overrides.exceptions import ExceptionRequest
from proxy.trust.actor import Actor
from tests.worlds.conversation import world

ANN, EVE = Actor("ann", "socket", "incident 7", "r1"), Actor("eve", "admin-token:1", "was needed")
WISH = ExceptionRequest("team/app", None, 7200)


async def test_its_life_is_in_the_journal() -> None:
    w = await world()
    made = await breakglass.open_exception(WISH, 7200, ANN, w.ports)
    assert w.store.overrides.in_force().exceptions == (made,)
    await breakglass.close(made.id, ANN, w.ports)
    done = await breakglass.review(made.id, EVE, w.ports)
    assert (done.reviewed_by, done.review, done.closed_by) == ("eve", "was needed", "ann")
    assert w.store.journal.kinds() == [
        EventKind.EXCEPTION_OPENED,
        EventKind.EXCEPTION_CLOSED,
        EventKind.EXCEPTION_REVIEWED,
    ]
    assert all(e.detail["exception"] == made.id and e.repository == "team/app" for e in w.store.journal.events)


async def test_longer_than_allowed_is_refused_before_anything_is_done() -> None:
    w = await world()
    with pytest.raises(Fault, match="ask a policy-admin"):
        await breakglass.open_exception(WISH, 7199, ANN, w.ports)
    assert w.store.journal.events == []
    assert w.store.overrides.orders().exceptions == ()


async def test_it_closes_by_itself_once() -> None:
    w = await world()
    made = await breakglass.open_exception(WISH, 7200, ANN, w.ports)
    await breakglass.close_ended(w.ports)
    assert w.store.journal.kinds() == [EventKind.EXCEPTION_OPENED]
    w.store.clock.advance(7200)
    await breakglass.close_ended(w.ports)
    await breakglass.close_ended(w.ports)
    assert w.store.journal.kinds() == [EventKind.EXCEPTION_OPENED, EventKind.EXCEPTION_CLOSED]
    assert breakglass.find(made.id, w.ports).closed == made.until
    with pytest.raises(Fault, match="has ended already"):
        await breakglass.close(made.id, ANN, w.ports)


async def test_it_is_reviewed_once_it_is_over_and_only_once() -> None:
    w = await world()
    made = await breakglass.open_exception(WISH, 7200, ANN, w.ports)
    with pytest.raises(Fault, match="close it first"):
        await breakglass.review(made.id, EVE, w.ports)
    w.store.clock.advance(7200)
    assert (await breakglass.review(made.id, EVE, w.ports)).closed_by == "its end"
    with pytest.raises(Fault, match="reviewed already, by 'eve'"):
        await breakglass.review(made.id, EVE, w.ports)
    with pytest.raises(Fault, match="countersign exceptions list"):
        await breakglass.review("none", EVE, w.ports)
