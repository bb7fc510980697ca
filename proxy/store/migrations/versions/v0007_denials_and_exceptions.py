"""Operators' overrides of the policies: denials and exceptions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables, empty."""
    op.create_table(
        "denials",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("repositories", "reason", "by", "at")),
        sa.Column("until", sa.Text),
    )
    op.create_table(
        "exceptions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("repositories", sa.Text, nullable=False),
        sa.Column("digest", sa.Text),
        sa.Column("unsigned_push", sa.Boolean, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("reason", "by", "how", "opened", "until")),
        sa.Column("closed", sa.Text),
        sa.Column("closed_by", sa.Text, nullable=False),
        sa.Column("reviewed", sa.Text),
        sa.Column("reviewed_by", sa.Text, nullable=False),
        sa.Column("review", sa.Text, nullable=False),
        sa.Column("offline", sa.Boolean, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables: denials no longer apply."""
    op.drop_table("exceptions")
    op.drop_table("denials")
