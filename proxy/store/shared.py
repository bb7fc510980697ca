"""What the servers of one store share: leases (locks with a fencing number), and random keys."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from secrets import token_bytes, token_hex
from typing import Protocol

from sqlalchemy import Column, ColumnElement, Connection, LargeBinary, Table, Text, and_, or_, select, update

from proxy.oci.faults import Unavailable
from proxy.store.clock import Clock
from proxy.store.database import Database, insert_once, upsert
from proxy.store.tables import BIG, Instant, metadata

BYTES = 32
HELD_S = 15.0  # seconds before another server takes over from a killed holder
RENEW_S = 4.0  # from one renewal to the next, while it is held
_SERVER = f"{socket.gethostname()}:{os.getpid()}"
leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("fence", BIG, nullable=False),
    Column("until", Instant, nullable=False),
)
secrets = Table(
    "secrets", metadata, Column("name", Text, primary_key=True), Column("value", LargeBinary, nullable=False)
)


@dataclass(frozen=True)
class Lease:
    """A right that one holder has until `until`.

    `fence` grows with every acquisition and never repeats, so that a holder that slept too long can be distinguished
    from the current one.
    """

    name: str
    holder: str
    fence: int
    until: datetime


class Leases(Protocol):
    """Locks across servers. All calls raise Unavailable."""

    def held(self, name: str) -> AbstractAsyncContextManager[asyncio.Event | None]:
        """Hold the lease while the block runs. Gives None, and holds nothing, while another holder has it.

        Otherwise gives an event, which is set once the lease is lost: what another holder must not do at the same time
        must then have stopped.
        """

    async def acquire(self, name: str, holder: str, seconds: float) -> Lease | None:
        """Return the lease, or None while another holder has it. The same holder gets it again, with a new fence.

        A lease that lasts far longer than the requested time does not count: its clock has been set back since.
        """

    async def renew(self, lease: Lease, seconds: float) -> Lease | None:
        """Return the lease with its new end, or None when it expired or was taken over: then stop at once."""

    async def release(self, lease: Lease) -> None:
        """Release the lease; no effect if it was lost before."""

    async def holders(self, prefix: str) -> dict[str, str]:
        """Return the current holders, by name, of every lease whose name has this prefix."""


@asynccontextmanager
async def hold(leases: Leases, name: str, here: set[str], *, sole: bool) -> AsyncIterator[asyncio.Event | None]:
    """What `Leases.held` does; `here` has the names that this process holds.

    A sole server always has the same holder, so it need not wait for the lease of its killed predecessor.
    """
    if name in here:
        yield None
        return
    here.add(name)
    try:
        asked = asyncio.get_running_loop().time()
        lease = await leases.acquire(name, "the only server" if sole else f"{_SERVER}:{token_hex(4)}", HELD_S)
        if lease is None:
            yield None
            return
        lost = asyncio.Event()
        keeping = asyncio.create_task(_keep(leases, lease, asked, lost))
        try:
            yield lost
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])
            await leases.release(lease)
    finally:
        here.discard(name)


async def _keep(leases: Leases, lease: Lease, confirmed: float, lost: asyncio.Event) -> None:
    """Renew until it is lost: taken over, or not renewed for so long that it may be."""
    now, held = asyncio.get_running_loop().time, True
    while held:
        await asyncio.sleep(RENEW_S)
        asked = now()
        with suppress(Unavailable):  # the next renewal may succeed before the lease ends
            try:
                async with asyncio.timeout_at(confirmed + HELD_S - RENEW_S):
                    held = await leases.renew(lease, HELD_S) is not None
                confirmed = asked
            except TimeoutError:
                held = False
    lost.set()


class StoredLeases:
    """The Leases port on a database, by the clock of the process that asks."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Use this database and this clock."""
        self._database = database
        self._clock = clock
        self._here: set[str] = set()

    def held(self, name: str) -> AbstractAsyncContextManager[asyncio.Event | None]:
        return hold(self, name, self._here, sole=self._database.sole)

    async def acquire(self, name: str, holder: str, seconds: float) -> Lease | None:
        return await self._database.write(
            partial(_acquire, name=name, holder=holder, now=self._clock.now(), until=self._in(seconds))
        )

    async def renew(self, lease: Lease, seconds: float) -> Lease | None:
        until = self._in(seconds)
        held = await self._database.write(partial(_end, lease=lease, now=self._clock.now(), until=until))
        return replace(lease, until=until) if held else None

    async def release(self, lease: Lease) -> None:
        now = self._clock.now()
        await self._database.write(partial(_end, lease=lease, now=now, until=now))

    async def holders(self, prefix: str) -> dict[str, str]:
        return await self._database.read(partial(_all_held, prefix=prefix, now=self._clock.now()))

    def _in(self, seconds: float) -> datetime:
        return self._clock.now() + timedelta(seconds=seconds)


def _acquire(connection: Connection, name: str, holder: str, now: datetime, until: datetime) -> Lease | None:
    new = upsert(connection.dialect.name, leases).values(name=name, holder=holder, fence=1, until=until)
    taken = new.on_conflict_do_update(
        index_elements=[leases.c.name],
        set_={"holder": holder, "fence": leases.c.fence + 1, "until": until},
        where=or_(leases.c.until <= now, leases.c.until > _sane(now, until), leases.c.holder == holder),
    ).returning(leases.c.fence)
    fence = connection.execute(taken).scalar_one_or_none()
    return None if fence is None else Lease(name, holder, fence, until)


def _sane(now: datetime, until: datetime) -> datetime:
    """Return the latest end of a valid lease: one that lasts longer was made by a clock that was set back since."""
    return until + 2 * (until - now)


def _end(connection: Connection, lease: Lease, now: datetime, until: datetime) -> bool:
    result = connection.execute(update(leases).where(_held(lease, now)).values(until=until))
    return result.rowcount == 1


def _all_held(connection: Connection, prefix: str, now: datetime) -> dict[str, str]:
    query = select(leases.c.name, leases.c.holder)
    rows = connection.execute(query.where(leases.c.name.startswith(prefix, autoescape=True), leases.c.until > now))
    return {row.name: row.holder for row in rows}


def _held(lease: Lease, now: datetime) -> ColumnElement[bool]:
    return and_(leases.c.name == lease.name, leases.c.fence == lease.fence, leases.c.until > now)


class StoredSecrets:
    """Random keys shared by all servers of one store, each created by the first server that needs it.

    For values that clients receive and return. They sign no images; any reader of the database has them.
    """

    def __init__(self, database: Database) -> None:
        """Use this database; no key is cached in memory."""
        self._database = database

    async def named(self, name: str) -> bytes:
        """Return the key of this name, 32 bytes, the same for every server and after every restart."""
        return await self._database.write(lambda connection: _named(connection, name))


def _named(connection: Connection, name: str) -> bytes:
    kept = select(secrets.c.value).where(secrets.c.name == name)
    found: bytes | None = connection.execute(kept).scalar_one_or_none()
    if found is None:
        once = insert_once(connection.dialect.name, secrets)  # another server may be first
        connection.execute(once, [{"name": name, "value": token_bytes(BYTES)}])
        found = connection.execute(kept).scalar_one()
    return found
