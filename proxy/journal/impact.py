"""What a change affects, as values: which images are counted, and how many there are, pulled by whom. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from proxy.oci.reference import Digest
from proxy.oci.slices import Slice

WINDOW = timedelta(days=30)
NAMED = 5  # most images, and most callers, that are named; all are counted
REPOSITORIES = 10_000  # most repositories of one pattern that are counted


@dataclass(frozen=True)
class SignedBy:
    """Images that one of these keys has signed, and fewer than `needed` of the keys `others`.

    With `since`, only those that these keys signed no earlier; with `repository`, only those in it.
    """

    keys: tuple[str, ...]
    others: tuple[str, ...] = ()
    needed: int = 1
    since: datetime | None = None
    repository: str = ""


@dataclass(frozen=True)
class Within:
    """Images in the repositories of a pattern or, with `digests`, those of them that have one of these digests."""

    repositories: str
    digests: tuple[Digest, ...] = ()


@dataclass(frozen=True)
class BlockedIn(Within):
    """Of those, the images whose pulls policy blocked or warned about in the window."""


@dataclass(frozen=True)
class NamedImage:
    """An affected image: some of its tags, and its pulls in the window."""

    repository: str
    digest: str
    tags: tuple[str, ...]
    pulls: int


@dataclass(frozen=True)
class AffectedImages:
    """How many images in how many repositories, how many were pulled in the window, by how many callers; some by name.

    The most pulled images and the callers with the most pulls come first. With `more`, a pattern matches more
    repositories than are counted.
    """

    images: int
    repositories: int
    pulled: int
    callers: int
    by: tuple[str, ...]
    named: tuple[NamedImage, ...]
    more: bool = False


@dataclass(frozen=True)
class SignedImage:
    """An image that keys have signed, first at `signed`. If `only`, fewer of the `others` have than are `needed`."""

    repository: str
    digest: str
    tags: tuple[str, ...]
    signed: datetime
    only: bool


class Impact(Protocol):
    """Counts the images that a change affects, and lists those of keys. All calls raise Unavailable."""

    async def signed(self, by: SignedBy, part: Slice, *, only: bool = False) -> tuple[SignedImage, ...]:
        """Return images that `by.keys` have signed, by name; with `only`, those that need them.

        The key of an image is its repository and its digest.
        """

    async def affected(self, by: SignedBy | Within, since: datetime) -> AffectedImages:
        """Return the images, with their pulls since then."""
