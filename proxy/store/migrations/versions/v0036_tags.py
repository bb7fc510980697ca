"""Where tags point, and who may move them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, empty: a tag is known after its next push, or the first look at upstream."""
    op.create_table(
        "tags",
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("tag", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("how", sa.Text, nullable=False),
        sa.Column("moving_to", sa.Text),
        sa.Column("holder", sa.Text),
        sa.Column("fence", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("until", sa.Text),
    )
    op.create_index("tags_by_digest", "tags", ["repository", "digest"])
    moving = sa.text("moving_to IS NOT NULL")
    op.create_index("tags_moving", "tags", ["moving_to"], sqlite_where=moving, postgresql_where=moving)


def downgrade() -> None:
    """Drop the table: upstream is asked again where tags point."""
    op.drop_table("tags")
