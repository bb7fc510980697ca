"""One serving process: built in the order of what it needs, taken down in the reverse of it."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from proxy.config import Settings, load
from proxy.oci.faults import ConfigError, Unavailable
from proxy.web.logs import Bridge, open_log
from proxy.wiring.running import Running, open_running
from proxy.wiring.signer import PinRefusedAtStart

PIN_REFUSED = 10  # for systemd's RestartPreventExitStatus: restarting would lock the token
CONFIG, STORE = 3, 8


async def serve(path: Path) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    try:
        settings = load(path)
        log = open_log(sys.stderr)
        logging.getLogger().addHandler(Bridge(log))
        async with serving(settings, log) as running:
            return await _until_told(running)
    except ConfigError as wrong:
        sys.stderr.write(f"{wrong}\n")
        return CONFIG
    except PinRefusedAtStart as refused:
        sys.stderr.write(f"{refused}\n")
        return PIN_REFUSED
    except Unavailable as away:
        sys.stderr.write(f"{away.what}\n")
        return STORE


@asynccontextmanager
async def serving(settings: Settings, log: FilteringBoundLogger) -> AsyncIterator[Running]:
    """Run everything the settings describe for as long as the context lasts; drains on the way out."""
    async with AsyncExitStack() as stack:
        running = await open_running(settings, log, stack)
        await running.listen()
        log.info("serving", public=running.public, admin=running.admin, url=settings.server.url)
        try:
            yield running
        finally:
            cut = await running.leave()
            log.info("stopped", transfers_cut=cut)


async def _until_told(running: Running) -> int:
    """Wait for SIGTERM or SIGINT; SIGHUP reloads without dropping a connection."""
    loop = asyncio.get_running_loop()
    told, reloads = asyncio.Event(), set[asyncio.Task[object]]()

    def reload() -> None:
        task: asyncio.Task[object] = asyncio.create_task(running.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    loop.add_signal_handler(signal.SIGHUP, reload)
    await told.wait()
    return 0
