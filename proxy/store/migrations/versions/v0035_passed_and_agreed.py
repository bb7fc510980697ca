"""The time a manifest last passed, and the person who agreed to an admin token."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, empty."""
    op.add_column("manifests", sa.Column("passed", sa.Text))
    some = sa.text("passed IS NOT NULL")
    op.create_index("manifests_passed", "manifests", ["repository", "passed"], sqlite_where=some, postgresql_where=some)
    op.add_column("admin_tokens", sa.Column("agreed_by", sa.Text, nullable=False, server_default=""))


def downgrade() -> None:
    """Drop the columns: only a search order and the names of those who agreed are lost."""
    op.drop_column("admin_tokens", "agreed_by")
    op.drop_index("manifests_passed", "manifests")
    op.drop_column("manifests", "passed")
