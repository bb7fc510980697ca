"""Who is let in: upstream is asked before a body is read, a row written or anything else kept for a caller."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import suppress

from proxy.flows.asked import Answer, Asked
from proxy.flows.house import House
from proxy.flows.resolve import ERROR_HEADERS
from proxy.oci.faults import Unavailable
from proxy.oci.reference import Repository
from proxy.trust.event import Event, Kind
from proxy.trust.question import Anonymous, name_of


async def turned_away(repository: Repository, asked: Asked, house: House) -> Answer | None:
    """Return None where upstream lets this credential write here, else its own refusal to be relayed.

    Nothing is asked where an upload was just started with this credential: so an ordinary push costs no question.
    Who is not let in is counted, and nothing else is kept of them. Raises Unavailable.
    """
    refusal = await house.rights.let_in(repository, asked.credential)
    if refusal is None:
        return None
    if refusal.status in (401, 403):
        await _count(refusal.status, asked, house)
    return Answer(refusal.status, tuple(pair for pair in refusal.headers if pair[0] in ERROR_HEADERS), refusal.body)


def holder_of(asked: Asked, house: House) -> Hashable | None:
    """Return whose share of what is bounded this request counts against: the proven name, else the address."""
    name = house.rights.proven(asked.credential)
    return asked.network if name is None else ("name", name)


async def _count(status: int, asked: Asked, house: House) -> None:
    event = Event(
        at=house.clock.now(),
        kind=Kind.TURNED_AWAY,
        who=name_of(Anonymous()),
        how=f"address {asked.network or asked.address or 'not told'}",
        reason=str(status),
        policy_revision=house.rules.current().revision,
        key_revision=house.keybook.ring().revision,
    )
    if not house.memory.rows.own(Kind.TURNED_AWAY, event):
        event = event._replace(how="other addresses")
    with suppress(Unavailable):  # a store that is down is no reason to let them in, nor to tell them of it
        await house.journal.counted(event)
