"""Break-glass: an exception that lets blocked images through, for a scope, for a time, for a reason."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from proxy.oci.reference import Digest, Repository
from proxy.trust.pattern import matches


@dataclass(frozen=True)
class ExceptionGrant:
    """What a decision says of the exception that lets something through: which, until when, why it was opened."""

    id: str
    until: datetime
    reason: str
    offline: bool = False


@dataclass(frozen=True)
class PolicyException:
    """One exception, open from `opened` to `until` unless it was closed before.

    It lets through what is pulled: one digest (and what an index of that digest lists), or everything in the
    repositories of the pattern. With `unsigned_push`, what is pushed there while signing does not work is accepted too.
    """

    id: str
    repositories: str  # a pattern; mostly one name
    digest: Digest | None
    unsigned_push: bool
    reason: str
    by: str
    how: str
    opened: datetime
    until: datetime
    closed: datetime | None = None
    closed_by: str = ""
    reviewed: datetime | None = None
    reviewed_by: str = ""
    review: str = ""
    offline: bool = False  # made on the host, without a server

    @property
    def scope(self) -> str:
        """What it is about, for people: `team/app`, or `team/app@sha256:...`."""
        return f"{self.repositories}@{self.digest}" if self.digest else self.repositories

    def open_at(self, now: datetime) -> bool:
        """True from its opening to its end. Before its opening it is not: then a clock is wrong, here or there."""
        return self.closed is None and self.opened <= now < self.until

    def is_about(self, repository: Repository, digests: Collection[Digest]) -> bool:
        """True where it covers one of these digests in this repository."""
        return (self.digest is None or self.digest in digests) and matches(self.repositories, repository)

    def grants(self) -> ExceptionGrant:
        """Return what a decision keeps of it."""
        return ExceptionGrant(self.id, self.until, self.reason, self.offline)
