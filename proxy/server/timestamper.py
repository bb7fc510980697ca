"""The timestamp authority that the configuration names, asked over HTTP (RFC 3161 section 3.4)."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.config import Settings
from proxy.formats import timestamp
from proxy.oci.faults import Unavailable
from proxy.upstream.outbound import Outbound

KINDS = (timestamp.REQUEST_TYPE, timestamp.REPLY_TYPE)


@dataclass(frozen=True)
class HttpTimestamper:
    """A Timestamper behind a URL; `roots` (DER) are those its tokens must lead to."""

    outbound: Outbound
    url: str
    roots: frozenset[bytes]
    required: bool
    seconds: float

    async def stamp(self, signature: bytes) -> bytes:
        """Return a token over these bytes, verified. Raises Unavailable."""
        request = timestamp.request(signature)
        limit = timestamp.TOKEN_BYTES
        reply = await self.outbound.post(self.url, request.body, KINDS, limit=limit, seconds=self.seconds)
        try:
            return timestamp.token_of(reply, request, signature, self.roots)
        except ValueError as wrong:
            raise Unavailable(f"{self.url}: {wrong}") from None


def timestamper_of(settings: Settings, outbound: Outbound) -> HttpTimestamper | None:
    """Return who countersigns, None where nobody is configured."""
    entry = settings.file.timestamps
    if entry is None:
        return None
    seconds = settings.limits.outbound_deadline_s
    return HttpTimestamper(outbound, entry.url, frozenset(entry.ca_file), entry.required, seconds)
