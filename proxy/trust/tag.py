"""Where a tag points, as far as we know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from proxy.oci.reference import Digest, Repository, Tag


@dataclass(frozen=True)
class TagFact:
    """This tag points at `digest` (None: at nothing we know of) since `at`; `by` moved it, `how` says how we know who.

    `moving_to`: what a push that has not ended moves it to. Where that is `digest` itself, it has moved, and images it
    left may still carry signatures that name it.
    """

    repository: Repository
    tag: Tag
    digest: Digest | None
    at: datetime
    by: str = ""
    how: str = ""
    moving_to: Digest | None = None


HELD_S = 15.0  # a hold ends by itself after so long, unless it is renewed


@dataclass(frozen=True)
class Hold:
    """Tags that one holder alone may move. `rows` is what was known of them when they were taken."""

    repository: Repository
    tags: tuple[Tag, ...]
    holder: str
    rows: Mapping[Tag, TagFact]
