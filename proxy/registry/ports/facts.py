"""The facts port: the children and blobs that manifests list."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from proxy.oci.reference import Digest, Repository, Tag
from proxy.trust.fact import Hold, Listing, ManifestFact, TagFact
from proxy.trust.ledger import Entry, SignatureKey, Stage


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

    async def repositories(self, limit: int) -> tuple[Repository, ...]:
        """Return repositories of which we know a manifest, in the order of their names, at most `limit`."""

    async def ancestors(self, repository: Repository, digest: Digest, limit: int) -> frozenset[Digest]:
        """Return the indexes above this manifest, at any depth; more than `limit` entries: there are others."""

    async def passed(self, repository: Repository, digest: Digest, at: datetime) -> None:
        """Record that this manifest passed now: a search hint for this and all other servers, never a verdict."""

    async def forget(self, repository: Repository, digest: Digest) -> None:
        """Drop all facts about a deleted manifest."""


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


class Tags(Protocol):
    """One row per tag: the digest it points at, and the lock for moving it. All calls raise Unavailable.

    `sole` is true when no other process can write the rows: a hold is then in memory and costs no commit.
    """

    sole: bool

    async def find(self, repository: Repository, tags: Collection[Tag]) -> Mapping[Tag, TagFact]:
        """Return what is recorded about these tags; unknown tags are left out."""

    async def take(
        self, repository: Repository, tags: Collection[Tag], holder: str, moving_to: Mapping[Tag, Digest]
    ) -> Hold | None:
        """Hold all of these tags for `HELD_S`, or none: None while another holder has one; nothing is written then.

        `moving_to` is recorded for tags that point elsewhere: at once, or, if `sole`, by `begin`.
        """

    async def begin(self, hold: Hold, moving_to: Mapping[Tag, Digest]) -> None:
        """Record where these tags are moving to, in the next commit that a task waits for."""

    async def begun(self, hold: Hold) -> None:
        """Return once that record is durable. A tag moves only afterwards."""

    async def renew(self, hold: Hold) -> bool:
        """Hold the tags for another `HELD_S`; False if another holder took one of them: then stop at once."""

    async def give_back(self, hold: Hold, facts: Sequence[TagFact]) -> bool:
        """Record the facts about these tags and release them all; False if they were lost before.

        A tag without any known fact has no row.
        """

    async def learn(self, fact: TagFact) -> None:
        """Record where a tag was seen to point, unless that is known, or another task holds the tag."""

    async def gone(self, repository: Repository, digest: Digest, stays: Callable[[Tag], bool]) -> tuple[Tag, ...]:
        """Record that a manifest was deleted, and return all tags that pointed at it.

        They now point at nothing, except those for which `stays` is true: these never move.
        """

    async def above(self, repository: Repository, digest: Digest, depth: int, limit: int) -> tuple[Tag, ...]:
        """Return tags that point (or move) to this manifest or blob, or to a manifest above it.

        At most `depth` levels up are searched.
        """

    async def unfinished(self, limit: int, after: TagFact | None = None) -> tuple[TagFact, ...]:
        """Return tags with an unfinished move that no task holds, oldest first; with `after`, only later ones."""
