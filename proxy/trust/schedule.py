"""Scheduled changes of our keys: how one key replaces another, and what is due, from key book, plans and time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from proxy.oci.duration import parse_span, span_text
from proxy.trust.keys import BookKey, KeyRing, KeyState

PUBLISH_FIRST, DUAL_SIGN = "publish-first", "dual-sign"
NONE = "none"
ALLOWED = "publish-first:14d, dual-sign:14d, both with a comma between them, or none"


@dataclass(frozen=True)
class Handover:
    """The terms of a replacement.

    `publish_first`: the new key is published and verifies this long before it signs. `dual_sign`: after that, both keys
    sign for this long. `retire_after`: the old key is retired this long after the new one began; None: never
    automatically.
    """

    publish_first: timedelta | None = None
    dual_sign: timedelta | None = None
    retire_after: timedelta | None = None

    def __post_init__(self) -> None:
        """Refuse terms that would retire a key that still signs. Raises ValueError."""
        if self.dual_sign is not None and self.retire_after is not None and self.retire_after < self.dual_sign:
            raise ValueError(
                f"the old key signs for {span_text(self.dual_sign)} more, so it cannot be retired after "
                f"{span_text(self.retire_after)} already"
            )

    def with_overrides(self, overlap: Handover | None = None, retire_after: timedelta | None = None) -> Handover:
        """Return the terms with the given values replaced. Raises ValueError."""
        chosen = overlap or self
        return replace(chosen, retire_after=self.retire_after if retire_after is None else retire_after)

    def signs_until(self, begins: datetime) -> datetime | None:
        """Return when the old key stops signing beside the new one, which begins at that moment."""
        return None if self.dual_sign is None else begins + self.dual_sign

    def retires(self, begins: datetime) -> datetime | None:
        """Return when the old key is retired if the new one begins at that moment."""
        return None if self.retire_after is None else begins + self.retire_after


def parse_overlap(text: str) -> Handover:
    """Return the overlap in `publish-first:14d`, `dual-sign:14d` or both. Raises ValueError: what is allowed."""
    found: dict[str, timedelta] = {}
    if text == NONE:
        return Handover()
    for part in text.split(","):
        kind, colon, span = part.strip().partition(":")
        if not colon or kind not in (PUBLISH_FIRST, DUAL_SIGN) or kind in found:
            raise ValueError(f"allowed: {ALLOWED}")
        found[kind] = parse_span(span)
    return Handover(found.get(PUBLISH_FIRST), found.get(DUAL_SIGN))


NEVER = timedelta()


@dataclass(frozen=True)
class KeyPlan:
    """The rotation schedule of one profile: its tokens, in order; None: no automatic change."""

    tokens: tuple[str, ...] = ()
    terms: Handover = field(default_factory=Handover)
    rotate_every: timedelta | None = None
    announce: timedelta = timedelta(days=14)


class ChangeKind(StrEnum):
    """The kinds of automatic changes of a key."""

    ROTATE = "rotate"  # a new key is made; it begins when the old one is `rotate_every` old
    ACTIVATE = "activate"
    RETIRE = "retire"
    STOP = "stops signing"  # beside another one; requires no action


@dataclass(frozen=True)
class ScheduledChange:
    """A change of a profile's keys on one token, at this moment or soon after."""

    what: ChangeKind
    at: datetime
    profile: str
    token: str
    key: str  # fingerprint: of the key that is rotated, activated, retired, or stops signing
    blocked: str = ""  # why it will not happen until an operator acts


def coming(ring: KeyRing, plans: Mapping[str, KeyPlan]) -> tuple[ScheduledChange, ...]:
    """Return all scheduled changes, the soonest first."""
    return tuple(sorted(_all(ring, plans), key=lambda each: (each.at, each.profile, each.token, each.what)))


def due(ring: KeyRing, plans: Mapping[str, KeyPlan], now: datetime) -> tuple[ScheduledChange, ...]:
    """Return the changes due now. A clock that goes back finds fewer; completed changes stay completed."""
    return tuple(c for c in coming(ring, plans) if c.at <= now and not c.blocked and c.what is not ChangeKind.STOP)


def announced(
    all_of_it: Iterable[ScheduledChange], plans: Mapping[str, KeyPlan], now: datetime
) -> tuple[ScheduledChange, ...]:
    """Return changes that are near enough to announce, and those that are overdue."""
    usual = KeyPlan()
    soon = (c for c in all_of_it if c.at - plans.get(c.profile, usual).announce <= now)
    return tuple(c for c in soon if c.what is not ChangeKind.STOP or c.at > now)


def begins(key: BookKey, plan: KeyPlan, now: datetime) -> datetime:
    """Return when the key that is made now replaces this one.

    That is on the scheduled day, and never before the new key has been published long enough.
    """
    shown = now + (plan.terms.publish_first or NEVER)
    return shown if plan.rotate_every is None else max(shown, key.since + plan.rotate_every)


def _all(ring: KeyRing, plans: Mapping[str, KeyPlan]) -> Iterator[ScheduledChange]:
    for key in ring.ours:
        plan, own = plans.get(key.profile, KeyPlan()), key.fingerprint
        if key.state is KeyState.PREPARED and key.activate_at is not None:
            yield ScheduledChange(ChangeKind.ACTIVATE, key.activate_at, key.profile, key.token, own)
        elif key.state is KeyState.TRUSTED:
            yield from _ends(key, own, ring, plan)
        elif key.state is KeyState.ACTIVE and plan.rotate_every is not None and key.token in plan.tokens:
            at = key.since + plan.rotate_every - (plan.terms.publish_first or NEVER)
            waiting = ring.prepared(key.profile, key.token)
            if waiting is None:
                yield ScheduledChange(ChangeKind.ROTATE, at, key.profile, key.token, own)
            elif waiting.activate_at is None:
                name = waiting.short
                yield ScheduledChange(
                    ChangeKind.ROTATE, at, key.profile, key.token, own, f"key {name} is prepared and has no day"
                )


def _ends(key: BookKey, own: str, ring: KeyRing, plan: KeyPlan) -> Iterator[ScheduledChange]:
    """Yield when a trusted key stops signing and is retired: never while it signs, nor while no other key does."""
    if key.signs_until is not None:
        yield ScheduledChange(ChangeKind.STOP, key.signs_until, key.profile, key.token, own)
    if key.retire_after is not None:
        at = key.retire_after if key.signs_until is None else max(key.retire_after, key.signs_until)
        tokens = plan.tokens or (None,)  # an active key on a token removed from configuration signs nothing
        signs = any(ring.active(key.profile, token) is not None for token in tokens)
        blocked = "" if signs else f"no other key signs for {key.profile}"
        yield ScheduledChange(ChangeKind.RETIRE, at, key.profile, key.token, own, blocked)
