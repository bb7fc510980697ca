"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def upgrade() -> None:
    """Create every table of the first release."""
    op.create_table(
        "ledger",
        sa.Column("id", _BIG, primary_key=True, autoincrement=True),
        *_text("repository", "digest", "fingerprint", "format", "bound", "stage"),
        sa.Column("message", sa.LargeBinary, nullable=False),
        sa.Column("signature", sa.LargeBinary),
        *_text("claims"),
        sa.Column("artifact", sa.Text),
        *_text("at"),
        sa.UniqueConstraint("repository", "digest", "fingerprint", "format", "bound", name="ledger_same_signature"),
    )
    op.create_table(
        "manifests",
        sa.Column("id", _BIG, primary_key=True, autoincrement=True),
        *_text("repository", "digest", "media_type"),
        sa.Column("size", _BIG, nullable=False),
        *_text("children", "blobs"),
        sa.Column("subject", sa.Text),
        sa.Column("artifact", sa.Boolean),
        sa.UniqueConstraint("repository", "digest", name="manifests_once"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "listed",
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("role", sa.Text, primary_key=True),
        sa.Column("manifest_id", _BIG, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("listed_by_manifest", "listed", ["manifest_id"])
    op.create_table(
        "journal",
        sa.Column("position", _BIG, primary_key=True, autoincrement=True),
        *_text("at", "last", "kind", "who", "how", "repository", "reference", "digest", "reason"),
        *_text("decision_id", "request_id", "policy_revision", "key_revision", "detail"),
        sa.Column("count", _BIG, nullable=False),
        sa.Column("tally", sa.Text, unique=True),
        sqlite_autoincrement=True,
    )
    op.create_index("journal_by_kind", "journal", ["kind", "position"])
    op.create_index("journal_by_repository", "journal", ["repository", "position"])
    op.create_index("journal_by_digest", "journal", ["digest", "position"])
    op.create_table("decisions", sa.Column("id", sa.Text, primary_key=True), *_text("at", "decision"))
    op.create_table(
        "revisions",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("revision", sa.Text, primary_key=True),
        *_text("body"),
    )
    op.create_table(
        "keys",
        sa.Column("id", _BIG, primary_key=True, autoincrement=True),
        sa.Column("fingerprint", sa.Text, nullable=False, unique=True),
        *_text("profile", "token", "token_serial", "key_id", "label", "algorithm"),
        sa.Column("spki", sa.LargeBinary, nullable=False),
        *_text("state", "since"),
        sa.Column("compromised_since", sa.Text),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.Text, primary_key=True),
        *_text("holder"),
        sa.Column("fence", _BIG, nullable=False),
        *_text("until"),
    )


def downgrade() -> None:
    """Refuse: nothing precedes the first release."""
    raise NotImplementedError("the first tables are where the store begins")
