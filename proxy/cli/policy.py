"""The policy commands: show, compare, try, and change after the differences were confirmed."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from proxy.cli.admin import Endpoint, call, pages
from proxy.cli.agreed import Confirmation, agreed
from proxy.cli.ask import json_out, lines_out, table
from proxy.cli.exits import Exit
from proxy.cli.form import OutputFormat
from proxy.cli.policy_file import sent
from proxy.cli.progress import waited
from proxy.oci.duration import minute
from proxy.oci.faults import Fault, plain

NEWLY_BLOCKED = Exit.USAGE  # 2: an image that was pulled would be blocked
AT_ONCE = 1000  # images judged while the command waits; more of them become a job
_PAGE = 100
_COLOURS = {"+": "32", "-": "31"}


def show(place: Endpoint, number: int | None, form: OutputFormat) -> Exit:
    """Print the policies in force, or a revision, as a file that can be edited and applied."""
    found = call(place, "GET", "policies" if number is None else f"policies/revisions/{number}")
    if form is OutputFormat.JSON:
        return json_out(found)
    sys.stderr.write(f"{_described(found)}\n")
    sys.stdout.write(str(found["text"]))
    return Exit.FINE


def _described(found: Mapping[str, Any]) -> str:
    if found.get("source") == "file":
        return f"# from {found['path']}, where they are changed"
    line = found.get("revision") or found
    return plain(f"# revision {line['number']} by {line['by']}, {minute(line['at'])}: {line['reason']}", 1000)


def history(place: Endpoint, form: OutputFormat) -> Exit:
    """Print every revision, newest first."""
    rows = pages(place, "policies/revisions", _PAGE)
    if form is OutputFormat.JSON:
        return json_out({"items": rows})
    if not rows:
        return lines_out(["there is no revision: policies are those of the configuration file"])
    told = [(str(r["number"]), minute(r["at"]), r["by"], r["policies"][:12], r["reason"]) for r in rows]
    return lines_out(table([("REVISION", "SINCE", "BY", "POLICIES", "REASON"), *told]))


def diff(place: Endpoint, old: int, new: int, form: OutputFormat) -> Exit:
    """Print the differences between two revisions."""
    found = call(place, "GET", f"policies/diff?old={old}&new={new}")
    if form is OutputFormat.JSON:
        return json_out(found)
    return _out(found["lines"] or ["nothing is different but the text"])


def apply(place: Endpoint, path: Path, reason: str, base: int | None, manner: Confirmation) -> Exit:
    """Put the policies of this file in force, after the differences were shown and confirmed."""
    body = {**sent(path, alone=True), "reason": reason, "base": _newest(place) if base is None else base}
    return _changed(place, "policies", body, manner)


def revert(place: Endpoint, number: int, reason: str, base: int | None, manner: Confirmation) -> Exit:
    """Put an older revision in force again, after the same confirmation."""
    body = {"reason": reason, "base": _newest(place) if base is None else base}
    return _changed(place, f"policies/revisions/{number}/revert", body, manner)


def _newest(place: Endpoint) -> int:
    rows = call(place, "GET", "policies/revisions?limit=1")["items"]
    return int(rows[0]["number"]) if rows else 0


def _changed(place: Endpoint, path: str, body: Mapping[str, object], manner: Confirmation) -> Exit:
    answer = agreed(place, path, body, manner, shown=coloured)
    if isinstance(answer, Exit):
        return answer
    if manner.form is OutputFormat.JSON:
        return json_out(answer)
    line = answer["revision"]
    if not answer["changed"]:
        return lines_out([f"nothing to do: revision {line['number']} is this very text"])
    return lines_out([f"revision {line['number']} is in force (policies {line['policies'][:12]})"])


def lint(place: Endpoint, path: Path | None, form: OutputFormat) -> Exit:
    """Print policy rules that can never take effect; the exit code is 1 for anything more than a note."""
    body = {} if path is None else sent(path)
    found = call(place, "POST", "policies/lint", body)["findings"]
    if form is OutputFormat.JSON:
        json_out({"findings": found})
    else:
        lines_out([_finding(each, path) for each in found] or ["nothing found"])
    return Exit.NO if any(each["level"] != "note" for each in found) else Exit.FINE


def _finding(found: Mapping[str, Any], path: Path | None) -> str:
    at = "" if found["line"] is None else f"{path or 'policies'}:{found['line']}: "
    where = f"{found['where']}: " if found["where"] else ""
    return plain(f"{at}{found['level']}: {where}{found['text']} [{found['code']}]", 1000)


def try_on(place: Endpoint, ref: str, path: Path | None, form: OutputFormat) -> Exit:
    """Print the decision a pull would get; the exit code is 0 for allowed, 1 for blocked, 5 for inconclusive."""
    body = {"ref": ref, **({} if path is None else sent(path))}
    found = call(place, "POST", "policies/test", body)
    if form is OutputFormat.JSON:
        json_out(found["decision"])
    else:
        sys.stdout.write(str(found["text"]))
    if found["allowed"]:
        return Exit.FINE
    return Exit.INCONCLUSIVE if found["outcome"] == "inconclusive" else Exit.NO


def plan(place: Endpoint, path: Path, days: int, limit: int, form: OutputFormat) -> Exit:
    """Print the effect of these policies; the exit code is 2 if an image that was pulled would be blocked.

    The exit code is 5 if no image is known to be blocked, but some images could not be judged.
    """
    body = {**sent(path), "days": days, "limit": limit}
    found = call(place, "POST", "policies/plan", body) if limit <= AT_ONCE else _in_a_job(place, body)
    if found is None:
        return Exit.INCONCLUSIVE
    if form is OutputFormat.JSON:
        json_out(found)
    else:
        _out(found["difference"]["lines"])
        lines_out(_impact(found, days))
    if found["counts"]["newly blocked"]:
        return NEWLY_BLOCKED
    return Exit.INCONCLUSIVE if found["counts"]["could not judge"] or found["more"] else Exit.FINE


def _in_a_job(place: Endpoint, body: Mapping[str, object]) -> Mapping[str, Any] | None:
    """Return the result of a long plan, with a progress bar; None if cancelled or left. Raises Fault if it failed."""
    job = waited(place, call(place, "POST", "policies/plan/job", body))
    if job is None or job["state"] == "cancelled":
        return None
    if job["state"] != "done":
        raise Fault("UNKNOWN", f"job {job['id']} failed: {job['note']}", status=500)
    result: Mapping[str, Any] = job["result"]
    return result


def _impact(found: Mapping[str, Any], days: int) -> list[str]:
    counts = found["counts"]
    told = ", ".join(f"{counts[effect]} {effect}" for effect in counts if counts[effect]) or "nothing was pulled"
    days_told = "day" if days == 1 else f"{days} days"
    lines = [f"what was pulled in the last {days_told}, judged again ({found['examined']}): {told}"]
    if found["more"]:
        lines.append(f"MORE WAS PULLED than the {found['examined']} newest that were judged; see --limit")
    rows = [("EFFECT", "PULLS", "LAST", "IMAGE", "WHY"), *map(_image, found["images"])]
    changed = sum(counts.values()) - counts["unchanged"]
    if changed > len(found["images"]):
        lines.append(f"the first {len(found['images'])} of {changed} for which something changes, or nobody knows:")
    return [*lines, *(table(rows) if len(rows) > 1 else [])]


def _image(image: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    joint = "@" if ":" in image["reference"] else ":"
    after = image["after"] if image["effect"] != "newly allowed" else image["before"]
    why = ": ".join(part for part in (after["reason"], after["detail"]) if part)
    name = f"{image['repository']}{joint}{image['reference']}"
    return (image["effect"], str(image["pulls"]), minute(image["last"]), name, plain(why, 160))


def _out(lines: Sequence[str]) -> Exit:
    sys.stdout.write("".join(f"{line}\n" for line in coloured(lines)))
    return Exit.FINE


def coloured(lines: Sequence[str]) -> list[str]:
    """Return the lines of a diff, in green and red if the output is a terminal."""
    told = [plain(line, 1000) for line in lines]
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return told
    marks = [_COLOURS.get(line.lstrip()[:1], "1") for line in told]
    return [f"\x1b[{mark}m{line}\x1b[0m" for mark, line in zip(marks, told, strict=True)]
