"""The facts port: the children and blobs that manifests list."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from proxy.oci.reference import Digest, Repository
from proxy.trust.fact import Listing, ManifestFact


class Facts(Protocol):
    """Facts about content that we hashed ourselves. All calls raise Unavailable."""

    async def learn(self, fact: ManifestFact, *, fresh: bool = False) -> None:
        """Record the fact; `artifact` is only overwritten by a value that is not None.

        `fresh`: the bytes were made just now, so the store is not searched first.
        """

    async def manifest(self, repository: Repository, digest: Digest) -> ManifestFact | None:
        """Return our fact about this manifest in this repository, or None."""

    async def parents(self, repository: Repository, digest: Digest, limit: int, skip: int = 0) -> Listing:
        """Return indexes that list this manifest: the newest `limit` after `skip`, recently passed ones first.

        If there are more, the first page also has those that passed recently and are not denied, up to `limit`.
        """

    async def listing(self, repository: Repository, blob: Digest, limit: int, skip: int = 0) -> Listing:
        """Return manifests that list this blob, in the same way."""

    async def ancestors(self, repository: Repository, digest: Digest, limit: int) -> frozenset[Digest]:
        """Return the indexes above this manifest, at any depth; more than `limit` entries: there are others."""

    async def passed(self, repository: Repository, digest: Digest, at: datetime) -> None:
        """Record that this manifest passed now: a search hint for this and all other servers, never a verdict."""

    async def forget(self, repository: Repository, digest: Digest) -> None:
        """Drop all facts about a deleted manifest."""
