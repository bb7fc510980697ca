"""Gives up a lost key while no server runs, for when the admin API cannot be used."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

from proxy.cli.agreed import Confirmation, confirmed
from proxy.cli.ask import json_out, lines_out
from proxy.cli.exits import Exit, OutputFormat
from proxy.cli.options import actor_offline, find
from proxy.config import Settings, load
from proxy.formats.certificate import pem
from proxy.keys.lost import Loss, Lost, lose, lost_steps
from proxy.server.running import open_running
from proxy.web.logs import open_log

OPENING_S = 30.0  # for a slow token; with the server stopped, no pull waits


def lost_offline(given: Mapping[str, Any]) -> Exit:
    """Give up the key; print its new state and the key that signs now. `given` is what the user typed."""
    at = None if given["since"] is None else datetime.fromisoformat(given["since"])
    settings, loss = load(find(given["config"], os.environ)), Loss(given["compromised"], at, given["token_"])
    manner = Confirmation(given["dry_run"], given["yes"], given["output"])
    done = asyncio.run(
        lose_offline(settings, given["fingerprint"], given["reason"], loss, lambda plan: confirmed(plan, manner))
    )
    if isinstance(done, Exit):
        return done
    old, new = done.old, done.new
    if given["output"] is OutputFormat.JSON:
        shown = {"old": old.fingerprint, "state": old.state.value, "new": None if new is None else new.fingerprint}
        return json_out(shown)
    lines = [f"key {old.fingerprint} of {old.profile} is {old.state}"]
    if new is not None:
        lines = [f"key {new.fingerprint} of {new.profile} is {new.state}", *lines, *pem(new.spki).splitlines()]
    return lines_out(lines)


async def lose_offline(
    settings: Settings, key: str, reason: str, loss: Loss,
    left: Callable[[Sequence[str]], Exit | None] = lambda _: None,
) -> Lost | Exit:  # fmt: skip
    """Return the key's new state and the key that signs now, as the admin API would; else what `left` says to the plan.

    Raises ConfigError, also if a server holds the store; PinRefusedAtStart, Fault, Unavailable.
    """
    actor = actor_offline(reason)
    async with AsyncExitStack() as stack:
        running = await open_running(settings, open_log(io.StringIO(), as_json=True), stack)
        await running.signer.opened_within(OPENING_S)
        code = left(lost_steps(key, loss, running.ports))
        return await lose(key, loss, actor, running.ports) if code is None else code
