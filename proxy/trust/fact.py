"""Facts about content that we hashed ourselves and about tags; never a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from proxy.oci.reference import Digest, Repository, Tag


@dataclass(frozen=True)
class ManifestFact:
    """This manifest, seen in this repository, lists these children and blobs.

    `artifact`: None not examined, True every layer parsed as the signature format it claims, False not every layer did.
    """

    repository: Repository
    digest: Digest
    media_type: str
    size: int
    children: tuple[Digest, ...] = ()
    blobs: tuple[Digest, ...] = ()
    subject: Digest | None = None
    artifact: bool | None = None


@dataclass(frozen=True)
class Listing:
    """Manifests that list a digest, recently passed ones first, then the newest; `whole`: there are no others."""

    digests: tuple[Digest, ...] = ()
    whole: bool = True


@dataclass(frozen=True)
class TagFact:
    """This tag points at `digest` (None: at nothing we know of) since `at`; `by` moved it, `how` proves who that is.

    `moving_to`: the target of an unfinished push. If that is `digest` itself, the tag has moved, and its former images
    may still carry signatures that name it.
    """

    repository: Repository
    tag: Tag
    digest: Digest | None
    at: datetime
    by: str = ""
    how: str = ""
    moving_to: Digest | None = None


HELD_S = 15.0  # a hold expires after this many seconds unless it is renewed


@dataclass(frozen=True)
class Hold:
    """Tags that only one holder may move. `rows` are the facts about them when they were taken."""

    repository: Repository
    tags: tuple[Tag, ...]
    holder: str
    rows: Mapping[Tag, TagFact]


_DIGEST = 130  # bytes of memory, measured and rounded up


def of_fact(fact: ManifestFact) -> int:
    """Return the bytes of a manifest's fact."""
    return 1_000 + _DIGEST * (len(fact.children) + len(fact.blobs))
