"""The table of tags, and its rows as facts."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Index, Row, Table, Text, text

from proxy.oci.reference import Digest, Repository, Tag
from proxy.store.tables import BIG, Instant, metadata
from proxy.trust.tag import TagFact

_MOVING = text("moving_to IS NOT NULL")

# Where each tag points, and (holder, fence, until) who may move it now. A row with neither is deleted.
tags = Table(
    "tags",
    metadata,
    Column("repository", Text, primary_key=True),
    Column("tag", Text, primary_key=True),
    Column("digest", Text),
    Column("at", Instant, nullable=False),
    Column("by", Text, nullable=False),
    Column("how", Text, nullable=False),
    Column("moving_to", Text),
    Column("holder", Text),
    Column("fence", BIG, nullable=False),
    Column("until", Instant),
    Index("tags_by_digest", "repository", "digest"),
    Index("tags_moving", "moving_to", sqlite_where=_MOVING),
)

FACT = ("digest", "at", "by", "how", "moving_to")  # the columns of the fact


def values_of(fact: TagFact) -> dict[str, Any]:
    return {
        "repository": fact.repository,
        "tag": fact.tag,
        "digest": fact.digest,
        "at": fact.at,
        "by": fact.by,
        "how": fact.how,
        "moving_to": fact.moving_to,
    }


def fact_of(row: Row[Any]) -> TagFact:
    digest = None if row.digest is None else Digest(row.digest)
    moving_to = None if row.moving_to is None else Digest(row.moving_to)
    return TagFact(Repository(row.repository), Tag(row.tag), digest, row.at, row.by, row.how, moving_to)
