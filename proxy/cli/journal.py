"""The journal commands: events, newest first; and the reload."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from proxy.cli.admin import Endpoint, call
from proxy.cli.ask import json_out, lines_out, table
from proxy.cli.exits import Exit
from proxy.cli.form import OutputFormat
from proxy.oci.duration import minute, since_when
from proxy.oci.faults import plain

_PAGE = 1000


def show(place: Endpoint, filters: Mapping[str, str], since: str, limit: int, form: OutputFormat) -> Exit:
    """Print at most `limit` rows of the journal; `since` is a span such as 7d, or a moment."""
    wanted = {name: value for name, value in filters.items() if value}
    if since:
        wanted["since"] = since_when(since, datetime.now(UTC)).isoformat()
    rows: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None and len(rows) < limit:
        asked = {**wanted, "limit": min(_PAGE, limit - len(rows)), "skip": after}
        page = call(place, "GET", f"journal?{urlencode(asked)}")
        rows += page["items"]
        after = page["next"]
    if form is OutputFormat.JSON:
        return json_out({"items": rows})
    if not rows:
        return lines_out(["there is no such row"])
    return lines_out(table([("AT", "WHAT", "WHO", "HOW", "ABOUT", "MORE"), *map(_row, rows)]))


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    about = row["repository"] or str(row["detail"].get("call", row["detail"].get("key", "")))
    reference = row["reference"] or row["digest"]
    about = f"{about} {reference}".strip()
    more = row["reason"] or row["detail"].get("reason") or row["detail"].get("given") or ""
    told = (row["kind"], row["who"], row["how"], about, more)
    return (minute(row["at"]), *(plain(str(each), 100) for each in told))


def reload(place: Endpoint, form: OutputFormat) -> Exit:
    """Make the server read its configuration again; the exit code is 1 if it was refused."""
    answer = call(place, "POST", "reload")
    if form is OutputFormat.JSON:
        json_out(answer)
    elif answer["reloaded"]:
        lines_out(["the configuration is in force as it is now"])
    else:
        lines_out([f"refused, the one from before is in force: {plain(str(answer['why']), 2000)}"])
    return Exit.FINE if answer["reloaded"] else Exit.NO
