"""The tables of a store are those that the code declares: a new one gets them, an older one is brought to them."""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, Table, Text

from proxy.oci.faults import ConfigError
from proxy.server.store import Store, open_store
from proxy.store import schema
from proxy.store.schema import BASELINE, MIGRATIONS, head, version
from proxy.store.tables import metadata
from tests.worlds.memory import FrozenClock
from tests.worlds.stored import APP, signed

STEP = """
import sqlalchemy as sa
from alembic import op

revision = "9000"
down_revision = "{before}"


def upgrade() -> None:
    op.create_table("seen", sa.Column("name", sa.Text, primary_key=True))
"""


def difference(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


def test_the_steps_follow_one_another_from_the_baseline_to_the_newest() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    steps = ScriptDirectory.from_config(config)
    assert (steps.get_bases(), steps.get_heads()) == ([BASELINE], [head()])


async def test_a_new_store_has_the_tables(store: Store) -> None:
    assert await store._database.read(difference) == []
    assert await store._database.read(version) == head()


@pytest.fixture
def table_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What adding a table is: a declaration, and a migration."""
    table = Table("seen", metadata, Column("name", Text, primary_key=True))
    shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    (tmp_path / "migrations" / "versions" / "v9000_seen.py").write_text(STEP.format(before=head()))
    monkeypatch.setattr(schema, "MIGRATIONS", tmp_path / "migrations")
    yield
    metadata.remove(table)


async def test_an_older_store_gets_the_table_of_a_later_version_and_keeps_what_is_in_it(
    url: str, request: pytest.FixtureRequest
) -> None:
    first = await open_store(url, FrozenClock())
    await first.ledger.put(signed())
    await first.close()
    request.getfixturevalue("table_added")
    with pytest.raises(ConfigError, match="`countersign serve` brings them up to date"):
        await open_store(url, FrozenClock(), read_only=True)
    store = await open_store(url, FrozenClock())
    assert await store._database.read(difference) == []
    assert await store._database.read(version) == "9000"
    assert await store.ledger.bound(APP, signed().key.bound) == (signed(),)
    await store.close()


async def test_a_new_store_has_the_table_of_a_later_version_too(url: str, table_added: None) -> None:
    store = await open_store(url, FrozenClock())
    assert await store._database.read(difference) == []
    assert await store._database.read(version) == "9000"
    await store.close()


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ("9999", f"at version 9999, this program has {head()}; a newer store needs a newer countersign"),
        ("0036", "versions before 0044 were never released, .* run `countersign serve` of commit 0e5b8ac once"),
    ],
)
async def test_a_store_of_another_version_is_refused_and_left_as_it_is(
    url: str, tmp_path: Path, found: str, why: str
) -> None:
    await (await open_store(url, FrozenClock())).close()
    await asyncio.to_thread(_set_version, tmp_path / "store.db", found)
    before = (tmp_path / "store.db").read_bytes()
    for read_only in (False, True):
        with pytest.raises(ConfigError, match=why):
            await open_store(url, FrozenClock(), read_only=read_only)
    assert (tmp_path / "store.db").read_bytes() == before


async def test_opened_to_read_nothing_is_made(url: str, tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "store.db").close()
    with pytest.raises(
        ConfigError, match=f"at version none, this program has {head()}; `countersign serve` makes them"
    ):
        await open_store(url, FrozenClock(), read_only=True)


def _set_version(path: Path, number: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = ?", (number,))
    connection.commit()
    connection.close()
