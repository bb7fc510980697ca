"""Operators' overrides of the policies, as of one moment."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Generic, Protocol, TypeVar

from proxy.oci.reference import Digest, Repository
from proxy.trust.denial import Denial
from proxy.trust.exception import PolicyException
from proxy.trust.pattern import matches


@dataclass(frozen=True)
class Overrides:
    """The denials and exceptions in force: a value, so that a decision can name its basis."""

    denials: tuple[Denial, ...] = ()
    exceptions: tuple[PolicyException, ...] = ()

    @cached_property
    def stamp(self) -> tuple[str, ...]:
        """The ids that a cached decision must share: any change of the overrides, or an expiry, changes them."""
        return (*(d.id for d in self.denials), *(e.id for e in self.exceptions))

    @cached_property
    def mark(self) -> int:
        """The overrides in force as a number of this process: it also changes when an override is renewed."""
        denials = tuple((d.id, d.at, d.until) for d in self.denials)
        return hash((denials, tuple((e.id, e.until) for e in self.exceptions)))

    @cached_property
    def named(self) -> frozenset[Digest]:
        """Every digest that is named: the manifests listed by an index of that digest are covered too."""
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

    def exception(
        self, repository: Repository, digests: Collection[Digest], requirement: str
    ) -> PolicyException | None:
        """Return the exception from this requirement for these digests here: the narrowest, then the last to end."""
        fitting = (each for each in self._exceptions.about(repository, digests) if requirement in each.suspends)
        return max(fitting, key=lambda e: (e.digest is not None, "*" not in e.repositories, e.until), default=None)

    def without_record(self, repository: Repository) -> bool:
        """True when an offline exception, made by root on the host, allows images here while the store is away."""
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
    """The overrides in force from one moment until the next scheduled change (None: never)."""

    in_force: Overrides
    since: datetime
    until: datetime | None

    def spans(self, now: datetime) -> bool:
        """True while this window still applies; after a clock went back, it is computed again."""
        return self.since <= now and (self.until is None or now < self.until)


def overrides_at(orders: AllOverrides, now: datetime, latest: datetime) -> OverrideWindow:
    """Return the overrides in force now.

    Exceptions are compared with `latest`, the latest time ever seen: a clock set back neither reopens nor extends one.
    Denials are compared with the present clock: after it was set forward and back, they hold again.
    """
    in_force = Overrides(
        tuple(d for d in orders.denials if d.holds_at(now)), tuple(e for e in orders.exceptions if e.open_at(latest))
    )
    ends = [d.until for d in in_force.denials if d.until is not None]
    turns = [at for e in orders.exceptions if e.closed is None for at in (e.opened, e.until) if at > latest]
    return OverrideWindow(in_force, now, min([*ends, *turns], default=None))


class Naming(Protocol):
    """A denial or an exception: of a digest, or (None) of everything, in the repositories of the pattern."""

    @property
    def digest(self) -> Digest | None:
        """The digest it covers."""

    @property
    def repositories(self) -> str:
        """The repositories it covers."""


T = TypeVar("T", bound=Naming)


class Named(Generic[T]):
    """Denials or exceptions, by digest, by the name of one repository, and the rest by the prefix of their patterns.

    The rest is tested one by one: about a tenth of a microsecond each.
    """

    def __init__(self, all_of_them: Iterable[T]) -> None:
        """Index these items."""
        self._digests: dict[Digest, list[T]] = {}
        self._names: dict[str, list[T]] = {}
        self._patterns: list[tuple[str, T]] = []
        for each in all_of_them:
            if each.digest is not None:
                self._digests.setdefault(each.digest, []).append(each)
            elif "*" in each.repositories:
                self._patterns.append((each.repositories.partition("*")[0].rstrip("/"), each))
            else:
                self._names.setdefault(each.repositories, []).append(each)

    @property
    def digests(self) -> Collection[Digest]:
        """Every digest that is named."""
        return self._digests.keys()

    def about(self, repository: Repository, digests: Collection[Digest]) -> Iterator[T]:
        """Yield the items that cover one of these digests in this repository: those by digest first, then by name."""
        for digest in digests:
            yield from (each for each in self._digests.get(digest, ()) if _is_there(each, repository))
        yield from self._names.get(repository, ())
        for begins, each in self._patterns:
            if repository.startswith(begins) and _is_there(each, repository):
                yield each


def _is_there(each: Naming, repository: Repository) -> bool:
    return each.repositories == "**" or matches(each.repositories, repository)
