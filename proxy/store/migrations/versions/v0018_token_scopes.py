"""Admin tokens for some repositories only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the patterns of repositories a token is for; those there are were made for all."""
    op.add_column("admin_tokens", sa.Column("repositories", sa.Text, nullable=False, server_default="[]"))


def downgrade() -> None:
    """Drop them: tokens for some repositories would be for all of them, so they end."""
    op.execute("DELETE FROM admin_tokens WHERE repositories != '[]'")
    op.drop_column("admin_tokens", "repositories")
