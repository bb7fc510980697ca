"""Images pushed unsigned under an exception."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, empty."""
    op.create_table(
        "unsigned_pushes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("repository", "digest", "tag", "exception", "who", "at")
        ),
        *(sa.Column(name, sa.Text) for name in ("settled", "tried")),
        sa.Column("note", sa.Text, nullable=False),
        sa.UniqueConstraint("repository", "digest", "tag", name="unsigned_pushes_once"),
    )


def downgrade() -> None:
    """Drop the table: owed signatures are no longer known."""
    op.drop_table("unsigned_pushes")
