"""What manifests list."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from proxy.oci.reference import Digest, Repository
from proxy.trust.fact import ManifestFact


class Facts(Protocol):
    """Content we hashed ourselves."""

    async def learn(self, fact: ManifestFact) -> None:
        """Record the fact; `artifact` is only ever overwritten by a value that is not None."""

    async def manifest(self, repository: Repository, digest: Digest) -> ManifestFact | None:
        """Return what we know of this manifest here, or None."""

    async def parents(
        self, repository: Repository, digest: Digest, limit: int, first: Collection[Digest] = ()
    ) -> tuple[Digest, ...]:
        """Return indexes here that list this manifest: those of `first`, then the newest."""

    async def listing(self, repository: Repository, blob: Digest, limit: int) -> tuple[ManifestFact, ...]:
        """Return manifests here that list this blob, newest first."""

    async def forget(self, repository: Repository, digest: Digest) -> None:
        """Drop what is known of a manifest that was deleted."""
