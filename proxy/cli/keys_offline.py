"""Gives up a lost key while no server runs, for when the admin API cannot be used."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

from proxy.cli.ask import json_out, lines_out
from proxy.cli.exits import Exit, OutputFormat
from proxy.cli.options import actor_offline, find
from proxy.config import Settings, load
from proxy.formats.certificate import pem
from proxy.keys.lost import Loss, Lost, lose
from proxy.oci.faults import ConfigError
from proxy.server.running import open_running
from proxy.web.logs import open_log

OPENING_S = 30.0  # for a slow token; with the server stopped, no pull waits


def lost_offline(given: Mapping[str, Any]) -> Exit:
    """Give up the key; print its new state and the key that signs now. `given` is what the user typed."""
    since = given["since"]
    try:
        at = datetime.fromisoformat(since) if since else None
    except ValueError:
        at = datetime.min  # noqa: DTZ901  refused with the next line
    if at is not None and at.tzinfo is None:
        raise ConfigError(f"--since: found {since!a}; allowed: a time with a zone, such as 2027-01-31T08:00:00Z")
    settings, loss = load(find(given["config"], os.environ)), Loss(given["compromised"], at, given["token_"] or None)
    done = asyncio.run(lose_offline(settings, given["fingerprint"], given["reason"], loss))
    old, new = done.old, done.new
    if given["output"] is OutputFormat.JSON:
        shown = {"old": old.fingerprint, "state": old.state.value, "new": None if new is None else new.fingerprint}
        return json_out(shown)
    lines = [f"key {old.fingerprint} of {old.profile} is {old.state}"]
    if new is not None:
        lines = [f"key {new.fingerprint} of {new.profile} is {new.state}", *lines, *pem(new.spki).splitlines()]
    return lines_out(lines)


async def lose_offline(settings: Settings, key: str, reason: str, loss: Loss) -> Lost:
    """Return the key's new state and the key that signs now, as the admin API would.

    Raises ConfigError, also if a server holds the store; PinRefusedAtStart, Fault, Unavailable.
    """
    actor = actor_offline(reason)
    async with AsyncExitStack() as stack:
        running = await open_running(settings, open_log(io.StringIO(), as_json=True), stack)
        await running.signer.opened_within(OPENING_S)
        return await lose(key, loss, actor, running.ports)
