"""The same store three times: in memory, in a SQLite file, in a PostgreSQL that is started once for all tests."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Protocol

import pytest
from sqlalchemy import delete

from proxy.admin.ports import AdminTokens, Approvals
from proxy.jobs.port import Jobs
from proxy.journal.impact import AffectedImages, SignedBy, SignedImage, Within
from proxy.journal.port import Journal, Pulled
from proxy.journal.reports import WouldBlock
from proxy.oci.slices import Slice
from proxy.policies.in_force import PolicyBook
from proxy.registry.ports.facts import Facts, Ledger, Signed, Tags
from proxy.registry.ports.keys import KeyBook
from proxy.registry.ports.overrides import OverrideStore, UnsignedPushes
from proxy.server.store import open_store
from proxy.store.shared import Leases
from proxy.store.tables import metadata
from proxy.trust.keys import Trusted
from tests.worlds.memory import FrozenClock, MemoryStore
from tests.worlds.place import quick_directory
from tests.worlds.postgres import MISSING, Cluster, postgres_cluster, postgres_programs


class Record(Journal, Protocol):
    """The Journal port, and what reports ask of it besides."""

    async def would_block(self, since: datetime) -> tuple[WouldBlock, ...]: ...

    async def affected(self, by: SignedBy | Within, since: datetime) -> AffectedImages: ...

    async def signed(self, by: SignedBy, part: Slice, *, only: bool = False) -> tuple[SignedImage, ...]: ...

    async def pulled(self, since: datetime, limit: int, repository: str = "") -> tuple[Pulled, ...]: ...


class Book(KeyBook, Protocol):
    """The KeyBook port, and what a reload of configuration asks of it besides."""

    async def trust(self, trusted: tuple[Trusted, ...]) -> None: ...


class WholeLedger(Ledger, Signed, Protocol):
    """The Ledger port, and what jobs walk through."""


class AnyStore(Protocol):
    """What every store has."""

    @property
    def ledger(self) -> WholeLedger: ...

    @property
    def facts(self) -> Facts: ...

    @property
    def tags(self) -> Tags: ...

    @property
    def journal(self) -> Record: ...

    @property
    def keybook(self) -> Book: ...

    @property
    def leases(self) -> Leases: ...

    @property
    def admin_tokens(self) -> AdminTokens: ...

    @property
    def overrides(self) -> OverrideStore: ...

    @property
    def unsigned(self) -> UnsignedPushes: ...

    @property
    def policy_book(self) -> PolicyBook: ...

    @property
    def approvals(self) -> Approvals: ...

    @property
    def jobs(self) -> Jobs: ...

    async def close(self) -> None: ...


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    if postgres_programs() is None:
        pytest.skip(MISSING)
    with postgres_cluster() as cluster:
        cluster.create("contract")
        yield cluster


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite store with all its tables and nothing in them: a copy is quicker than running the migrations."""
    path = tmp_path_factory.mktemp("store") / "store.db"

    async def make() -> None:
        await (await open_store(f"sqlite:///{path}", FrozenClock())).close()

    asyncio.run(make())
    return path


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
async def store(request: pytest.FixtureRequest, clock: FrozenClock, migrated: Path) -> AsyncIterator[AnyStore]:
    if request.param == "memory":
        yield MemoryStore(clock)
    elif request.param == "sqlite":
        with quick_directory() as directory:
            shutil.copy(migrated, directory / "store.db")
            opened = await open_store(f"sqlite:///{directory}/store.db", clock)
            yield opened
            await opened.close()
    else:
        cluster: Cluster = request.getfixturevalue("postgres")
        opened = await open_store(cluster.url("contract"), clock)
        yield opened
        await opened.close()
        cluster.execute("contract", *(str(delete(table)) for table in metadata.tables.values()))


@pytest.fixture
def ledger(store: AnyStore) -> Ledger:
    return store.ledger


@pytest.fixture
def facts(store: AnyStore) -> Facts:
    return store.facts


@pytest.fixture
def journal(store: AnyStore) -> Record:
    return store.journal


@pytest.fixture
def keybook(store: AnyStore) -> Book:
    return store.keybook


@pytest.fixture
def leases(store: AnyStore) -> Leases:
    return store.leases


@pytest.fixture
def admin_tokens(store: AnyStore) -> AdminTokens:
    return store.admin_tokens


@pytest.fixture
def owed(store: AnyStore) -> UnsignedPushes:
    return store.unsigned


@pytest.fixture
def overrides(store: AnyStore) -> OverrideStore:
    return store.overrides


@pytest.fixture
def policy_book(store: AnyStore) -> PolicyBook:
    return store.policy_book


@pytest.fixture
def jobs(store: AnyStore) -> Jobs:
    return store.jobs
