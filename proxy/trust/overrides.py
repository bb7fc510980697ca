"""What operators have ordered beside the policies, as it stands at one moment."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from proxy.oci.reference import Digest, Repository
from proxy.trust.denial import Denial
from proxy.trust.exception import PolicyException
from proxy.trust.named import Named
from proxy.trust.pattern import matches


@dataclass(frozen=True)
class Overrides:
    """The denials and exceptions in force: a value, so that a decision made with it says what it rests on."""

    denials: tuple[Denial, ...] = ()
    exceptions: tuple[PolicyException, ...] = ()

    @cached_property
    def stamp(self) -> tuple[str, ...]:
        """What a remembered decision must share: it differs as soon as one is added, removed, closed or over."""
        return (*(d.id for d in self.denials), *(e.id for e in self.exceptions))

    @cached_property
    def mark(self) -> int:
        """What stands as a number of this process: another one too when a denial or an exception was renewed."""
        denials = tuple((d.id, d.at, d.until) for d in self.denials)
        return hash((denials, tuple((e.id, e.until) for e in self.exceptions)))

    @cached_property
    def named(self) -> frozenset[Digest]:
        """Every digest that is named: what an index of that digest lists is meant too."""
        return frozenset(self._denials.digests) | frozenset(self._exceptions.digests)

    @cached_property
    def _denials(self) -> Named[Denial]:
        return Named(self.denials)

    @cached_property
    def _exceptions(self) -> Named[PolicyException]:
        return Named(self.exceptions)

    def denial(self, repository: Repository, digests: Collection[Digest]) -> Denial | None:
        """Return the denial of any of these digests here, or None."""
        return next(self._denials.about(repository, digests), None)

    def excepted(self, repository: Repository) -> tuple[Digest, ...]:
        """Return the digests that exceptions name and that may be let through in this repository."""
        return tuple(e.digest for e in self.exceptions if e.digest and matches(e.repositories, repository))

    def exception(self, repository: Repository, digests: Collection[Digest]) -> PolicyException | None:
        """Return the exception that covers one of these digests here: the narrowest, then the one that ends last."""
        fitting = self._exceptions.about(repository, digests)
        return max(fitting, key=lambda e: (e.digest is not None, "*" not in e.repositories, e.until), default=None)

    def without_record(self, repository: Repository) -> bool:
        """True where something is let through here even though the store does not answer: root has said so."""
        return any(matches(e.repositories, repository) for e in self._offline)

    @cached_property
    def _offline(self) -> tuple[PolicyException, ...]:
        return tuple(e for e in self.exceptions if e.offline)

    def unsigned_push(self, repository: Repository, digest: Digest) -> PolicyException | None:
        """Return the exception under which this may be pushed here without a signature, or None."""
        allowing = [e for e in self._exceptions.about(repository, {digest}) if e.unsigned_push]
        return max(allowing, key=lambda e: e.until, default=None)


@dataclass(frozen=True)
class AllOverrides:
    """Every denial and every exception, in force or not; `unrecorded` is the one that only this host knows yet."""

    denials: tuple[Denial, ...] = ()
    exceptions: tuple[PolicyException, ...] = ()
    unrecorded: str = ""


@dataclass(frozen=True)
class OverrideWindow:
    """What stands from one moment until something changes by itself (None: never)."""

    standing: Overrides
    since: datetime
    until: datetime | None

    def spans(self, now: datetime) -> bool:
        """True while it still says what stands; a clock that went back asks again."""
        return self.since <= now and (self.until is None or now < self.until)


def overrides_at(orders: AllOverrides, now: datetime, latest: datetime) -> OverrideWindow:
    """Return what stands now.

    Exceptions are held against `latest`, the latest time ever seen: a clock that is set back opens none again, and
    makes none longer. Denials are held against the clock as it is: set forward and back, they hold again.
    """
    standing = Overrides(
        tuple(d for d in orders.denials if d.holds_at(now)), tuple(e for e in orders.exceptions if e.open_at(latest))
    )
    ends = [d.until for d in standing.denials if d.until is not None]
    turns = [at for e in orders.exceptions if e.closed is None for at in (e.opened, e.until) if at > latest]
    return OverrideWindow(standing, now, min([*ends, *turns], default=None))
