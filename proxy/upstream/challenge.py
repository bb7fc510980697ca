"""Parses and renders `WWW-Authenticate` challenges (RFC 9110 §11.6.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

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


def parse(values: Iterable[str]) -> tuple[Challenge, ...]:
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
