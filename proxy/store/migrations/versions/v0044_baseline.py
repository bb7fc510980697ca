"""The tables that the first release has. A new store gets them as they are declared: nothing runs here."""

from __future__ import annotations

revision = "0044"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Not called: only stores at this version or a later one are upgraded."""
