"""Who is let in: upstream is asked before a body is read, a row written or anything else kept for a caller."""

from __future__ import annotations

from collections.abc import Hashable

from proxy.flows.asked import Answer, Asked
from proxy.flows.house import House
from proxy.flows.resolve import ERROR_HEADERS
from proxy.oci.reference import Repository


async def turned_away(repository: Repository, asked: Asked, house: House) -> Answer | None:
    """Return None where upstream lets this credential write here, else its own refusal to be relayed.

    Nothing is asked where an upload was just started with this credential: so an ordinary push costs no question.
    Raises Unavailable.
    """
    refusal = await house.rights.let_in(repository, asked.credential)
    if refusal is None:
        return None
    return Answer(refusal.status, tuple(pair for pair in refusal.headers if pair[0] in ERROR_HEADERS), refusal.body)


def holder_of(asked: Asked, house: House) -> Hashable | None:
    """Return whose share of what is bounded this request counts against: the proven name, else the address."""
    name = house.rights.proven(asked.credential)
    return asked.network if name is None else ("name", name)
