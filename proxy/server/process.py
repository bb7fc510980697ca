"""One serving process: its parts are opened in order of dependency and closed in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import logging
import resource
import signal
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from structlog.typing import FilteringBoundLogger

from proxy import version
from proxy.admin.first_token import take_over
from proxy.config import Settings, load
from proxy.oci.faults import ConfigError, Unavailable
from proxy.server.running import Running, open_running
from proxy.tokens.open import PinRefusedAtStart
from proxy.web.logs import Bridge, open_log

PIN_REFUSED = 10  # for systemd's RestartPreventExitStatus: restarting would lock the token
CONFIG, STORE = 3, 8
LARGE = 1024 * 1024  # bytes; more than one read from a socket
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
T = TypeVar("T")


@dataclass(frozen=True)
class Signals:
    """The signals this process received: to stop, or to read its configuration again."""

    leave: asyncio.Event = field(default_factory=asyncio.Event)
    reload: asyncio.Event = field(default_factory=asyncio.Event)

    def heed(self) -> None:
        """Handle signals from now on: without a handler, SIGHUP would kill a process that is still starting."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.leave.set)
        loop.add_signal_handler(signal.SIGHUP, self.reload.set)


async def serve(path: Path) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    orders = Signals()
    orders.heed()
    bound_process()
    try:
        return await _serve(path, orders)
    except ConfigError as wrong:
        sys.stderr.write(f"{wrong}\n")
        return CONFIG
    except PinRefusedAtStart as refused:
        sys.stderr.write(f"{refused}\n")
        return PIN_REFUSED
    except Unavailable as away:
        sys.stderr.write(f"{away.what}\n")
        return STORE


def bound_process() -> None:
    """Forbid core dumps, because they would hold PINs and passwords, and raise the open-file limit to its maximum.

    With the usual limit of 1,024 files, file descriptors would run out before the connection limit is reached. Large
    buffers return to the system when they are freed: by default, glibc would keep the memory once used for bodies.
    """
    with contextlib.suppress(AttributeError, OSError):  # a C library that is not glibc
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, LARGE)
        mallopt(_M_TRIM_THRESHOLD, 4 * LARGE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # if the system does not accept that number
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _serve(path: Path, orders: Signals) -> int:
    settings = load(path)
    log = open_log(sys.stderr)
    logging.getLogger().addHandler(Bridge(log))
    async with AsyncExitStack() as stack:
        running = await _unless(orders.leave, stack.enter_async_context(serving(settings, log)))
        if running is None:
            return 0
        gc.collect()
        gc.freeze()  # the collector no longer scans permanent objects: saves 60 ms of stopped requests per run
        reloads = asyncio.create_task(_reloads(running, orders.reload))
        await orders.leave.wait()
        reloads.cancel()
    return 0


async def _unless(told: asyncio.Event, start: Coroutine[None, None, T]) -> T | None:
    """Return the result of a start, or None if told to stop first; the unfinished start is then undone."""
    starting, leaving = asyncio.ensure_future(start), asyncio.ensure_future(told.wait())
    await asyncio.wait((starting, leaving), return_when=asyncio.FIRST_COMPLETED)
    leaving.cancel()
    if not starting.done():
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return None
    return starting.result()


async def _reloads(running: Running, told: asyncio.Event) -> None:
    """Reload the configuration at each signal, without dropping a connection."""
    while True:
        await told.wait()
        told.clear()
        await running.reload()


@asynccontextmanager
async def serving(settings: Settings, log: FilteringBoundLogger) -> AsyncIterator[Running]:
    """Run the server that the settings describe for as long as the context lasts; drain on exit."""
    async with AsyncExitStack() as stack:
        running = await open_running(settings, log, stack)
        store, clock = running.store, running.ports.clock
        if (odd := await take_over(settings.directory, store.admin_tokens, store.journal, clock)) is not None:
            log.warning("the bootstrap token was not taken over", why=odd)
        await running.listen()
        log.info("serving", version=version(), public=running.public, admin=running.admin, url=settings.server.url)
        try:
            yield running
        finally:
            cut = await running.leave()
            log.info("stopped", transfers_cut=cut)
