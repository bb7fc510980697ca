"""Exceptions on the command line: shown as a table; opened after the plan was shown and agreed to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.cli.admin import Endpoint, call, pages
from proxy.cli.agreed import Confirmation, agreed
from proxy.cli.ask import json_out, lines_out, table, when
from proxy.cli.exits import Exit
from proxy.cli.form import OutputFormat


def show(place: Endpoint, form: OutputFormat) -> Exit:
    """Print the exceptions; the code says whether one is open or waits for its review."""
    rows = pages(place, "exceptions")
    waiting = any(row["reviewed"] is None for row in rows)
    if form is OutputFormat.JSON:
        json_out({"exceptions": rows})
    elif rows:
        lines_out(table([("ID", "SCOPE", "STATE", "OPENED", "UNTIL", "BY", "REASON"), *map(_row, rows)]))
    else:
        lines_out(["no exceptions"])
    return Exit.NO if waiting else Exit.FINE


def open_one(place: Endpoint, wish: Mapping[str, object], manner: Confirmation) -> Exit:
    """Open an exception and print until when it is open."""
    answer = agreed(place, "exceptions", wish, manner)
    if isinstance(answer, Exit) or manner.form is OutputFormat.JSON:
        return answer if isinstance(answer, Exit) else json_out(answer)
    return lines_out(
        [
            f"exception {answer['id']} for {_scope(answer)} is open until {when(answer['until'])}",
            f"end it before: countersign exceptions close {answer['id']} --reason TEXT",
        ]
    )


def change(place: Endpoint, verb: str, exception_id: str, reason: str, form: OutputFormat) -> Exit:
    """Close or review an exception and print what it is now."""
    answer = call(place, "POST", f"exceptions/{exception_id}/{verb}", {"reason": reason})
    return (
        json_out(answer) if form is OutputFormat.JSON else lines_out([f"exception {answer['id']} is {_state(answer)}"])
    )


def unsigned(place: Endpoint, form: OutputFormat) -> Exit:
    """Print what was pushed unsigned; the code says whether something of it is not signed yet."""
    rows = pages(place, "exceptions/unsigned")
    waiting = any(row["settled"] is None for row in rows)
    if form is OutputFormat.JSON:
        json_out({"unsigned": rows})
    elif rows:
        lines_out(table([("IMAGE", "DIGEST", "PUSHED", "BY", "EXCEPTION", "SIGNED"), *map(_pushed, rows)]))
    else:
        lines_out(["nothing was pushed unsigned"])
    return Exit.NO if waiting else Exit.FINE


def _pushed(row: Mapping[str, Any]) -> tuple[str, ...]:
    image = f"{row['repository']}:{row['tag']}" if row["tag"] else str(row["repository"])
    note = f" ({row['note']})" if row["note"] else ""
    signed = (when(row["settled"]) if row["settled"] else "NOT YET") + note
    return (image, str(row["digest"])[:19], when(row["at"]), row["who"], row["exception"], signed)


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    times = (when(row["opened"]), when(row["closed"] or row["until"]))
    return (row["id"], _scope(row), _state(row), *times, row["by"], row["reason"])


def _scope(row: Mapping[str, Any]) -> str:
    return f"{row['repository']}@{row['digest']}" if row["digest"] else str(row["repository"])


def _state(row: Mapping[str, Any]) -> str:
    if row["reviewed"]:
        return f"reviewed by {row['reviewed_by']}: {row['review']}"
    return "OPEN" if row["open"] else "over, NOT REVIEWED"
