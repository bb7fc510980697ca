"""Admin API tokens as values. Only the SHA-256 of a secret is stored; 256 random bits need no slow hash."""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from proxy.oci.faults import quoted
from proxy.trust.allotment import Allotment
from proxy.trust.names import ON_THE_HOST, TOKEN, TOKEN_PREFIX, same_name
from proxy.trust.roles import Role

SECRET_BYTES = 32
FIRST_FOR = timedelta(hours=24)
_FIRST = re.compile(r"first([0-9]{10})")


@dataclass(frozen=True)
class AdminToken:
    """A token as the store has it. `id` is public; `hashed` is the hex SHA-256 of the token's whole text.

    `repositories` are the patterns it is limited to; none: all repositories, and calls about no repository.
    """

    id: str
    name: str
    roles: tuple[Role, ...]
    hashed: str = field(repr=False)
    created: datetime
    expires: datetime
    by: str
    revoked: datetime | None = None
    repositories: tuple[str, ...] = ()
    agreed_by: str = ""  # the second person, if its creation needed approval

    @property
    def counts(self) -> bool:
        """True unless one person alone made it over the network: only then is its holder one of two people."""
        return self.by == ON_THE_HOST or bool(self.agreed_by)


def render(token_id: str, secret: bytes) -> str:
    """Return the token's text, which is shown once. Raises ValueError unless `secret` is 32 bytes."""
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"a token's secret has {SECRET_BYTES} bytes, not {len(secret)}")
    return f"{TOKEN_PREFIX}_{token_id}_{urlsafe_b64encode(secret).decode().rstrip('=')}"


def id_of(text: str) -> str | None:
    """Return the public id in a token's text, or None if the text is no token."""
    match = TOKEN.fullmatch(text)
    return None if match is None else match.group(1)


def fingerprint_of(text: str) -> str:
    """Return the part of a token that its holder may share: its public id and the stored hash."""
    return f"{id_of(text)}:{hashed(text)}"


def hashed(text: str) -> str:
    """Return the hash that the store keeps of a token's text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()  # headers may hold any bytes


def matches(token: AdminToken | None, text: str) -> bool:
    """True if this is the token's text; compares in constant time, also when the token is None."""
    kept = "0" * 64 if token is None else token.hashed
    return hmac.compare_digest(kept, hashed(text)) and token is not None


def name_taken(new: AdminToken, tokens: Iterable[AdminToken]) -> str | None:
    """Return why the new token cannot have its name, or None: among valid tokens a name is unique."""
    for token in tokens:
        if expiry_reason(token, new.created) is None and same_name(token.name) == same_name(new.name):
            return f"a valid token {quoted(token.name)} exists already, {token.id}: revoke it, or choose another name"
    return None


def token_refusal(new: AdminToken, tokens: Iterable[AdminToken], room: Allotment | None) -> str | None:
    """Return why the new token is refused beside these, or None; `room` is its maker's allotment (None: no limit)."""
    valid = tuple(token for token in tokens if expiry_reason(token, new.created) is None)
    if (why := name_taken(new, valid)) is not None or room is None:
        return why
    return room.refusal((token.by for token in valid), "valid tokens", "revoke some: countersign tokens list")


def expiry_reason(token: AdminToken, now: datetime) -> str | None:
    """Return why the token is no longer valid, or None."""
    if token.revoked is not None:
        return f"was revoked at {_minute(token.revoked)}"
    if now >= token.expires:
        return f"expired at {_minute(token.expires)}"
    return None


def first_id(now: datetime) -> str:
    """Return the id of a bootstrap token made now: it contains the expiry, so a copied file cannot outlive it."""
    return f"first{int((now + FIRST_FOR).timestamp())}"


def first_token(text: str) -> AdminToken | None:
    """Return the bootstrap token in this text, or None. The caller must check `ends_too_late` before trusting it."""
    match = _FIRST.fullmatch(id_of(text) or "")
    if match is None:
        return None
    expires = datetime.fromtimestamp(int(match.group(1)), UTC)
    roles = (Role.POLICY_ADMIN, Role.KEY_ADMIN)
    return AdminToken(
        match.group(0), "bootstrap", roles, hashed(text), expires - FIRST_FOR, expires, "countersign init"
    )


def ends_too_late(first: AdminToken, now: datetime) -> bool:
    """True if a bootstrap token expires later than one made now would: `init` did not make it."""
    return first.expires > now + FIRST_FOR


def _minute(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
