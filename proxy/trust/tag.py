"""The known target of a tag, and the hold of a task that moves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from proxy.oci.reference import Digest, Repository, Tag


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
