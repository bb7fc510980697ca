"""Denials by operators: of a digest, or of whole repositories. They win over every signature and every exception."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from proxy.oci.reference import Digest, Repository
from proxy.trust.pattern import matches

EVERYWHERE = "**"


@dataclass(frozen=True)
class Denial:
    """One denial: of `digest` wherever it is, or (None) of everything in the repositories of the pattern."""

    id: str
    digest: Digest | None
    repositories: str  # a pattern; `**` beside a digest
    reason: str
    by: str
    at: datetime
    until: datetime | None = None  # None: until it is removed

    @property
    def target(self) -> str:
        """The denied digest or pattern, as it was written."""
        return self.digest or self.repositories

    def holds_at(self, now: datetime) -> bool:
        """True until the denial expires."""
        return self.until is None or now < self.until

    def is_about(self, repository: Repository, digests: Collection[Digest]) -> bool:
        """True when one of these digests, in this repository, is denied."""
        return (self.digest is None or self.digest in digests) and matches(self.repositories, repository)

    def says(self, digest: Digest) -> str:
        """Return why the denial covers this manifest, for people."""
        what = "it" if self.digest == digest else f"{self.digest}, which lists it,"
        if self.digest is None:
            what = "everything" if self.repositories == EVERYWHERE else f"repository {self.repositories}"
        until = "" if self.until is None else f" until {self.until:%Y-%m-%dT%H:%M:%SZ}"
        return f"an operator denied {what}{until}: {self.reason}"
