"""Who says when a signature was there."""

from __future__ import annotations

from typing import Protocol


class Timestamper(Protocol):
    """A timestamp authority (RFC 3161) that countersigns our signatures."""

    @property
    def required(self) -> bool:
        """True where a push is refused rather than go on without."""

    async def stamp(self, signature: bytes) -> bytes:
        """Return a token over these bytes, verified against the configured root. Raises Unavailable."""
