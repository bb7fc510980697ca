"""Deny a digest or repositories, and remove denials: journaled first, in force on return."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime

from proxy.journal.event import Event, EventKind
from proxy.oci.faults import Conflict, Invalid, NotFound
from proxy.oci.reference import Digest
from proxy.overrides.changes import same_order, with_denial
from proxy.registry.ports_in_use import Ports
from proxy.trust.actor import Actor
from proxy.trust.allotment import Allotment, Rank, allotment
from proxy.trust.denial import EVERYWHERE, Denial


async def deny(target: Digest | str, until: datetime | None, actor: Actor, ports: Ports, *, digest: bool) -> Denial:
    """Return the new denial, now in force: of a digest everywhere, or of the repositories of a pattern.

    If the same holder has denied the target before, the denial is extended to the later end. Raises Fault (the end is
    past, or the holder's allotment is full), Unavailable.
    """
    made = may_deny(target, until, actor, ports, digest=digest)
    await ports.journal.record(_event(EventKind.DENIAL_ADDED, made, actor, ports))
    try:
        await ports.overrides.deny(made, _room(made, actor, ports))
    except ValueError as full:
        raise Conflict(str(full)) from None
    return made


def may_deny(target: Digest | str, until: datetime | None, actor: Actor, ports: Ports, *, digest: bool) -> Denial:
    """Return the denial as it would be in force. Raises Fault if its end is past or the holder's allotment is full."""
    now = ports.clock.now()
    if until is not None and until <= now:
        raise Invalid(f"its end {until:%Y-%m-%dT%H:%M:%SZ} is past; omit it to deny permanently")
    wanted = Denial(
        id=secrets.token_hex(6),
        digest=Digest(target) if digest else None,
        repositories=EVERYWHERE if digest else target,
        reason=actor.reason[:500],
        by=actor.name,
        at=now,
        until=until,
    )
    orders = ports.overrides.orders()
    before = next((d for d in orders.denials if d.holds_at(now) and same_order(d, wanted)), None)
    if before is not None:
        wanted = replace(wanted, id=before.id, until=later_end(before.until, until))
    try:
        with_denial(orders, wanted, now, _room(wanted, actor, ports))
    except ValueError as full:
        raise Conflict(str(full)) from None
    return wanted


def _room(denial: Denial, actor: Actor, ports: Ports) -> Allotment | None:
    """Return the actor's allotment; None (no limit) for denying a digest by an actor who may do so everywhere."""
    if denial.digest is not None and actor.rank > Rank.SCOPED:
        return None
    return allotment(ports.limits.denials, ports.limits.denials_each, actor.name, actor.rank)


def later_end(one: datetime | None, other: datetime | None) -> datetime | None:
    """Return the later of two ends; None means never."""
    return None if one is None or other is None else max(one, other)


async def lift(denial_id: str, actor: Actor, ports: Ports) -> Denial:
    """Return the denial, which is now removed. Raises Fault if none has this id, Unavailable."""
    found = find(denial_id, ports)
    await ports.journal.record(_event(EventKind.DENIAL_REMOVED, found, actor, ports))
    await ports.overrides.lift(denial_id)
    return found


def find(denial_id: str, ports: Ports) -> Denial:
    """Return the denial with this id. Raises Fault."""
    found = next((d for d in ports.overrides.orders().denials if d.id == denial_id), None)
    if found is None:
        raise NotFound(f"no denial {denial_id!a}; list them with: countersign deny list")
    return found


def _event(kind: EventKind, denial: Denial, actor: Actor, ports: Ports) -> Event:
    return ports.event(
        kind,
        actor,
        about=("" if denial.digest else denial.repositories, "", denial.digest or ""),
        detail={
            "denial": denial.id,
            "until": None if denial.until is None else denial.until.isoformat(),
            "reason": actor.reason,
        },
    )
