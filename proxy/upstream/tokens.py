"""Parses and writes passwords and tokens in Authorization headers and in realm responses. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from proxy.upstream.headers import is_plain

DEFAULT_LIFE_S = 60  # the lifetime of a token without `expires_in` (distribution, token specification)
LONGEST_LIFE_S = 3600


def basic(user: str, password: str) -> str:
    """Return the Authorization value of a name and a password (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def user_of(authorization: str | None) -> str | None:
    """Return the name in a Basic Authorization value, or None.

    Only the one spelling that every realm reads is accepted. A realm may treat another spelling (other case of the
    scheme, an extra space, no password after the name) as anonymous and allow it, but refuse the probe, which names a
    user.
    """
    scheme, _, text = (authorization or "").partition(" ")
    if scheme != "Basic":
        return None
    try:
        name, _, password = base64.b64decode(text, validate=True).decode().partition(":")
    except ValueError:
        return None
    return name if name and password and basic(name, password) == authorization else None


def token_in(body: bytes) -> tuple[str, int]:
    """Return the token in a realm's response and its lifetime in seconds; '' if there is none.

    `access_token` is OAuth's name for `token`; a realm that sends both sends the same value twice.
    """
    answer = fields(body)
    token = answer.get("token") or answer.get("access_token")
    life = answer.get("expires_in")
    sound = isinstance(life, int) and not isinstance(life, bool) and life > 0
    return (
        token if isinstance(token, str) and is_plain(token) else "",
        min(life, LONGEST_LIFE_S) if sound and isinstance(life, int) else DEFAULT_LIFE_S,
    )


def fields(body: bytes) -> Mapping[str, object]:
    """Return the fields of a realm's response, or none if it is not an object."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}
