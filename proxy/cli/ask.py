"""Commands that query the running server, or, where possible, the record in its store when no server runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxy.cli.admin import Endpoint, call
from proxy.cli.exits import Exit
from proxy.cli.form import OutputFormat
from proxy.cli.local import ask
from proxy.oci.duration import minute
from proxy.oci.faults import Unavailable, plain

if TYPE_CHECKING:
    from proxy.config import Settings

_LINE = 1000


def verify(socket: Path, ref: str, form: OutputFormat) -> Exit:
    """Print the decision that a pull of this image would get now."""
    return _decision(ask(socket, "verify", {"ref": ref}, post=True), form)


def why(settings: Settings, question: str, form: OutputFormat) -> Exit:
    """Print a decision by its id, or the one on an image; without a server, only recorded decisions."""
    try:
        answer = ask(settings.socket, "why", {"q": question})
    except Unavailable:
        from proxy.server.offline_record import recorded_decision

        found = recorded_decision(settings, question)
        if found is None:
            raise
        sys.stderr.write("no server answers; this is from its record\n")
        answer = found
    return _decision(answer, form)


def sign(place: Endpoint, ref: str, reason: str, form: OutputFormat) -> Exit:
    """Sign an image that already exists upstream, and print its signatures."""
    wish = {"ref": ref, "reason": reason}
    answer = call(place, "POST", "sign", wish) if place.server else ask(place.own, "sign", wish, post=True)
    if form is OutputFormat.JSON:
        return json_out(answer)
    made = answer.get("signatures", [])
    lines = [f"signed {answer.get('digest', ref)}"]
    lines += [f"  {s['format']} by key {str(s['key'])[:12]} for {s['bound']}" for s in made if isinstance(s, Mapping)]
    return lines_out(lines)


def would_block(settings: Settings, since: str, form: OutputFormat) -> Exit:
    """Print the pulls that warn mode allowed and enforce mode would block; works without a server."""
    try:
        answer = ask(settings.socket, "report/would-block", {"since": since})
    except Unavailable:
        from proxy.server.offline_record import recorded_would_block

        found = recorded_would_block(settings, since)
        if found is None:
            raise
        sys.stderr.write("no server answers; this is from its record\n")
        answer = found
    if form is OutputFormat.JSON:
        return json_out(answer)
    images = answer.get("images", [])
    if not images:
        return lines_out([f"nothing since {minute(answer.get('since', since))}: enforcing would have blocked no pull"])
    rows = [("PULLS", "LAST", "IMAGE", "WHY")]
    for image in images:
        reasons = ", ".join(f"{code} ({count})" for code, count in image["reasons"])
        name = f"{image['repository']}{'@' if ':' in image['reference'] else ':'}{image['reference']}"
        rows.append((str(image["pulls"]), minute(image["last"]), name, reasons))
    return lines_out(table(rows))


def status(place: Endpoint, form: OutputFormat) -> Exit:
    """Print the status; each problem with its start, its effect and the next command."""
    answer = call(place, "GET", "status") if place.server else ask(place.own, "status", {})
    problems = answer.get("problems", [])
    if form is OutputFormat.JSON:
        json_out(answer)
    else:
        lines_out([*_running(answer), *(line for problem in problems for line in _problem(problem))])
    return Exit.NO if problems else Exit.FINE


def _running(answer: Mapping[str, Any]) -> list[str]:
    lines = [
        f"{answer.get('name', 'countersign')} serves {answer.get('url', '')} since {minute(answer.get('started', ''))}"
    ]
    number = answer.get("policies_number")
    where = f"revision {number}, by the API" if number else "from the configuration file"
    lines += [f"  policy    {str(answer.get('policy_revision', ''))[:12]} ({where})"]
    for key in answer.get("keys", []):
        lines.append(f"  key       {key['profile']} ({key['algorithm']}): {key['state']} since {minute(key['since'])}")
    for soon in answer.get("soon", []):
        lines.append(
            f"  soon      {minute(soon['at'])} UTC: key {soon['key'][:12]} of {soon['profile']} {soon['says']}"
        )
    for warned in answer.get("warnings", []):
        lines.append(f"  warning   {warned['what']}; {warned['next']}")
    return [*lines, ""] if answer.get("problems") else [*lines, "  problems  none"]


def _problem(problem: Mapping[str, str]) -> list[str]:
    since = f" (since {minute(problem['since'])})" if problem.get("since") else ""
    lines = [f"WRONG: {problem.get('what', '')}{since}"]
    lines += [f"  stops  {problem['stops']}"] if problem.get("stops") else []
    return [*lines, f"  next   {problem['next']}"] if problem.get("next") else lines


def _decision(answer: Mapping[str, Any], form: OutputFormat) -> Exit:
    shown = {name: value for name, value in answer.items() if name != "text"}
    if form is OutputFormat.JSON:
        json_out(shown)
    else:
        lines_out(str(answer.get("text", "")).splitlines())
    return {"passed": Exit.FINE, "inconclusive": Exit.INCONCLUSIVE}.get(str(answer.get("outcome")), Exit.NO)


def json_out(answer: Mapping[str, Any]) -> Exit:
    sys.stdout.write(json.dumps(answer, indent=2) + "\n")  # ASCII only: inert on a terminal
    return Exit.FINE


def lines_out(lines: Sequence[str]) -> Exit:
    """Print the lines without control characters: names and annotations come from strangers."""
    sys.stdout.write("".join(plain(line, _LINE).rstrip() + "\n" for line in lines))
    return Exit.FINE


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
