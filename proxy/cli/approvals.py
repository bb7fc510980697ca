"""Calls that wait for a second person, on the command line: list, show, approve, reject."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from proxy.cli.admin import Endpoint, call, pages
from proxy.cli.agreed import Confirmation, agreed
from proxy.cli.ask import json_out, lines_out, table
from proxy.cli.exits import Exit
from proxy.cli.form import OutputFormat
from proxy.oci.duration import minute
from proxy.oci.faults import plain


def show_all(place: Endpoint, state: str, form: OutputFormat) -> Exit:
    """Print the requests, newest first."""
    found = pages(place, "approvals", **({"state": state} if state else {}))
    if form is OutputFormat.JSON:
        return json_out({"items": found})
    if not found:
        return lines_out(["nothing waits for a second person" if state == "pending" else "there is no such request"])
    rows = [("ID", "CALL", "OF", "STATE", "UNTIL", "ASKED BY", "DECIDED BY")]
    return lines_out(table([*rows, *map(_row, found)]))


def show(place: Endpoint, approval_id: str, form: OutputFormat) -> Exit:
    """Print one request with its call."""
    return _shown(call(place, "GET", f"approvals/{quote(approval_id, safe='')}"), form)


def approve(place: Endpoint, approval_id: str, reason: str, manner: Confirmation) -> Exit:
    """Approve a request after its plan was confirmed; the server runs the call at once; its result is printed."""
    done = agreed(place, f"approvals/{quote(approval_id, safe='')}/approve", {"reason": reason}, manner)
    if isinstance(done, Exit):
        return done
    if manner.form is OutputFormat.JSON:
        return json_out(done)
    return _shown(done["approval"], manner.form)


def reject(place: Endpoint, approval_id: str, reason: str, form: OutputFormat) -> Exit:
    """Reject a request, or withdraw one's own."""
    return _shown(call(place, "POST", f"approvals/{quote(approval_id, safe='')}/reject", {"reason": reason}), form)


def _shown(approval: Mapping[str, Any], form: OutputFormat) -> Exit:
    if form is OutputFormat.JSON:
        return json_out(approval)
    about = {
        "asked": f"{approval['who']} ({approval['how']}) at {minute(approval['created'])}",
        "until": minute(approval["expires"]),
        "with": ", ".join(f"{k} {v}" for k, v in (approval["places"] | approval["given"]).items()),
        "decided": f"{approval['decided_by']} at {minute(approval['decided'])}" if approval["decided_by"] else "",
        "note": approval["note"],
    }
    lines = [f"request {approval['id']}: {approval['call']}, {approval['state']}"]
    lines += [f"  {name:<8}{plain(str(value), 500)}" for name, value in about.items() if value]
    return lines_out(lines + [f"  - {plain(str(step), 500)}" for step in approval["plan"]])


def _row(approval: Mapping[str, Any]) -> tuple[str, ...]:
    of = ",".join(str(value)[:20] for value in approval["places"].values())
    until = minute(approval["decided"] or approval["expires"])
    state, who, by = approval["state"], approval["who"], approval["decided_by"]
    return (approval["id"], approval["call"], of, state, until, who, by)
