"""Jobs on the command line: listed, looked at, waited for, stopped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from proxy.cli.admin import Endpoint, call, pages
from proxy.cli.agreed import Confirmation, agreed
from proxy.cli.ask import json_out, lines_out, table, when
from proxy.cli.exits import Exit
from proxy.cli.form import OutputFormat
from proxy.cli.progress import described, followed
from proxy.trust.explain import plain


def show_all(place: Endpoint, filters: Mapping[str, str], form: OutputFormat) -> Exit:
    """Print the jobs there were, newest first."""
    jobs = pages(place, "jobs", **{name: value for name, value in filters.items() if value})
    if form is OutputFormat.JSON:
        return json_out({"items": jobs})
    if not jobs:
        return lines_out(["there is no such job"])
    rows = [("ID", "KIND", "STATE", "DONE", "SINCE", "OF", "REPOSITORY", "NOTE")]
    return lines_out(table([*rows, *map(_row, jobs)]))


def show(place: Endpoint, job_id: str, form: OutputFormat) -> Exit:
    """Print one job."""
    return _shown(call(place, "GET", f"jobs/{quote(job_id, safe='')}"), form)


def watch(place: Endpoint, job_id: str, form: OutputFormat) -> Exit:
    """Wait for a job and print what came of it."""
    return followed(place, call(place, "GET", f"jobs/{quote(job_id, safe='')}"), form)


def cancel(place: Endpoint, job_id: str, form: OutputFormat) -> Exit:
    """Stop a job at its next step, and print it."""
    return _shown(call(place, "POST", f"jobs/{quote(job_id, safe='')}/cancel"), form)


def start(place: Endpoint, path: str, body: Mapping[str, object], manner: Confirmation, *, wait: bool) -> Exit:
    """Have a job done once its plan was agreed to; wait for it with a bar, or print its id."""
    job = agreed(place, path, body, manner)
    if isinstance(job, Exit):
        return job
    return followed(place, job, manner.form) if wait else _shown(job, manner.form)


def _shown(job: Mapping[str, Any], form: OutputFormat) -> Exit:
    return json_out(job) if form is OutputFormat.JSON else lines_out(described(job))


def _row(job: Mapping[str, Any]) -> tuple[str, ...]:
    done = f"{job['done']}/{'?' if job['total'] is None else job['total']}"
    since, note = when(job["created"]), plain(str(job["note"]), 60)
    return (job["id"], job["kind"], job["state"], done, since, job["who"], job["repository"], note)
