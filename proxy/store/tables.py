"""The tables, the same on SQLite and PostgreSQL. A change needs a migration (migrations/versions)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

HEAD = "0044"  # the newest migration; a test compares

# In SQLite, only INTEGER increments automatically.
BIG = BigInteger().with_variant(Integer, "sqlite")


class Instant(TypeDecorator[datetime]):
    """A time as text of fixed width in UTC, so that both databases order it and people can read it."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002 (SQLAlchemy's)
        """Return the text of an aware time."""
        return None if value is None else text_of(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 (SQLAlchemy's)
        """Return the time in this text."""
        return None if value is None else datetime.fromisoformat(value)


def text_of(at: datetime) -> str:
    """Return an aware time as `2026-01-02T12:00:00.000000Z`."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


metadata = MetaData()
# On PostgreSQL these indexes are partial too (see their migrations); declaring that here would load its dialect (50
# ms).
_HAS_PASSED = text("passed IS NOT NULL")

ledger = Table(
    "ledger",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=True),
    Column("repository", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("format", Text, nullable=False),
    Column("bound", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("message", LargeBinary, nullable=False),
    Column("signature", LargeBinary),
    Column("timestamp", LargeBinary),
    Column("claims", Text, nullable=False),
    Column("artifact", Text),
    Column("at", Instant, nullable=False),
    UniqueConstraint("repository", "digest", "fingerprint", "format", "bound", name="ledger_same_signature"),
    Index("ledger_by_bound", "repository", "bound"),
)

manifests = Table(
    "manifests",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=True),
    Column("repository", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size", BIG, nullable=False),
    Column("children", Text, nullable=False),  # JSON, in the order of the manifest
    Column("blobs", Text, nullable=False),
    Column("subject", Text),
    Column("artifact", Boolean),
    Column("passed", Instant),  # approximate time of the last pass: where to look first
    UniqueConstraint("repository", "digest", name="manifests_once"),
    Index("manifests_passed", "repository", "passed", sqlite_where=_HAS_PASSED),
    sqlite_autoincrement=True,  # newest first is by id, so an id must never be reused
)

# Which manifest lists what, for reverse look-ups. The newest come first, so the manifest's id is in the index.
listed = Table(
    "listed",
    metadata,
    Column("repository", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("role", Text, primary_key=True),  # child | blob
    Column("manifest_id", BIG, primary_key=True),
    Index("listed_by_manifest", "manifest_id"),
    sqlite_with_rowid=False,
)

journal = Table(
    "journal",
    metadata,
    Column("position", BIG, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("last", Instant, nullable=False),  # of a counted row: the time of the last event
    Column("kind", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("how", Text, nullable=False),
    Column("repository", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("decision_id", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("policy_revision", Text, nullable=False),
    Column("key_revision", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("count", BIG, nullable=False),
    Column("tally", Text, unique=True),  # the key of a counted row; NULL: a row of its own
    Index("journal_by_kind", "kind", "position"),
    Index("journal_by_repository", "repository", "position"),
    Index("journal_by_digest", "digest", "position"),
    sqlite_autoincrement=True,
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("decision", Text, nullable=False),
)

revisions = Table(
    "revisions",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("revision", Text, primary_key=True),
    Column("body", Text, nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=True),
    Column("fingerprint", Text, nullable=False, unique=True),
    Column("profile", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("token_serial", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("algorithm", Text, nullable=False),
    Column("spki", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("since", Instant, nullable=False),
    Column("compromised_since", Instant),
    Column("chain", Text, nullable=False, server_default="[]"),  # JSON: hex DER, leaf to root
    Column("activate_at", Instant),
    Column("signs_until", Instant),
    Column("retire_after", Instant),
    Column("backup_at", Instant),
)

# How often each book was changed: other processes compare it to detect that theirs is old.
versions = Table(
    "versions",
    metadata,
    Column("name", Text, primary_key=True),
    Column("number", BIG, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("fence", BIG, nullable=False),
    Column("until", Instant, nullable=False),
)

admin_tokens = Table(
    "admin_tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("roles", Text, nullable=False),  # JSON
    Column("hashed", Text, nullable=False),
    Column("created", Instant, nullable=False),
    Column("expires", Instant, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("revoked", Instant),
    Column("repositories", Text, nullable=False, server_default="[]"),  # JSON
    Column("agreed_by", Text, nullable=False, server_default=""),
)

denials = Table(
    "denials",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", Text),  # NULL: everything in those repositories
    Column("repositories", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("until", Instant),
)

unsigned_pushes = Table(
    "unsigned_pushes",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=True),
    Column("repository", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("tag", Text, nullable=False),  # empty: by digest alone
    Column("exception", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("settled", Instant),
    Column("tried", Instant),
    Column("note", Text, nullable=False),
    UniqueConstraint("repository", "digest", "tag", name="unsigned_pushes_once"),
)

exceptions = Table(
    "exceptions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("repositories", Text, nullable=False),
    Column("digest", Text),
    Column("unsigned_push", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("how", Text, nullable=False),
    Column("opened", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("closed", Instant),
    Column("closed_by", Text, nullable=False),
    Column("reviewed", Instant),
    Column("reviewed_by", Text, nullable=False),
    Column("review", Text, nullable=False),
    Column("offline", Boolean, nullable=False),
)

secrets = Table(
    "secrets", metadata, Column("name", Text, primary_key=True), Column("value", LargeBinary, nullable=False)
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("kind", "who", "how", "reason")),
    Column("created", Instant, nullable=False),
    Column("asked", Text, nullable=False),  # JSON
    Column("repository", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("not_before", Instant),
    Column("ended", Instant),
    Column("run", BIG, nullable=False),
    Column("tries", BIG, nullable=False),
    Column("done", BIG, nullable=False),
    Column("total", BIG),
    Column("cursor", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("result", Text, nullable=False),  # JSON
    Column("cancel", Boolean, nullable=False),
    Index("jobs_by_state", "state", "created"),
)

policy_revisions = Table(
    "policy_revisions",
    metadata,
    Column("number", BIG, primary_key=True, autoincrement=False),
    Column("hash", Text, nullable=False),
    Column("parent", Text, nullable=False),  # the hash of the previous one
    Column("body", Text, nullable=False),
    Column("policies", Text, nullable=False),  # the revision that decisions name
    Column("at", Instant, nullable=False),
    Column("who", Text, nullable=False),
    Column("how", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", Text, primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("route", "body", "request_id")),
    Column("created", Instant, nullable=False),
    Column("expires", Instant, nullable=False),
    *(Column(name, Text, nullable=False) for name in ("note", "places", "plan", "who", "how", "token_id")),
    *(Column(name, Text, nullable=False) for name in ("roles", "state", "given")),
    Column("decided", Instant),
    Column("decided_by", Text),
)
