"""Two servers that share a PostgreSQL: what one of them is told stands in the other within a second."""

from __future__ import annotations

import asyncio
import io

import pytest

from proxy.jobs.periodic import Periodic
from proxy.oci.reference import digest_of
from proxy.server.running import LOOK_S
from proxy.server.store import Store, open_store
from proxy.web.logs import open_log
from tests.contract.conftest import postgres
from tests.worlds.memory import FrozenClock
from tests.worlds.orders import denial, exception
from tests.worlds.postgres import Cluster

__all__ = ["postgres"]  # a fixture
pytestmark = pytest.mark.real


async def soon(there: Store, *stamp: str) -> None:
    """It stands there within a second."""
    for _ in range(50):
        if there.overrides.in_force().stamp == stamp:
            return
        await asyncio.sleep(0.02)
    assert there.overrides.in_force().stamp == stamp


async def test_denials_and_exceptions_of_another_server(postgres: Cluster) -> None:
    clock = FrozenClock()
    here, there = [await open_store(postgres.url("contract"), clock) for _ in range(2)]
    ticking = Periodic(open_log(io.StringIO()))
    ticking.every(LOOK_S, "what other servers changed", there.watch.look)
    try:
        await here.overrides.deny(denial(digest_of(b"bad")))
        await soon(there, "d1")
        await here.overrides.keep(exception())
        await soon(there, "d1", "e1")
        await here.overrides.lift("d1")
        await soon(there, "e1")
    finally:
        await ticking.stop()
        await here.close()
        await there.close()
        postgres.execute("contract", "DELETE FROM denials", "DELETE FROM exceptions")
