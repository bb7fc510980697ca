"""A lost key given up with the server stopped, by the flow that the admin API calls."""

from __future__ import annotations

import io
from contextlib import AsyncExitStack

from proxy.config import Settings
from proxy.keys.lost import Loss, Lost, lose
from proxy.oci.faults import ConfigError
from proxy.server.running import open_running
from proxy.trust.actor import Actor
from proxy.trust.token_text import holds_token
from proxy.web.logs import open_log

WHO, HOW = "operator on the host", "offline"
OPENING_S = 30.0  # a slow token; with the server stopped nobody waits for pulls


async def lose_offline(settings: Settings, key: str, reason: str, loss: Loss) -> Lost:
    """Return what became of the key, and which one signs now.

    Raises ConfigError, also where a server holds the store; PinRefusedAtStart, Fault, Unavailable.
    """
    if not reason.isprintable() or not 0 < len(reason) <= 500 or holds_token(reason):
        raise ConfigError("--reason: one line of 1 to 500 printable characters, without a token in it")
    async with AsyncExitStack() as stack:
        running = await open_running(settings, open_log(io.StringIO(), as_json=True), stack)
        await running.signer.opened_within(OPENING_S)
        return await lose(key, loss, Actor(WHO, HOW, reason), running.ports)
