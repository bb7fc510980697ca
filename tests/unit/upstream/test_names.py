"""The registry's name is found whatever keeps the threads that everything else shares."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

from proxy.upstream.exchange import Names


async def test_addresses_are_those_of_the_systems_resolver() -> None:
    names = Names()
    (found,) = await names.resolve("127.0.0.1", 5000)
    assert (found["host"], found["port"], found["family"]) == ("127.0.0.1", 5000, socket.AF_INET)
    assert {each["host"] for each in await names.resolve("localhost", 80)} == {"127.0.0.1"}
    await names.close()


async def test_a_name_is_looked_up_while_no_shared_thread_is_left() -> None:
    held, release = threading.Barrier(3), threading.Event()
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(2) as shared:
        loop.set_default_executor(shared)

        def busy() -> None:
            held.wait()
            release.wait()

        both = [asyncio.ensure_future(asyncio.to_thread(busy)) for _ in range(2)]
        while held.n_waiting < 2:  # noqa: ASYNC110  a thread says so
            await asyncio.sleep(0.001)
        names = Names()
        assert await names.resolve("localhost", 80)
        release.set()
        held.wait()
        await asyncio.gather(*both)
        await names.close()
