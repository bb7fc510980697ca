"""`countersign doctor`: runs all checks, prints them nested, exits with the code of the first failed part."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from proxy.cli.exits import Exit
from proxy.cli.form import socket_beside
from proxy.cli.local import ask
from proxy.config import Settings, load
from proxy.journal.problem import Severity
from proxy.oci.faults import ConfigError, Fault, Unavailable, plain
from proxy.oci.reference import Repository, parse_repository
from proxy.server.doctor.checkup import DoctorFinding, State, check_room, check_store, check_tokens
from proxy.server.doctor.credentials import check_admin, check_endings
from proxy.server.doctor.immutable_tags import check_tags_move
from proxy.server.doctor.policies import check_policies
from proxy.server.doctor.upstream import check_upstream
from proxy.store.clock import SystemClock

_MARK = {"ok": "[ok]", "warning": "[!!]", "wrong": "[NO]", "skipped": "[--]"}
_CODES = {
    "configuration": Exit.CONFIG,
    "tokens": Exit.TOKEN,
    "upstream": Exit.UPSTREAM,
    "store": Exit.STORE,
    "policies": Exit.CONFIG,
    "clock": Exit.CLOCK,
    "certificates": Exit.CONFIG,
    "admin token": Exit.CONFIG,
    "server": Exit.NO,
}


def examine(path: Path, *, as_json: bool, write_to: str | None = None) -> Exit:
    """Print the findings; return the exit code of the first part that is wrong."""
    found = asyncio.run(_look(path, write_to))
    if as_json:
        sys.stdout.write(json.dumps([_plain(finding) for finding in found], indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(line for finding in found for line in _lines(finding, 0)) + "\n")
    wrong = [_CODES[finding.name] for finding in found if finding.worst == "wrong"]
    return wrong[0] if wrong else Exit.FINE


async def _look(path: Path, write_to: str | None) -> list[DoctorFinding]:
    server = _server(path)
    try:
        settings = load(path)
    except ConfigError as error:
        fix = "correct the lines above; settings: config.example.yaml"
        return [DoctorFinding("configuration", "wrong", str(error), fix), server]
    upstream, clock = await check_upstream(settings)
    if write_to is not None:
        upstream = replace(upstream, inner=(*upstream.inner, await check_tags_move(settings, _named(write_to))))
    tokens, store = await check_tokens(settings), await check_store(settings)
    store = replace(store, inner=(*store.inner, check_room(settings.store.url)))
    admin = check_admin(settings, SystemClock())
    policies = await check_policies(settings)
    ends = await check_endings(settings, SystemClock())
    return [_configuration(settings), tokens, upstream, store, policies, clock, ends, admin, server]


def _named(text: str) -> Repository:
    try:
        return parse_repository(text)
    except Fault as wrong:
        raise ConfigError(f"--write-to: {wrong.message}") from None


def _configuration(settings: Settings) -> DoctorFinding:
    warned = tuple(
        DoctorFinding(str(at), "warning", text.removeprefix(f"{settings.path}:"))
        for at, text in enumerate(settings.warnings, 1)
    )
    return DoctorFinding("configuration", "ok", f"{settings.path}, revision {settings.revision[:12]}", inner=warned)


def _server(path: Path) -> DoctorFinding:
    """Return the running server's status as a finding; a server that does not run is not an error."""
    try:
        status = ask(socket_beside(path), "status", {})
    except Unavailable as error:
        return DoctorFinding("server", "skipped", error.what)
    except Fault as error:
        return DoctorFinding("server", "wrong", error.message)
    problems = tuple(
        DoctorFinding(
            "problem", _state(p), f"{p.get('what', '')}; it stops {p.get('stops', '?')}", str(p.get("next", ""))
        )
        for p in status.get("problems", [])
    )
    warned = tuple(
        DoctorFinding("warning", "warning", str(w.get("what", "")), str(w.get("next", "")))
        for w in status.get("warnings", [])
    )
    serves = f"serves {status.get('url', '')} since {status.get('started', '')}"
    return DoctorFinding("server", "ok", serves, inner=(*problems, *warned))


def _state(problem: Mapping[str, Any]) -> State:
    return "warning" if problem.get("severity") == Severity.WARNING else "wrong"


def _lines(finding: DoctorFinding, depth: int) -> list[str]:
    indent = "  " * depth
    first, *more = finding.detail.splitlines() or [""]
    lines = [plain(f"{indent}{_MARK[finding.state]} {finding.name}: {first}", 1000)]
    lines += [plain(f"{indent}     {line}", 1000) for line in more]
    lines += [plain(f"{indent}     fix: {finding.fix}", 1000)] if finding.fix else []
    return [*lines, *(line for inner in finding.inner for line in _lines(inner, depth + 1))]


def _plain(finding: DoctorFinding) -> dict[str, Any]:
    return {
        "name": finding.name,
        "state": finding.state,
        "detail": finding.detail,
        "fix": finding.fix,
        "checks": [_plain(inner) for inner in finding.inner],
    }
