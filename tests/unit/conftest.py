import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from proxy.server.store import Store, open_store
from tests.worlds.memory import FrozenClock
from tests.worlds.place import quick_directory


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with quick_directory() as directory:
        yield directory


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    opened = await open_store(url, FrozenClock())
    yield opened
    await opened.close()


async def until(true: Callable[[], bool]) -> None:
    """Wait until this is true; raises TimeoutError after five seconds."""
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110  # what is waited for knows nothing of this test
            await asyncio.sleep(0)
