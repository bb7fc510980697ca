"""Admin tokens: listed as a table, made and shown once, taken away."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from proxy.cli.admin import Place, call, pages
from proxy.cli.ask import json_out, lines_out, table, when
from proxy.cli.exits import Exit
from proxy.cli.form import Form


def show(place: Place, form: Form) -> Exit:
    """Print every token there was, oldest first."""
    tokens = pages(place, "tokens")
    if form is Form.JSON:
        return json_out({"items": tokens})
    if not tokens:
        return lines_out(["there is no admin token; make one: countersign tokens create NAME --role ROLE"])
    rows = [("ID", "NAME", "ROLES", "FOR", "STATE", "UNTIL", "MADE BY")]
    return lines_out(table([*rows, *(_row(token) for token in tokens)]))


def create(
    place: Place, name: str, roles: Sequence[str], days: int, form: Form, repositories: Sequence[str] = ()
) -> Exit:
    """Print the new token on standard output, alone, and what there is to know on standard error."""
    wish = {"name": name, "roles": list(roles), "valid_days": days, "repositories": list(repositories)}
    made = call(place, "POST", "tokens", wish)
    if form is Form.JSON:
        return json_out(made)
    sys.stderr.write(f"token {made['id']} until {when(made['expires'])}; this is the only time it is shown:\n")
    return lines_out([made["token"]])


def revoke(place: Place, token_id: str, form: Form) -> Exit:
    """End a token and print since when it is over."""
    gone = call(place, "DELETE", f"tokens/{token_id}")
    if form is Form.JSON:
        return json_out(gone)
    return lines_out([f"token {gone['id']} ({gone['name']}) is revoked since {when(gone['revoked'])}"])


def _row(token: dict[str, Any]) -> tuple[str, ...]:
    state = "valid" if token["valid"] else "revoked" if token["revoked"] else "expired"
    scope = ",".join(token["repositories"]) or "everything"
    ends = when(token["revoked"] or token["expires"])
    return (token["id"], token["name"], ",".join(token["roles"]), scope, state, ends, token["by"])
