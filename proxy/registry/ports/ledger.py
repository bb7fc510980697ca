"""What we signed, as the flows need it: entry by entry, and the whole of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from proxy.oci.reference import Digest, Repository
from proxy.trust.ledger import Entry, SignatureKey, Stage


class Ledger(Protocol):
    """What we signed. Every call is durable before it returns."""

    async def find(self, key: SignatureKey) -> Entry | None:
        """Return the entry of this very signature, or None."""

    async def put(self, entry: Entry) -> Entry:
        """Insert the entry, or return the one that is there already when its stage is further on."""

    async def advance(self, keys: Sequence[SignatureKey], stage: Stage, artifact: Digest | None = None) -> None:
        """Move entries to a stage (attached, removed), with the manifest that carries them; `at` stays as it was.

        What was removed meanwhile stays so: only signing it again brings it back.
        """

    async def entries(self, repository: Repository, digest: Digest) -> tuple[Entry, ...]:
        """Return everything we signed for this digest here, newest first, removed ones left out."""

    async def bound(self, repository: Repository, bound: str) -> tuple[Entry, ...]:
        """Return everything we signed here bound to exactly this, newest first, removed ones left out."""


class Signed(Protocol):
    """The whole of what we signed, walked through in parts. All calls raise Unavailable."""

    async def images(
        self, fingerprints: Collection[str], repository: str, after: tuple[str, str], limit: int
    ) -> tuple[tuple[Repository, Digest], ...]:
        """Return images that one of these keys has signed, in one repository or (empty) in all, behind `after`."""

    async def count(self, fingerprints: Collection[str], repository: str) -> int:
        """Return how many images `images` would list."""
