"""Selects headers: an allow-list towards upstream, all but the connection's own towards the client."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.registry.ports.upstream import HOP_BY_HOP, Headers

# Upstream's statements to browsers about its own host; in our response they would apply to our host.
_ITS_OWN = frozenset({"alt-svc", "public-key-pins", "set-cookie", "strict-transport-security"})
_SENT = frozenset(
    {
        "accept",
        "access-control-request-headers",
        "access-control-request-method",
        "content-range",
        "content-type",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "origin",
        "range",
        "user-agent",
    },
)
_SENT_PREFIXES = ("docker-", "oci-")


def to_upstream(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return those of a caller's headers that upstream may see; repeats and order are kept.

    No Authorization (the credential is passed separately), no Content-Length (it belongs to the body), no Expect
    (answered by us), no Accept-Encoding: a manifest must arrive as the exact bytes that its digest covers.
    """
    return [
        (name, value)
        for name, value in ((name.lower(), value) for name, value in headers)
        if (name in _SENT or name.startswith(_SENT_PREFIXES)) and is_plain(value)
    ]


def from_upstream(headers: Iterable[tuple[str, str]]) -> Headers:
    """Return upstream's headers with lower-case names, without hop-by-hop headers and those that `Connection` lists."""
    lowered = [(name.lower(), value) for name, value in headers]
    named = {part.strip().lower() for name, value in lowered if name == "connection" for part in value.split(",")}
    dropped = HOP_BY_HOP | _ITS_OWN | named
    # With chunked framing a Content-Length is a second, different claim about the same body (RFC 9112 §6.3).
    if any(name == "transfer-encoding" for name, _ in lowered):
        dropped = dropped | {"content-length"}
    return tuple((name, value) for name, value in lowered if name not in dropped and is_plain(value))


def is_plain(value: str) -> bool:
    """True for printable ASCII and tabs, which every HTTP implementation reads in the same way."""
    return value.isascii() and (value.isprintable() or value.replace("\t", " ").isprintable())
