"""Timestamps of a timestamp authority, stored beside the signatures they cover."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; existing signatures have no timestamp."""
    op.add_column("ledger", sa.Column("timestamp", sa.LargeBinary))


def downgrade() -> None:
    """Drop the column: signatures are attached again without timestamps."""
    with op.batch_alter_table("ledger") as ledger:
        ledger.drop_column("timestamp")
