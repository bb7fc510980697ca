"""Waits for a job, with a progress bar on a terminal and no output otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from proxy.cli.admin import Endpoint, call
from proxy.cli.ask import json_out, lines_out
from proxy.cli.exits import Exit, OutputFormat
from proxy.jobs.operations import described
from proxy.oci.faults import Fault, visible

_WAITING = ("queued", "running")
_LOOK_S = 0.5
_WIDTH = 30


def followed(place: Endpoint, job: Mapping[str, Any], form: OutputFormat) -> Exit:
    """Wait until the job has ended and print its result; the exit code is 0 only if it succeeded.

    Ctrl-C stops the waiting, not the job. Raises what `call` raises.
    """
    over = waited(place, job)
    if over is None:
        return Exit.INCONCLUSIVE
    printed(over, form)
    return Exit.FINE if over["state"] == "done" else Exit.NO


def printed(job: Mapping[str, Any], form: OutputFormat) -> Exit:
    """Print the job as it is now."""
    return json_out(job) if form is OutputFormat.JSON else lines_out(described(job))


def result_of(place: Endpoint, job: Mapping[str, Any]) -> Mapping[str, Any] | Exit:
    """Wait until the job has ended and return its result; an exit code if it was cancelled, or after Ctrl-C.

    Raises Fault if it failed, and what `call` raises.
    """
    over = waited(place, job)
    if over is None or over["state"] == "cancelled":
        return Exit.INCONCLUSIVE
    if over["state"] != "done":
        raise Fault("UNKNOWN", f"job {over['id']} failed: {over['note']}", status=500)
    result: Mapping[str, Any] = over["result"]
    return result


def waited(place: Endpoint, job: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the job once it has ended; None after Ctrl-C. Raises what `call` raises."""
    shows = sys.stderr.isatty()
    try:
        while job["state"] in _WAITING:
            if shows:
                sys.stderr.write(f"\r{bar(job)}\x1b[K")
                sys.stderr.flush()
            time.sleep(_LOOK_S)
            job = call(place, "GET", f"jobs/{job['id']}")
    except KeyboardInterrupt:
        sys.stderr.write(f"\nthe job continues; watch it with: countersign jobs watch {job['id']}\n")
        return None
    if shows:
        sys.stderr.write(f"\r{bar(job)}\x1b[K\n")
    return job


def bar(job: Mapping[str, Any]) -> str:
    """Return one line: the progress, the total, and why the job waits, if it does."""
    done, total = int(job["done"]), job["total"]
    full = _WIDTH if job["state"] == "done" else 0 if not total else min(_WIDTH, _WIDTH * done // int(total))
    counted = f"{done}/{'?' if total is None else total}"
    note = f" ({visible(str(job['note']), 80)})" if job["note"] else ""
    return f"{job['kind']} [{'#' * full}{'.' * (_WIDTH - full)}] {counted} {job['state']}{note}"
