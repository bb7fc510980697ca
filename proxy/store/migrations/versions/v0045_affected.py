"""Indexes that find the images of a key, and a manifest in all repositories: plans count what a change affects."""

from __future__ import annotations

from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the indexes."""
    op.create_index("ledger_by_key", "ledger", ["fingerprint", "repository", "digest"])
    op.create_index("manifests_by_digest", "manifests", ["digest"])
