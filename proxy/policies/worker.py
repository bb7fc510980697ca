"""Slow, pure work on policy texts, done by a process that has no other duties.

Requests and replies are JSON values. A command may call `answer` directly, because no other request waits for it.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from typing import Any

from hsm.frames import framed, frames
from proxy.config.policy_checks import Signers
from proxy.config.policy_file import Parsed, blank, parse_policies, written_of
from proxy.config.settings import policies_in, policy_text
from proxy.config.yaml import render_where
from proxy.oci.faults import ConfigError
from proxy.policies.diff import differences, rendered
from proxy.policies.lint import KeyLook, LintContext, left_without, lint
from proxy.trust.pattern import TooAlike

Json = Mapping[str, Any]
FINDINGS = 1000  # most findings of one lint; the others are counted
ELSEWHERE = ("trust", "keys")  # sections in which findings may lie outside the text
_GRACE = 5.0  # after a request's time limit plus these seconds this process ends itself, in case its parent is gone


def answer(request: Json) -> dict[str, Any]:
    """Return the reply to one request: the policies of a text, the differences of two, or lint findings.

    For a refused text the reply has `refused`, a line for each problem, and the same problems as findings.
    """
    try:
        match request["do"]:
            case "read":
                entries = _parsed(request).entries
                return {"canonical": policy_text(policies_in(entries)), "written": written_of(entries)}
            case "compare":
                changes = differences(json.loads(request["old"]), json.loads(request["new"]), blank())
                return {"changes": [asdict(change) for change in changes], "lines": rendered(changes), **_left(request)}
            case _:
                return {"findings": _linted(request)}
    except ConfigError as wrong:
        lines = str(wrong).splitlines()
        return {"refused": lines, "findings": [_error(line, request["name"]) for line in lines]}


def _left(request: Json) -> dict[str, Any]:
    """Return the known repositories that the new policies leave without one; None if there is too much to compare."""
    old, new = ([p for each in json.loads(request[name]) for p in each["repositories"]] for name in ("old", "new"))
    try:
        return {"left": left_without(old, new, request["known"])}
    except TooAlike:
        return {"left": None}


def _parsed(request: Json) -> Parsed:
    return parse_policies(request["text"], request["name"], Signers(**request["signers"]), request["segments"])


def _linted(request: Json) -> list[dict[str, Any]]:
    parsed, raw = _parsed(request), request["around"]
    keys = {name: KeyLook(**look) for name, look in raw["keys"].items()}
    now, names = datetime.fromisoformat(raw["now"]), (tuple(raw[each]) for each in ("trust", "base", "known"))
    trust, base, known = names
    around = LintContext(keys, trust, now, raw["names_proven"], base, known)
    found = [("warning", "doubt", problem.where, problem.text) for problem in parsed.doubts]
    found += [(f.level, f.code, f.where, f.text) for f in lint(policies_in(parsed.entries), around)]
    told = [
        {"level": level, "code": code, "where": render_where(where), "text": text, "line": _line(where, parsed)}
        for level, code, where, text in found[:FINDINGS]
    ]
    if (more := len(found) - FINDINGS) > 0:
        text = f"and {more} more findings; fix these first"
        told.append({"level": "note", "code": "more", "where": "", "text": text, "line": None})
    return told


def _error(line: str, name: str) -> dict[str, Any]:
    """Return the finding in a `name:line:column: path: text` line."""
    number, _, rest = line.removeprefix(f"{name}:").partition(":")
    _, _, said = rest.partition(": ")
    where, colon, text = said.partition(": ")
    if not colon or " " in where:
        where, text = "", said
    at = int(number) if number.isdigit() else None
    return {"level": "error", "code": "refused", "where": where, "text": text, "line": at}


def _line(where: Sequence[str | int], parsed: Parsed) -> int | None:
    return None if where[0] in ELSEWHERE else parsed.document.mark(tuple(where)).line


def main() -> None:
    """Answer frames from stdin on stdout until the parent closes the pipe. Arguments: niceness, bytes of memory."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the parent decides when this process ends
        signal.signal(number, signal.SIG_IGN)
    nice, memory = map(int, sys.argv[1:])
    os.nice(nice)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_AS)  # the hard limit set for the server
    memory = memory if most == resource.RLIM_INFINITY else min(memory, most)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    with suppress(BrokenPipeError):
        for body in frames(sys.stdin.buffer):
            request = json.loads(body)
            # The default action of SIGALRM ends the process, whatever it is doing.
            signal.setitimer(signal.ITIMER_REAL, request["seconds"] + _GRACE)
            sys.stdout.buffer.write(framed(json.dumps(answer(request)).encode()))
            sys.stdout.buffer.flush()
            signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    main()
