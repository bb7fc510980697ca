"""Images pushed without a signature under an exception, and owed one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from proxy.oci.reference import Digest, Repository, Tag


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
