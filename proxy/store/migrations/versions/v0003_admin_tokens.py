"""Tokens of the admin API."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of admin tokens: hashes, never secrets."""
    op.create_table(
        "admin_tokens",
        sa.Column("id", sa.Text, primary_key=True),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("name", "roles", "hashed", "created", "expires", "created_by")
        ),
        sa.Column("revoked", sa.Text),
    )


def downgrade() -> None:
    """Drop the table, and with it every admin token."""
    op.drop_table("admin_tokens")
