"""Selects headers: an allow-list towards upstream, all but the connection's own towards the client."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

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


# One parameter `name=value`, or a scheme standing alone. Possessive, so that the scan is linear and an incomplete
# parameter (an open quote) matches nothing instead of a part.
_PART = re.compile(r"""[\s,]*+([!#$%&'*+.^_`|~0-9A-Za-z-]++)(?:=(?:"((?:[^"\\]|\\.)*+)"|([^\s,"]++)))?+(?!=)""")


@dataclass(frozen=True)
class Challenge:
    """One authentication challenge; the scheme and parameter names are in lower case."""

    scheme: str
    parameters: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str | None:
        """Return the first value of a parameter."""
        return next((value for key, value in self.parameters if key == name), None)

    def with_realm(self, realm: str) -> Challenge:
        """Return the challenge with another realm, placed first, because most clients expect it there."""
        others = tuple((key, value) for key, value in self.parameters if key != "realm")
        return Challenge(self.scheme, (("realm", realm), *others))

    def __str__(self) -> str:
        """Return the header value."""
        shown = ",".join(f'{key}="{_escaped(value)}"' for key, value in self.parameters)
        return f"{self.scheme.capitalize()} {shown}".rstrip()


def parse_challenges(values: Iterable[str]) -> tuple[Challenge, ...]:
    """Return every challenge in these header values, in order; an unreadable part ends its header value."""
    return tuple(challenge for value in values for challenge in _challenges(value))


def _challenges(value: str) -> list[Challenge]:
    found: list[Challenge] = []
    at = 0
    while match := _PART.match(value, at):
        at = match.end()
        name, quoted, plain = match.groups()
        if quoted is None and plain is None:
            found.append(Challenge(name.lower()))
        elif found:
            text = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            last = found[-1]
            found[-1] = Challenge(last.scheme, (*last.parameters, (name.lower(), text)))
    return found


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
