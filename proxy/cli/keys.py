"""Keys over the local socket: shown as a table; changed after the plan was shown and agreed to."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxy.cli.ask import json_out, lines_out, table, when
from proxy.cli.exits import Exit
from proxy.cli.form import Form
from proxy.cli.local import ask
from proxy.trust.explain import plain


def show(socket: Path, form: Form) -> Exit:
    """Print the keys; the code says whether the tokens hold one that is in no record."""
    answer = ask(socket, "keys", {})
    strays = answer.get("unrecorded", [])
    if form is Form.JSON:
        json_out(answer)
    else:
        rows = [("PROFILE", "KEY", "STATE", "SINCE", "ALGORITHM", "TOKEN", "LABEL"), *map(_row, answer.get("keys", []))]
        lines = table(rows)
        for stray in strays:
            lines.append(
                f"NOT RECORDED: key {stray['fingerprint'][:12]}, {stray['label']!r} on token {stray['token']}; it "
                "signs nothing. If no rotation is under way, one was cut short: delete it with the token's own tool"
            )
        if answer.get("not_looked"):
            lines.append(f"the tokens were not looked at: {answer['not_looked']}")
        lines_out(lines)
    return Exit.NO if strays else Exit.FINE


def change(socket: Path, wanted: Mapping[str, str], form: Form, *, dry_run: bool, yes: bool) -> Exit:
    """Show the plan, ask, do it and print what there is now. The code is 1 where nobody agreed."""
    if dry_run or not yes:
        planned = ask(socket, "keys/change", {**wanted, "dry_run": "yes"}, post=True)
        if dry_run and form is Form.JSON:
            return json_out(planned)
        out = sys.stdout if dry_run else sys.stderr
        out.write("".join(f"  - {plain(str(step), 500)}\n" for step in planned.get("plan", [])))
        if dry_run:
            return Exit.FINE
        if not _agreed():
            sys.stderr.write("nothing was done\n")
            return Exit.NO
    answer = ask(socket, "keys/change", wanted, post=True)
    if form is Form.JSON:
        return json_out(answer)
    changed = answer.get("keys", [])
    lines = [f"key {k['fingerprint']} of {k['profile']} is {k['state']}" for k in changed]
    if wanted["action"] in ("rotate", "prepare", "activate"):
        lines += str(changed[0]["public_key"]).splitlines() if changed else []
    return lines_out(lines)


def _agreed() -> bool:
    if not sys.stdin.isatty():
        sys.stderr.write("no terminal to ask on; say --yes\n")
        return False
    sys.stderr.write("Do this? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _row(key: Mapping[str, Any]) -> tuple[str, ...]:
    names = ("profile", "fingerprint", "state", "since", "algorithm", "token", "label")
    shown = {**key, "fingerprint": str(key["fingerprint"])[:12], "since": when(key["since"])}
    return tuple(str(shown[name]) for name in names)
