"""Certificates of our keys."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from proxy.trust.keys import BookKey


class Certifier(Protocol):
    """Makes what a certificate begins with, by keys that never leave their tokens."""

    async def csr(self, key: BookKey, subject: str) -> bytes:
        """Return a certificate request (PKCS#10, DER) signed by the key; `subject` as RFC 4514 writes it.

        Raises Unavailable, Fault for a subject that is none.
        """

    async def self_signed(self, key: BookKey, subject: str, first: datetime, last: datetime) -> bytes:
        """Return a certificate of the key by itself (DER), valid from first to last. Raises Unavailable, Fault."""
