"""Admin tokens, as the store keeps them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from proxy.admin.token import AdminToken
from proxy.trust.allotment import Allotment
from proxy.trust.roles import Role


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


class Known(Protocol):
    """Somebody who calls with a certificate."""

    @property
    def name(self) -> str:
        """The name for the journal."""

    @property
    def roles(self) -> tuple[Role, ...]:
        """What they may do."""

    @property
    def repositories(self) -> tuple[str, ...]:
        """Patterns of the repositories this is for; none: for everything."""


class KnownPeople(Protocol):
    """Who calls with a certificate, as configured by now."""

    def __call__(self) -> Iterable[Known]:
        """Return them."""
