"""Break-glass: exceptions that let blocked images through for a while, and pushes accepted unsigned under them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from proxy.oci.reference import Digest, Repository, Tag
from proxy.trust.pattern import matches

SIGNATURES = "signatures"  # the requirement that an exception suspends, unless it names others


@dataclass(frozen=True)
class ExceptionGrant:
    """The part of an exception recorded with a decision: id, expiry, reason."""

    id: str
    until: datetime
    reason: str
    offline: bool = False


@dataclass(frozen=True)
class PolicyException:
    """One exception, open from `opened` to `until` unless it is closed earlier.

    It allows pulls of one digest (and of the manifests an index of that digest lists), or of everything in the
    repositories of the pattern. With `unsigned_push`, pushes there are also accepted while signing does not work.
    """

    id: str
    repositories: str  # a pattern; usually one name
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
    suspends: tuple[str, ...] = (SIGNATURES,)  # the names of requirements

    @property
    def scope(self) -> str:
        """The scope, for people: `team/app`, or `team/app@sha256:...`."""
        return f"{self.repositories}@{self.digest}" if self.digest else self.repositories

    def open_at(self, now: datetime) -> bool:
        """True from opening to end. False before the opening: a clock is then wrong, here or there."""
        return self.closed is None and self.opened <= now < self.until

    def is_about(self, repository: Repository, digests: Collection[Digest]) -> bool:
        """True when it covers one of these digests in this repository."""
        return (self.digest is None or self.digest in digests) and matches(self.repositories, repository)

    def grants(self) -> ExceptionGrant:
        """Return the part of it that a decision records."""
        return ExceptionGrant(self.id, self.until, self.reason, self.offline)


@dataclass(frozen=True)
class UnsignedPush:
    """One manifest that was accepted unsigned, by digest alone (`tag` None) or under a tag; `who` pushed it.

    Open until `settled`: signed, or no longer present. `tried` is the time of the last attempt to sign it, `note` the
    result of that attempt.
    """

    repository: Repository
    digest: Digest
    tag: Tag | None
    exception: str
    who: str
    at: datetime
    settled: datetime | None = None
    tried: datetime | None = None
    note: str = ""

    @property
    def name(self) -> str:
        """`repo:tag`, or `repo@digest`."""
        return f"{self.repository}@{self.digest}" if self.tag is None else f"{self.repository}:{self.tag}"
