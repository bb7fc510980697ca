"""What is set to happen to keys, done by one server of those that share a store; and what of it people are told."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from structlog.typing import FilteringBoundLogger

from proxy.keys.due import run_due
from proxy.oci.faults import Unavailable
from proxy.registry.ports_in_use import Ports
from proxy.store.lease import Lease, Leases
from proxy.trust.schedule import ChangeKind, ScheduledChange, announced, coming, due

LOOK_S = 1.0
LEASE_S = 15.0  # how long nobody takes over after the holder was killed
RENEW_S = 4.0  # while it works: making an RSA key takes a small token minutes
PAUSE_S, LONGEST_PAUSE_S = 5.0, 600.0  # after a failure, doubled each time: a new key may be left behind on the token
_LEASE = "key-times"
_SAYS = {
    ChangeKind.ROTATE: "a new key is made for it",
    ChangeKind.ACTIVATE: "begins to sign",
    ChangeKind.RETIRE: "is retired: what only it has signed is blocked from then on",
    ChangeKind.STOP: "stops signing beside the active key",
}


@dataclass(frozen=True)
class Failing:
    """What is due and could not be done: since when, and why at the last attempt."""

    since: datetime
    why: str


class ScheduleRunner:
    """Looks again and again for what is due. `failing` says what could not be done."""

    def __init__(
        self,
        ports: Callable[[], Ports],
        leases: Leases,
        refresh: Callable[[], Awaitable[None]],
        log: FilteringBoundLogger,
    ) -> None:
        """`ports` returns the one in force; `refresh` reads the key book again."""
        self._ports = ports
        self._leases = leases
        self._refresh = refresh
        self._log = log
        self._holder = secrets.token_hex(8)
        self._not_before = self._pause = 0.0
        self._announced: set[tuple[str, str, datetime]] = set()
        self.failing: Failing | None = None

    async def look(self) -> None:
        """Do what is due, unless another server does. Raises Unavailable where the store does not answer."""
        ports = self._ports()
        self._tell()
        if not due(ports.keybook.ring(), ports.plans, ports.clock.now()):
            self.failing = None
            return
        if ports.clock.monotonic() < self._not_before:
            return
        lease = await self._leases.acquire(_LEASE, self._holder, LEASE_S)
        if lease is None:
            return
        keeping = asyncio.create_task(self._keep(lease))
        try:
            await self._refresh()
            await run_due(ports)
        except Unavailable as wrong:
            self._failed(wrong.what, ports)
        else:
            self.failing, self._not_before, self._pause = None, 0.0, 0.0
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])
            await self._leases.release(lease)

    async def _keep(self, lease: Lease) -> None:
        """Return when the lease is lost: whoever has it then is found out by the key book."""
        held: Lease | None = lease
        while held is not None:
            await asyncio.sleep(RENEW_S)
            with suppress(Unavailable):  # the next time, while it lasts
                held = await self._leases.renew(lease, LEASE_S)

    def _failed(self, why: str, ports: Ports) -> None:
        since = ports.clock.now() if self.failing is None else self.failing.since
        self.failing = Failing(since, why)
        self._pause = min(max(self._pause * 2, PAUSE_S), LONGEST_PAUSE_S)
        self._not_before = ports.clock.monotonic() + self._pause
        self._log.error("what was due for keys could not be done", why=why, again_in_s=self._pause)

    def _tell(self) -> None:
        """Say in the log, once, what is announced."""
        for each in self.soon():
            mark = (each.what.value, each.key, each.at)
            if mark not in self._announced:
                self._announced.add(mark)
                self._log.warning("set to happen", profile=each.profile, what=each.what, at=each.at.isoformat())

    def soon(self) -> tuple[ScheduledChange, ...]:
        """Return what is announced now, the soonest first."""
        ports = self._ports()
        return announced(coming(ports.keybook.ring(), ports.plans), ports.plans, ports.clock.now())

    def shown(self) -> list[dict[str, Any]]:
        """Return what is announced, as status shows it."""
        return [
            {
                "what": each.what.value,
                "at": each.at.isoformat(),
                "profile": each.profile,
                "token": each.token,
                "key": each.key,
                "says": _SAYS[each.what] + (f"; it waits, because {each.blocked}" if each.blocked else ""),
            }
            for each in self.soon()
        ]

    def next_at(self) -> float:
        """Return when the next thing happens, announced or not, in seconds since 1970; 0 where nothing is set to."""
        ports = self._ports()
        now = ports.clock.now()
        there = (c.at for c in coming(ports.keybook.ring(), ports.plans) if c.what is not ChangeKind.STOP or c.at > now)
        return next(there, datetime.fromtimestamp(0, now.tzinfo)).timestamp()
