"""Calls that wait for a second person's approval."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of approvals."""
    texts = (
        "route", "body", "request_id", "created", "expires", "note", "places", "plan", "who", "how", "token_id",
        "roles", "state", "given",
    )  # fmt: skip
    op.create_table(
        "approvals",
        sa.Column("id", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in texts),
        *(sa.Column(name, sa.Text) for name in ("decided", "decided_by")),
    )


def downgrade() -> None:
    """Drop the table: waiting calls are lost."""
    op.drop_table("approvals")
