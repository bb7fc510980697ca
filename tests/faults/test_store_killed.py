"""kill -9 while rows are being committed: every row that was acknowledged is there, and the next start just works."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from proxy.journal.event import Event, EventKind
from proxy.journal.port import Search
from proxy.server.store import open_store
from tests.worlds.memory import NOON, FrozenClock
from tests.worlds.stored import signature_key, signed

ROOT = Path(__file__).parents[2]


async def write_until_killed(url: str) -> None:
    """Several writers at once; each says on standard output what was acknowledged to it."""
    store = await open_store(url, FrozenClock())
    start = len(await store.journal.search(Search(limit=1_000_000)))

    async def journal(writer: int) -> None:
        for n in range(100_000):
            name = f"{start}-{writer}-{n}"
            await store.journal.record(Event(NOON, EventKind.SIGNED, request_id=name))
            print(json.dumps(["event", name]), flush=True)

    async def ledger() -> None:
        for n in range(100_000):
            await store.ledger.put(signed(signature_key(f"{start}-{n}")))
            print(json.dumps(["signed", f"{start}-{n}"]), flush=True)

    await asyncio.gather(journal(0), journal(1), journal(2), ledger())


@pytest.mark.parametrize("rounds", [3])
async def test_acknowledged_rows_survive(tmp_path: Path, rounds: int) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    code = f"import asyncio; from tests.faults.test_store_killed import *; asyncio.run(write_until_killed({url!r}))"
    said: list[list[str]] = []
    for after in range(rounds):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        assert child.stdout is not None
        for _ in range(37 + 61 * after):
            said.append(json.loads(await child.stdout.readline()))  # noqa: PERF401  # each line as it comes
        child.send_signal(signal.SIGKILL)
        rest, _ = await child.communicate()
        said += [json.loads(line) for line in rest.splitlines() if line.endswith(b"]")]
        assert child.returncode == -signal.SIGKILL

        reading = await open_store(url, FrozenClock(), read_only=True)  # nobody has recovered the file yet
        names = {event.request_id for event in await reading.journal.search(Search(limit=1_000_000))}
        await reading.close()
        assert {name for kind, name in said if kind == "event"} <= names

    store = await open_store(url, FrozenClock())
    for kind, name in said:
        if kind == "signed":
            assert await store.ledger.find(signature_key(name)) == signed(signature_key(name))
    await store.journal.record(Event(NOON, EventKind.STARTED))
    await store.close()
