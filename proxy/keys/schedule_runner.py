"""Run scheduled key changes on one of the servers that share a store, and announce them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from structlog.typing import FilteringBoundLogger

from proxy.keys.due import run_due
from proxy.oci.faults import Unavailable
from proxy.registry.ports_in_use import Ports
from proxy.store.shared import Leases
from proxy.trust.schedule import ChangeKind, ScheduledChange, announced, coming, due

LOOK_S = 1.0
# pause after a failure, doubled each time: every try may leave a new key on the token
PAUSE_S, LONGEST_PAUSE_S = 5.0, 600.0
LEASE = "key-times"  # held while changes run: a small token needs minutes for an RSA key
_SAYS = {
    ChangeKind.ROTATE: "a new key is made for it",
    ChangeKind.ACTIVATE: "begins to sign",
    ChangeKind.RETIRE: "is retired: images that only it has signed are then blocked",
    ChangeKind.STOP: "stops signing beside the active key",
}


@dataclass(frozen=True)
class Failing:
    """A change that is due and failed: since when, and the reason of the last attempt."""

    since: datetime
    why: str


class ScheduleRunner:
    """Regularly runs the changes that are due. `failing` holds the failure of the last attempt."""

    def __init__(
        self,
        ports: Callable[[], Ports],
        leases: Leases,
        refresh: Callable[[], Awaitable[None]],
        log: FilteringBoundLogger,
    ) -> None:
        """`ports` returns the current ports; `refresh` reads the key book again."""
        self._ports = ports
        self._leases = leases
        self._refresh = refresh
        self._log = log
        self._not_before = self._pause = 0.0
        self._announced: set[tuple[str, str, datetime]] = set()
        self.failing: Failing | None = None

    async def look(self) -> None:
        """Make the changes that are due, unless another server does. Raises Unavailable if the store is away."""
        ports = self._ports()
        self._tell()
        if not due(ports.keybook.ring(), ports.plans, ports.clock.now()):
            self.failing = None
            return
        if ports.clock.monotonic() < self._not_before:
            return
        async with self._leases.held(LEASE) as lost:
            if lost is None:
                return
            try:  # to the end, also when it is lost: the key book refuses what conflicts with the next holder's changes
                await self._refresh()
                await run_due(ports)
            except Unavailable as wrong:
                self._failed(wrong.what, ports)
            else:
                self.failing, self._not_before, self._pause = None, 0.0, 0.0

    def _failed(self, why: str, ports: Ports) -> None:
        since = ports.clock.now() if self.failing is None else self.failing.since
        self.failing = Failing(since, why)
        self._pause = min(max(self._pause * 2, PAUSE_S), LONGEST_PAUSE_S)
        self._not_before = ports.clock.monotonic() + self._pause
        self._log.error("a scheduled change of keys failed", why=why, again_in_s=self._pause)

    def _tell(self) -> None:
        """Log each announced change once."""
        for each in self.soon():
            mark = (each.what.value, each.key, each.at)
            if mark not in self._announced:
                self._announced.add(mark)
                self._log.warning("a change is scheduled", profile=each.profile, what=each.what, at=each.at.isoformat())

    def soon(self) -> tuple[ScheduledChange, ...]:
        """Return the changes announced now, soonest first."""
        ports = self._ports()
        return announced(coming(ports.keybook.ring(), ports.plans), ports.plans, ports.clock.now())

    def shown(self) -> list[dict[str, Any]]:
        """Return the announced changes in the form of the status."""
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
        """Return the time of the next change, announced or not, in seconds since 1970; 0 if none is scheduled."""
        ports = self._ports()
        now = ports.clock.now()
        there = (c.at for c in coming(ports.keybook.ring(), ports.plans) if c.what is not ChangeKind.STOP or c.at > now)
        return next(there, datetime.fromtimestamp(0, now.tzinfo)).timestamp()
