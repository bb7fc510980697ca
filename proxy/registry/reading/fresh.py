"""Nothing is signed by denials and keys that may be old, and nothing is served by very old ones.

Where several servers share a store, each knows what the others denied and which keys they declared compromised only by
reading it again and again. A server that cannot read it any more cannot know, and stops: pushes first.
"""

from __future__ import annotations

from proxy.oci.faults import Told, Unavailable
from proxy.oci.reference import Repository
from proxy.registry.ports_in_use import Ports


def require_fresh(ports: Ports) -> None:
    """Return where denials and keys were read lately enough to push and sign by. Raises Unavailable.

    To be asked right before what cannot be undone; it costs nothing.
    """
    bound = ports.limits.books_sign_s
    if ports.books.age() > bound:
        raise _old(bound, "pushes and signing stop")


def require_known(repository: Repository, ports: Ports) -> None:
    """Return where they were read lately enough to serve by, or somebody broke the glass here. Raises Unavailable."""
    bound = ports.limits.books_pull_s
    if ports.books.age() > bound and not ports.overrides.in_force().without_record(repository):
        raise _old(bound, "pulls stop")


def _old(bound_s: float, stops: str) -> Unavailable:
    """Return the refusal. Its text is always the same: refusals that say the same are one row of the journal."""
    return Unavailable(
        f"this server has not read denials and keys from the store for more than {bound_s:g} s, and {stops} until "
        "it has; its operator sees why: countersign status",
        told=Told.RECORD,
    )
