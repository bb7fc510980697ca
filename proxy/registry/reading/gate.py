"""Admission: upstream is asked before a body is read, a row written or anything else stored for a caller."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import suppress

from proxy.journal.event import Event, EventKind
from proxy.oci.faults import Unavailable
from proxy.oci.reference import Repository
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.resolve import ERROR_HEADERS
from proxy.registry.request import Request, Response
from proxy.trust.question import Anonymous, name_of


async def turned_away(repository: Repository, request: Request, ports: Ports) -> Response | None:
    """Return None if upstream lets this credential write here, else its own refusal to be relayed.

    No request is sent if an upload was just started with this credential, so an ordinary push costs none. Callers that
    are not admitted are counted, and nothing else is stored about them. Raises Unavailable.
    """
    refusal = await ports.rights.let_in(repository, request.credential)
    if refusal is None:
        return None
    if refusal.status in (401, 403):
        await _count(refusal.status, request, ports)
    return Response(refusal.status, tuple(pair for pair in refusal.headers if pair[0] in ERROR_HEADERS), refusal.body)


def holder_of(request: Request, ports: Ports) -> Hashable | None:
    """Return the holder whose share this request uses: the proven name, else the address."""
    name = ports.rights.proven(request.credential)
    return request.network if name is None else ("name", name)


async def _count(status: int, request: Request, ports: Ports) -> None:
    event = Event(
        at=ports.clock.now(),
        kind=EventKind.TURNED_AWAY,
        who=name_of(Anonymous()),
        how=f"address {request.network or request.address or 'not told'}",
        reason=str(status),
        policy_revision=ports.rules.current().revision,
        key_revision=ports.keybook.ring().revision,
    )
    if not ports.cache.rows.own(EventKind.TURNED_AWAY, event):
        event = event._replace(how="other addresses")
    with suppress(Unavailable):  # a store that is down must not admit them, nor be revealed to them
        await ports.journal.counted(event)
