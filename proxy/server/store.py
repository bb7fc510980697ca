"""Opens a store: engines, tables up to date, and one adapter per port."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import URL, Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from proxy.admin.store import StoredAdminTokens, StoredApprovals
from proxy.jobs.store import StoredJobs
from proxy.journal.store import StoredJournal
from proxy.keys.store import KEYBOOK, StoredKeyBook
from proxy.oci.faults import ConfigError
from proxy.overrides.store import DENIED, INTERVENTIONS, StoredOverrides
from proxy.overrides.unsigned_store import StoredUnsignedPushes
from proxy.policies.store import StoredPolicyBook
from proxy.store import engines, schema
from proxy.store.clock import Clock
from proxy.store.database import Database, translated
from proxy.store.facts import StoredFacts
from proxy.store.ledger import StoredLedger
from proxy.store.own_connection import OwnConnection
from proxy.store.shared import StoredLeases, StoredSecrets
from proxy.store.tags import StoredTags
from proxy.store.versions import Watch
from proxy.trust.keys import Trusted


class NoStoreYet(ConfigError):
    """The store's file does not exist: no server has started with it."""


@dataclass(frozen=True)
class Store:
    """The data that survives a restart. Close it once; acknowledged rows are on disk even without that."""

    ledger: StoredLedger
    facts: StoredFacts
    tags: StoredTags
    journal: StoredJournal
    keybook: StoredKeyBook
    leases: StoredLeases
    admin_tokens: StoredAdminTokens
    overrides: StoredOverrides
    unsigned: StoredUnsignedPushes
    policy_book: StoredPolicyBook
    jobs: StoredJobs
    approvals: StoredApprovals
    secrets: StoredSecrets
    sole: bool  # no other process can write it
    watch: Watch
    _database: Database = field(repr=False)
    _closing: AsyncExitStack = field(repr=False)

    async def probe(self) -> None:
        """Return when the database answers. Raises Unavailable."""
        await self._database.read(_answers)

    async def close(self) -> None:
        """Write waiting rows to disk and release all resources. Raises Unavailable when the last rows were lost."""
        await self._closing.aclose()


async def open_store(url: str, clock: Clock, *, trusted: tuple[Trusted, ...] = (), read_only: bool = False) -> Store:
    """Return the store behind `sqlite:///PATH` or `postgresql://...`, its tables up to date and its key book loaded.

    `trusted` are the keys of other signers from the configuration. With `read_only`, nothing is written or locked, so
    that commands can read while a server runs. Raises ConfigError (not a store of ours, or it cannot be opened),
    Unavailable.
    """
    parts = engines.parsed(url)
    async with AsyncExitStack() as stack:
        readers, writer, sole = _connections(parts, stack, read_only=read_only)
        database = Database(readers, writer, sole=sole)
        stack.push_async_callback(database.close)
        with translated():
            async with (writer or readers).begin() as connection:
                await connection.run_sync(schema.check if writer is None else schema.upgrade)
        journal = StoredJournal(database)
        stack.push_async_callback(journal.close)
        apart = database if sole or read_only else OwnConnection(engines.postgres_apart(parts))
        if isinstance(apart, OwnConnection):
            stack.push_async_callback(apart.close)
        keybook = StoredKeyBook(database, trusted, apart)
        await (keybook.refresh() if read_only else keybook.trust(trusted))
        ledger, facts = StoredLedger(database), StoredFacts(database, clock, DENIED)
        leases = StoredLeases(database, clock)
        tags = StoredTags(database, clock)
        tokens, policies, jobs = StoredAdminTokens(database), StoredPolicyBook(database), StoredJobs(database)
        overrides = StoredOverrides(database, clock, apart)
        await overrides.refresh()
        owed = StoredUnsignedPushes(database)
        await owed.refresh()
        watch = Watch(apart, {INTERVENTIONS: overrides, KEYBOOK: keybook}, clock.monotonic)
        approvals, secrets = StoredApprovals(database), StoredSecrets(database)
        rooms = (ledger, facts, tags, journal, keybook, leases, tokens, overrides, owed, policies, jobs, approvals)
        return Store(*rooms, secrets, sole, watch, database, stack.pop_all())


def _connections(url: URL, stack: AsyncExitStack, *, read_only: bool) -> tuple[AsyncEngine, AsyncEngine | None, bool]:
    """Return readers, the writer, and whether no other process writes; the stack releases the lock last."""
    if url.drivername != "sqlite":
        engine = engines.postgres(url)
        return engine.execution_options(isolation_level="AUTOCOMMIT"), None if read_only else engine, False
    path = Path(url.database or "")
    if read_only:
        if not path.exists():
            raise NoStoreYet(f"store.url: there is no {path}; `countersign serve` makes it at its first start")
        return engines.sqlite_readers(path), None, False
    stack.callback(engines.SoleWriter(path).release)
    return engines.sqlite_readers(path), engines.sqlite_writer(path), True


def _answers(connection: Connection) -> None:
    connection.execute(text("SELECT 1"))
