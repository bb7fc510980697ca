"""Admin tokens: listed as a table, made and shown once, taken away."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from typing import Any

from proxy.admin.token import SECRET_BYTES, fingerprint_of, render
from proxy.cli.admin import Endpoint, call, pages
from proxy.cli.agreed import Confirmation, agreed
from proxy.cli.ask import json_out, lines_out, table, when
from proxy.cli.exits import Exit
from proxy.cli.form import OutputFormat


def show(place: Endpoint, form: OutputFormat) -> Exit:
    """Print every token there was, oldest first."""
    tokens = pages(place, "tokens")
    if form is OutputFormat.JSON:
        return json_out({"items": tokens})
    if not tokens:
        return lines_out(["there is no admin token; make one: countersign tokens create NAME --role ROLE"])
    rows = [("ID", "NAME", "ROLES", "FOR", "STATE", "UNTIL", "MADE BY", "AGREED BY")]
    return lines_out(table([*rows, *(_row(token) for token in tokens)]))


def draft() -> Exit:
    """Print a new token that only its holder has, alone on standard output, and what others need to make it known."""
    text = render(secrets.token_hex(6), secrets.token_bytes(SECRET_BYTES))
    sys.stderr.write(
        "a token that nobody knows yet: keep it to yourself, it is shown this once; an admin makes it known with\n"
        f"this alone: countersign tokens create NAME --role ROLE --fingerprint {fingerprint_of(text)}\n"
    )
    return lines_out([text])


def create(
    place: Endpoint,
    name: str,
    roles: Sequence[str],
    days: int,
    form: OutputFormat,
    repositories: Sequence[str] = (),
    *,
    fingerprint: str = "",
    dry_run: bool = False,
) -> Exit:
    """Print the new token on standard output, alone, and what there is to know on standard error."""
    wish: dict[str, object] = {"name": name, "roles": list(roles), "valid_days": days}
    wish |= {"repositories": list(repositories)} | ({"fingerprint": fingerprint} if fingerprint else {})
    if dry_run:
        planned = agreed(place, "tokens", wish, Confirmation(dry_run=True, form=form))
        return planned if isinstance(planned, Exit) else Exit.FINE
    made = call(place, "POST", "tokens", wish)
    if form is OutputFormat.JSON:
        return json_out(made)
    if not made["token"]:
        return lines_out([f"token {made['id']} ({made['name']}) is valid until {when(made['expires'])}"])
    sys.stderr.write(f"token {made['id']} until {when(made['expires'])}; this is the only time it is shown:\n")
    return lines_out([made["token"]])


def revoke(place: Endpoint, token_id: str, form: OutputFormat) -> Exit:
    """End a token and print since when it is over."""
    gone = call(place, "DELETE", f"tokens/{token_id}")
    if form is OutputFormat.JSON:
        return json_out(gone)
    return lines_out([f"token {gone['id']} ({gone['name']}) is revoked since {when(gone['revoked'])}"])


def _row(token: dict[str, Any]) -> tuple[str, ...]:
    state = "valid" if token["valid"] else "revoked" if token["revoked"] else "expired"
    scope = ",".join(token["repositories"]) or "everything"
    ends = when(token["revoked"] or token["expires"])
    return (
        token["id"],
        token["name"],
        ",".join(token["roles"]),
        scope,
        state,
        ends,
        token["by"],
        token["agreed_by"] or "-",
    )
