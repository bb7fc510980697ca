"""Policies changed in the store while no server runs: the way back when the newest revision keeps it from starting."""

from __future__ import annotations

import asyncio
from pathlib import Path

from proxy.cli.ask import json_out, lines_out
from proxy.cli.exits import Exit
from proxy.cli.form import OutputFormat
from proxy.cli.policy_file import sent
from proxy.config import load
from proxy.server.policies_offline import put_in_store


def changed(config: Path, file: Path | None, number: int | None, reason: str, form: OutputFormat) -> Exit:
    """Add a revision with the policies of this file, or of that revision, and say which it is."""
    settings = load(config)
    given = None if file is None else sent(file, alone=True)["text"]
    new = asyncio.run(put_in_store(settings, given, number, reason))
    if form is OutputFormat.JSON:
        return json_out({"number": new.number, "hash": new.hash, "policies": new.policies})
    return lines_out([f"revision {new.number} will be in force when a server starts (policies {new.policies[:12]})"])
