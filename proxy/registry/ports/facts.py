"""What manifests list."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from proxy.oci.reference import Digest, Repository
from proxy.trust.fact import Listing, ManifestFact


class Facts(Protocol):
    """Content we hashed ourselves. All calls raise Unavailable."""

    async def learn(self, fact: ManifestFact, *, fresh: bool = False) -> None:
        """Record the fact; `artifact` is only ever overwritten by a value that is not None.

        `fresh`: it is about bytes that were made just now, so it is not looked up first.
        """

    async def manifest(self, repository: Repository, digest: Digest) -> ManifestFact | None:
        """Return what we know of this manifest here, or None."""

    async def parents(self, repository: Repository, digest: Digest, limit: int, skip: int = 0) -> Listing:
        """Return indexes here that list this manifest: the newest `limit` after `skip`, what passed lately in front.

        Where there are more, the first page also has those that passed lately and are not denied, up to `limit`.
        """

    async def listing(self, repository: Repository, blob: Digest, limit: int, skip: int = 0) -> Listing:
        """Return manifests here that list this blob, in the same way."""

    async def ancestors(self, repository: Repository, digest: Digest, limit: int) -> frozenset[Digest]:
        """Return the indexes here above this manifest, at any depth; more than `limit`: there are others."""

    async def passed(self, repository: Repository, digest: Digest, at: datetime) -> None:
        """Note that this manifest passed now: where to look first, here and on every other server. Never a verdict."""

    async def forget(self, repository: Repository, digest: Digest) -> None:
        """Drop what is known of a manifest that was deleted."""
