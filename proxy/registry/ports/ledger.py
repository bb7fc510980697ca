"""Our signatures as the flows need them: entry by entry, and as a whole."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from proxy.oci.reference import Digest, Repository
from proxy.trust.ledger import Entry, SignatureKey, Stage


class Ledger(Protocol):
    """Our signatures. Every call is durable before it returns."""

    async def find(self, key: SignatureKey) -> Entry | None:
        """Return the entry of exactly this signature, or None."""

    async def put(self, entry: Entry) -> Entry:
        """Insert the entry, or return the existing one if its stage is further on."""

    async def advance(self, keys: Sequence[SignatureKey], stage: Stage, artifact: Digest | None = None) -> None:
        """Move entries to a stage (attached, removed), with the manifest that carries them; `at` is unchanged.

        Entries that were removed meanwhile stay removed: only a new signing brings them back.
        """

    async def entries(self, repository: Repository, digest: Digest) -> tuple[Entry, ...]:
        """Return our signatures for this digest in this repository, newest first, without removed ones."""

    async def bound(self, repository: Repository, bound: str) -> tuple[Entry, ...]:
        """Return our signatures in this repository with exactly this binding, newest first, without removed ones."""


class Signed(Protocol):
    """All our signatures, read in parts. All calls raise Unavailable."""

    async def images(
        self, fingerprints: Collection[str], repository: str, after: tuple[str, str], limit: int
    ) -> tuple[tuple[Repository, Digest], ...]:
        """Return images signed by one of these keys, in one repository or (empty) in all, after `after`."""

    async def count(self, fingerprints: Collection[str], repository: str) -> int:
        """Return how many images `images` would list."""
