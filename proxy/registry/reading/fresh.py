"""Stop signing when denials and keys may be out of date, and stop serving when they are much older.

Servers that share a store learn of each other's denials and compromised keys only by reading the store repeatedly. A
server that can no longer read the store cannot know them, and stops: pushes first.
"""

from __future__ import annotations

from proxy.oci.faults import Told, Unavailable
from proxy.oci.reference import Repository
from proxy.registry.ports_in_use import Ports


def require_fresh(ports: Ports) -> None:
    """Return if denials and keys were read recently enough for pushes and signing. Raises Unavailable.

    Call this directly before every step that cannot be undone; it is free.
    """
    bound = ports.limits.books_sign_s
    if ports.books.age() > bound:
        raise _old(bound, "pushes and signing stop")


def require_known(repository: Repository, ports: Ports) -> None:
    """Return if they were read recently enough to serve, or a break-glass exception covers this. Raises Unavailable."""
    bound = ports.limits.books_pull_s
    if ports.books.age() > bound and not ports.overrides.in_force().without_record(repository):
        raise _old(bound, "pulls stop")


def _old(bound_s: float, stops: str) -> Unavailable:
    """Return the refusal. Its text is constant: equal refusals share one row of the journal."""
    return Unavailable(
        f"this server has not read denials and keys from the store for more than {bound_s:g} s, and {stops} until "
        "it has; its operator sees why: countersign status",
        told=Told.RECORD,
    )
