"""Changes over the admin API, made after their plan was shown and confirmed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from proxy.admin.affected import lines
from proxy.admin.operation import Row
from proxy.cli.admin import Endpoint, call
from proxy.cli.ask import json_out
from proxy.cli.exits import Exit, OutputFormat
from proxy.cli.printed import coloured
from proxy.oci.faults import visible


@dataclass(frozen=True)
class Confirmation:
    """The mode of a change: `dry_run` only shows the plan, `yes` skips the confirmation."""

    dry_run: bool = False
    yes: bool = False
    form: OutputFormat = OutputFormat.TEXT


def agreed(
    place: Endpoint,
    path: str,
    body: object,
    manner: Confirmation,
    method: str = "POST",
    *,
    diff: bool = False,
    ask: Callable[[], bool] | None = None,
) -> dict[str, Any] | Exit:
    """Return the answer to a change, or the exit code if nothing was changed: 1 without confirmation.

    With `diff` the plan is a difference; `ask` returns whether the user confirmed. Raises what `call` raises; the
    server refuses an invalid change before the user is asked.
    """
    if manner.dry_run or not manner.yes:
        planned = call(place, method, f"{path}?dry_run=true", body)
        left = confirmed(planned.get("plan", ()), manner, diff=diff, ask=ask, affects=planned.get("affects"))
        if left is not None:
            return left
    return call(place, method, path, body)


def confirmed(
    plan: Sequence[str],
    manner: Confirmation,
    *,
    diff: bool = False,
    ask: Callable[[], bool] | None = None,
    affects: Row | None = None,
) -> Exit | None:
    """Show the plan unless it was agreed to beforehand; return None if it is to be done, else the exit code.

    `affects` are the images that it affects.
    """
    if manner.yes and not manner.dry_run:
        return None
    if manner.dry_run and manner.form is OutputFormat.JSON:
        return json_out({"plan": plan, "affects": affects, "done": False})
    out = sys.stdout if manner.dry_run else sys.stderr
    steps = coloured(plan) if diff else [f"  - {visible(step, 500)}" for step in plan]
    steps += lines(affects) if affects else []
    out.write("".join(f"{line}\n" for line in steps))
    if manner.dry_run:
        return Exit.FINE
    if not (ask or asked)():
        sys.stderr.write("nothing was done\n")
        return Exit.NO
    return None


def asked() -> bool:
    """Return whether the user confirmed at a terminal."""
    answer = typed("Do this? [y/N] ", "--yes to confirm, or --dry-run to see the plan")
    return answer.lower() in {"y", "yes"}


def typed(question: str, instead: str) -> str:
    """Return what the user types at a terminal; empty without one, after telling which option to pass `instead`."""
    if not sys.stdin.isatty():
        sys.stderr.write(f"stdin is not a terminal: pass {instead}\n")
        return ""
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip()
