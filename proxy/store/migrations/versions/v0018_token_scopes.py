"""Admin tokens for some repositories only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the repository patterns of a token; existing tokens are for all repositories."""
    op.add_column("admin_tokens", sa.Column("repositories", sa.Text, nullable=False, server_default="[]"))


def downgrade() -> None:
    """Drop the patterns, and delete scoped tokens, which would otherwise be valid for all repositories."""
    op.execute("DELETE FROM admin_tokens WHERE repositories != '[]'")
    op.drop_column("admin_tokens", "repositories")
