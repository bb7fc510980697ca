"""Countersignatures of a timestamp authority, beside the signatures they are over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; signatures made before have none."""
    op.add_column("ledger", sa.Column("timestamp", sa.LargeBinary))


def downgrade() -> None:
    """Drop it: signatures are attached again without."""
    with op.batch_alter_table("ledger") as ledger:
        ledger.drop_column("timestamp")
