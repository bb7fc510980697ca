"""Admin tokens, as the store keeps them."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from proxy.admin.token import AdminToken
from proxy.trust.allotment import Allotment


class AdminTokens(Protocol):
    """Who may use the admin API; secrets are not in here, only their hashes. All calls raise Unavailable."""

    async def add(self, token: AdminToken, room: Allotment | None = None) -> None:
        """Keep a new token; durable on return.

        Raises ValueError when a valid one has its name, or its maker has no room for it (None: there always is).
        """

    async def add_first(self, token: AdminToken) -> bool:
        """Keep the token where there never was one, else change nothing and return False."""

    async def find(self, token_id: str) -> AdminToken | None:
        """Return the token of this id, valid or not, or None."""

    async def all(self) -> tuple[AdminToken, ...]:
        """Return every token there ever was, oldest first."""

    async def revoke(self, token_id: str, at: datetime) -> bool:
        """End a token for good; return False when there is none of this id or it was revoked before."""
