"""Migrations lead to exactly the tables that the code uses."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine

from proxy.oci.faults import ConfigError
from proxy.server.store import Store, open_store
from proxy.store.schema import MIGRATIONS, version
from proxy.store.tables import HEAD, metadata
from tests.worlds.memory import FrozenClock
from tests.worlds.stored import APP, signed


def difference(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


def test_head_is_the_newest_step() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


async def test_the_steps_lead_to_the_tables(store: Store) -> None:
    assert await store._database.read(difference) == []
    assert await store._database.read(version) == HEAD


async def test_a_store_of_a_newer_program_is_refused(url: str, tmp_path: Path) -> None:
    await (await open_store(url, FrozenClock())).close()
    await asyncio.to_thread(_set_version, tmp_path / "store.db", "9999")
    for read_only in (False, True):
        with pytest.raises(ConfigError, match="at version 9999"):
            await open_store(url, FrozenClock(), read_only=read_only)


async def test_a_store_of_the_first_version_is_brought_up_to_date_with_what_is_in_it(url: str, tmp_path: Path) -> None:
    first = await open_store(url, FrozenClock())
    await first.ledger.put(signed())
    await first.close()
    await asyncio.to_thread(_back_to_the_first, tmp_path / "store.db")
    store = await open_store(url, FrozenClock())
    assert await store._database.read(difference) == []
    assert await store.ledger.bound(APP, signed().key.bound) == (signed(),)
    await store.close()


async def test_opened_to_read_nothing_is_migrated(url: str, tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "store.db").close()
    with pytest.raises(ConfigError, match="at version none"):
        await open_store(url, FrozenClock(), read_only=True)


def _back_to_the_first(path: Path) -> None:
    """Undo every migration but the first."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    engine.dispose()


def _set_version(path: Path, number: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = ?", (number,))
    connection.commit()
    connection.close()
