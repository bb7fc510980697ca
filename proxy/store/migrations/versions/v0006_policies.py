"""Revisions of the policies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of policy revisions: texts, each with the hash of its predecessor."""
    op.create_table(
        "policy_revisions",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("hash", "parent", "body", "policies", "at", "who", "how", "reason")
        ),
    )


def downgrade() -> None:
    """Drop the table: the configuration file's policies apply again."""
    op.drop_table("policy_revisions")
