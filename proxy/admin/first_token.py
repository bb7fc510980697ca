"""The bootstrap token: `init` writes it, the first `serve` stores its hash, and it expires 24 hours after `init`."""

from __future__ import annotations

import os
import secrets
from datetime import datetime
from pathlib import Path

from proxy.admin.ports import AdminTokens
from proxy.admin.token import SECRET_BYTES, AdminToken, ends_too_late, expiry_reason, first_id, first_token, render
from proxy.journal.event import Event, EventKind
from proxy.journal.port import Journal, Search
from proxy.oci.faults import ConfigError
from proxy.store.clock import Clock

_MOST = 4096
_INSTEAD = "delete it; on this host tokens are made without it: countersign tokens create NAME --role ROLE"


def first_token_file(directory: Path) -> Path:
    """Return the path of the bootstrap token in this state directory."""
    return directory / "secrets" / "admin-token"


def make_first_token(directory: Path, now: datetime) -> Path | None:
    """Write a new token to its file (0600) and return the path, or None if the file exists. Raises ConfigError."""
    path = first_token_file(directory)
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(render(first_id(now), secrets.token_bytes(SECRET_BYTES)) + "\n")
    except FileExistsError:
        return None
    except OSError as wrong:
        raise ConfigError(f"{path}: cannot write the admin token there: {wrong.strerror}") from None
    return path


def read_first_token(directory: Path) -> AdminToken | None:
    """Return the token in the file, or None if there is no file. Raises ConfigError for any other content."""
    path = first_token_file(directory)
    try:
        with path.open("rb") as file:
            text = file.read(_MOST).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return None
    except OSError as wrong:
        raise ConfigError(
            f"{path}: cannot read it: {wrong.strerror}; delete it when you have tokens of your own"
        ) from None
    token = first_token(text)
    if token is None:
        raise ConfigError(f"{path}: this is not a token made by `countersign init`; delete it")
    return token


async def take_over(directory: Path, tokens: AdminTokens, journal: Journal, clock: Clock) -> str | None:
    """Store the bootstrap token if there has never been a token; return a warning for the operator, or None."""
    try:
        token = read_first_token(directory)
    except ConfigError as wrong:
        return str(wrong)
    if token is None or expiry_reason(token, clock.now()) is not None or await tokens.all():
        return None
    where = first_token_file(directory)
    if ends_too_late(token, clock.now()):
        return (
            f"{where}: it ends at {_day(token)}, and `countersign init` makes none for more than 24 hours; {_INSTEAD}"
        )
    before = await journal.search(Search(kinds=(EventKind.ADMIN_TOKEN,), limit=1))
    if any(event.detail.get("token") != token.id for event in before):  # the same id: an earlier start was interrupted
        return f"{where}: another bootstrap token was stored before; {_INSTEAD}"
    detail = {"token": token.id, "roles": list(token.roles), "expires": token.expires.isoformat()}
    await journal.record(Event(clock.now(), EventKind.ADMIN_TOKEN, detail=detail))
    await tokens.add_first(token)
    return None


def _day(token: AdminToken) -> str:
    return f"{token.expires:%Y-%m-%d %H:%M} UTC"
