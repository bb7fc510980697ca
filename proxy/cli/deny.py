"""Denials on the command line: shown as a table; changed after the plan was shown and agreed to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from proxy.cli.admin import Endpoint, pages
from proxy.cli.agreed import Confirmation, agreed
from proxy.cli.ask import json_out, lines_out, table, when
from proxy.cli.exits import Exit
from proxy.cli.form import OutputFormat
from proxy.oci.faults import Fault


def show(place: Endpoint, form: OutputFormat) -> Exit:
    """Print every denial."""
    rows = pages(place, "denials")
    if form is OutputFormat.JSON:
        return json_out({"denials": rows})
    if not rows:
        return lines_out(["nothing is denied"])
    return lines_out(table([("ID", "TARGET", "STATE", "UNTIL", "BY", "REASON"), *map(_row, rows)]))


def add(place: Endpoint, target: str, reason: str, until: datetime | None, manner: Confirmation) -> Exit:
    """Deny a digest or repositories and print the denial."""
    body = {"target": target, "reason": reason, "until": None if until is None else until.isoformat()}
    answer = agreed(place, "denials", body, manner)
    return answer if isinstance(answer, Exit) else _said(answer, "denied", manner.form)


def remove(place: Endpoint, denied: str, reason: str, manner: Confirmation) -> Exit:
    """Take a denial back, by its id or by what it denies, and print which it was. Raises Fault."""
    answer = agreed(place, f"denials/{_id_of(place, denied)}/remove", {"reason": reason}, manner)
    return answer if isinstance(answer, Exit) else _said(answer, "no longer denied", manner.form)


def _id_of(place: Endpoint, denied: str) -> str:
    found = [str(row["id"]) for row in pages(place, "denials") if row["in_force"] and row["target"] == denied]
    if len(found) == 1:
        return found[0]
    if not found and re.fullmatch(r"[a-z0-9]{8,20}", denied):
        return denied
    why = f"is denied {len(found)} times: say which, {', '.join(found)}" if found else "is not denied now"
    raise Fault("NAME_UNKNOWN", f"{denied[:200]!a} {why}; what is: countersign deny list")


def _said(answer: Mapping[str, Any], state: str, form: OutputFormat) -> Exit:
    if form is OutputFormat.JSON:
        return json_out(answer)
    until = f" until {when(answer['until'])}" if answer["until"] and state == "denied" else ""
    return lines_out([f"{answer['target']} is {state}{until} ({answer['id']})"])


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    state = "in force" if row["in_force"] else "over"
    until = when(row["until"]) if row["until"] else "removed"
    return (row["id"], row["target"], state, until, row["by"], row["reason"])
