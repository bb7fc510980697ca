"""Jobs: long-running work."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0004"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the table of jobs."""
    texts = ("kind", "who", "how", "reason", "created", "asked", "repository", "state", "cursor", "note", "result")
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in texts),
        *(sa.Column(name, sa.Text) for name in ("not_before", "ended")),
        *(sa.Column(name, _BIG, nullable=False) for name in ("run", "tries", "done")),
        sa.Column("total", _BIG),
        sa.Column("cancel", sa.Boolean, nullable=False),
    )
    op.create_index("jobs_by_state", "jobs", ["state", "created"])


def downgrade() -> None:
    """Drop the table: waiting jobs are lost."""
    op.drop_index("jobs_by_state", "jobs")
    op.drop_table("jobs")
