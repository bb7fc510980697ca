"""An index to find the signatures of a tag."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index on the name a signature is bound to."""
    op.create_index("ledger_by_bound", "ledger", ["repository", "bound"])


def downgrade() -> None:
    """Remove the index."""
    op.drop_index("ledger_by_bound", "ledger")
