"""More columns of keys, and change counters for other processes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_MOMENTS = ("activate_at", "signs_until", "retire_after", "backup_at")


def upgrade() -> None:
    """Add the columns, and the table of version numbers."""
    with op.batch_alter_table("keys") as keys:
        keys.add_column(sa.Column("chain", sa.Text, nullable=False, server_default="[]"))
        for name in _MOMENTS:
            keys.add_column(sa.Column(name, sa.Text))
    op.create_table(
        "versions",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
    )


def downgrade() -> None:
    """Remove them, and with them chains, schedules and backup times."""
    op.drop_table("versions")
    with op.batch_alter_table("keys") as keys:
        for name in (*_MOMENTS, "chain"):
            keys.drop_column(name)
