"""The number of a token's sessions this process may use, when several processes share its store and the token.

`tokens.NAME.sessions` is the total for all of them. Each session is a lease in the store, acquired before the process
that uses it logs in and released after it has logged out. A process that holds none, or two fewer than the largest
holder, requests one by another lease; the largest holder releases one. The sessions of a killed process become free
when its leases expire.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter
from collections.abc import Callable

from hsm import Token
from proxy.oci.faults import Unavailable
from proxy.store.shared import Lease, Leases

HELD_S = 12.0  # the sessions of a process that died stay reserved for this long
STEP_S = 1.0
_RENEW_AFTER_S = 4.0
_GIVE_UP_AFTER_S = 8.0  # without an answer from the store: log out before other processes may log in
_OPENING = 5.0  # seconds for a token to close one session before another PIN is tried


class InUse:
    """The sessions of one token in this process: those of the token in use, and those of tokens it has replaced."""

    def __init__(self) -> None:
        """Start with no open token."""
        self.token: Token | None = None
        self._before: list[Token] = []
        self._most: int | None = None  # limit for the old token while another PIN is tried, or after that was refused

    @property
    def used(self) -> int:
        """The number of sessions that are open, opening or closing."""
        return sum(token.used for token in (*self._before, *([self.token] if self.token else [])))

    def allow(self, sessions: int) -> None:
        """Allow the token in use this many sessions, minus those its predecessors still have."""
        if self.token is not None:
            left = sessions - sum(token.used for token in self._before)
            self.token.allow(max(0, left if self._most is None else min(left, self._most)))

    async def make_room(self, sessions: int) -> None:
        """Close one session, so that a new token can open beside this one. Impossible with only one session."""
        if self.token is None or sessions < 2:
            return
        # a retry after a refused PIN finds the room already made
        self._most = max(1, min(sessions - 1, self.token.used))
        self.allow(sessions)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_OPENING):
                while self.token.used > self._most:  # noqa: ASYNC110  it has no event for this
                    await asyncio.sleep(0.02)

    def replaced(self, fresh: Token) -> Token | None:
        """Use this token from now on; return the old one, if any: the caller closes it and then calls `closed`."""
        old, self.token, self._most = self.token, fresh, None
        if old is not None:
            self._before.append(old)
        return old

    def closed(self, old: Token) -> None:
        """Forget that token, of which no session is open any more."""
        self._before.remove(old)


class Sessions:
    """This process's share of the sessions of one token."""

    def __init__(self, leases: Leases, token: str, total: int, now: Callable[[], float]) -> None:
        """Start without sessions. `now` is a monotonic clock."""
        self.total = total
        self._leases = leases
        self._token = token
        self._prefix, self._waiting = f"token {token} session ", f"token {token} waiting"
        self._now = now
        self._holder = secrets.token_hex(8)
        self._mine: dict[str, tuple[Lease, float]] = {}  # each lease, and when it was last confirmed
        self._asking: Lease | None = None
        self._giving = False
        self._stepping = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._mine) - self._giving

    async def first(self, use: InUse, seconds: float) -> None:
        """Return once this process holds a session. Raises Unavailable if it gets none within `seconds`."""
        until = self._now() + seconds
        while not self._mine:
            await self.step(use)
            if not self._mine:
                if self._now() >= until:
                    raise Unavailable(
                        f"other servers have all {self.total} sessions of token {self._token}; raise "
                        f"tokens.{self._token}.sessions if the device allows more, or run fewer servers"
                    )
                await asyncio.sleep(STEP_S / 4)

    async def step(self, use: InUse) -> None:
        """Renew the leases held, take free ones, release those others need, and allow `use` exactly that number.

        Raises Unavailable; after too long without an answer from the store, this process has no sessions left.
        """
        async with self._stepping:
            await self._step(use)

    async def _step(self, use: InUse) -> None:
        try:
            await self._renew()
            if self._giving and use.used < len(self._mine):
                await self._leases.release(self._mine.popitem()[1][0])
                self._giving = False
            held = await self._leases.holders(self._prefix)
            asks = (await self._leases.holders(self._waiting)).get(self._waiting)
            await self._settle(held, None if asks == self._holder else asks)
        except Unavailable:
            late = [name for name, (_, at) in self._mine.items() if self._now() - at >= _GIVE_UP_AFTER_S]
            for name in late:
                del self._mine[name]
            use.allow(len(self))
            raise
        use.allow(len(self))

    async def leave(self) -> None:
        """Release all leases after logout. Those that cannot be released expire."""
        with contextlib.suppress(Unavailable):
            for lease, _ in self._mine.values():
                await self._leases.release(lease)
            await self._ask_no_more()
        self._mine.clear()

    async def _settle(self, held: dict[str, str], asks: str | None) -> None:
        counts = Counter(held.values())
        most = max((n for holder, n in counts.items() if holder != self._holder), default=0)
        free = [name for k in range(self.total) if (name := f"{self._prefix}{k}") not in held]
        if free and (asks is None or not self._mine):
            await self._take(free[0])
        elif not free and asks is not None:
            self._giving = self._giving or self._gives_way(counts, asks)
        elif not free and (not self._mine or most >= len(self._mine) + 2):
            self._asking = await self._leases.acquire(self._waiting, self._holder, HELD_S)
        else:
            await self._ask_no_more()

    def _gives_way(self, counts: Counter[str], asks: str) -> bool:
        """True for the one largest holder, if the requester has at least two fewer sessions, or none."""
        mine = len(self._mine)
        if mine < 2 or (counts[asks] and mine < counts[asks] + 2):
            return False
        return all((n, holder) <= (mine, self._holder) for holder, n in counts.items())

    async def _take(self, name: str) -> None:
        asked = self._now()
        lease = await self._leases.acquire(name, self._holder, HELD_S)
        if lease is not None:
            self._mine[name] = lease, asked
        await self._ask_no_more()

    async def _ask_no_more(self) -> None:
        if self._asking is not None:
            await self._leases.release(self._asking)
            self._asking = None

    async def _renew(self) -> None:
        for name, (lease, confirmed) in list(self._mine.items()):
            asked = self._now()
            if asked - confirmed >= _RENEW_AFTER_S:
                renewed = await self._leases.renew(lease, HELD_S)
                if renewed is None:  # it expired, and another process may have it
                    del self._mine[name]
                else:
                    self._mine[name] = renewed, asked
        if not self._mine:
            self._giving = False
