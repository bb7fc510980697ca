"""The tables of a store: made when it is new, upgraded when it is opened for writing, compared when it is only read."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from proxy.oci.faults import ConfigError
from proxy.store.tables import metadata

MIGRATIONS = Path(__file__).parent / "migrations"
BASELINE = "0044"  # the oldest version that can be upgraded
_BEFORE = "0e5b8ac"  # the last commit that upgrades older ones
_ONE_AT_A_TIME = 0x636F756E  # an arbitrary number: the advisory lock of a replica that migrates
_VERSION = (
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


def head() -> str:
    """Return the version of the tables as declared: that of the newest migration."""
    return max(path.name for path in (MIGRATIONS / "versions").glob("v*.py"))[1:5]


def upgrade(connection: Connection) -> None:
    """Bring the tables to those declared, in this transaction. Raises ConfigError if that is not possible."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ONE_AT_A_TIME})
    found, wanted = version(connection), head()
    if found is None:
        _create(connection, wanted)
    elif found != wanted:
        if not BASELINE <= found < wanted:
            raise ConfigError(_mismatch(found))
        _migrate(connection)


def check(connection: Connection) -> None:
    """Raise ConfigError unless the tables are those of this program."""
    found = version(connection)
    if found != head():
        raise ConfigError(_mismatch(found))


def version(connection: Connection) -> str | None:
    """Return the version of the tables, or None in an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _create(connection: Connection, wanted: str) -> None:
    if connection.dialect.name == "postgresql":
        # declared here, because naming this dialect in a table would load it (50 ms) where the store is a file
        for index in (each for table in metadata.tables.values() for each in table.indexes):
            index.dialect_options["postgresql"]["where"] = index.dialect_options["sqlite"]["where"]
    metadata.create_all(connection, checkfirst=False)
    connection.execute(text(_VERSION))
    connection.execute(text("INSERT INTO alembic_version VALUES (:wanted)"), {"wanted": wanted})


def _migrate(connection: Connection) -> None:
    from alembic import command  # slow to import, and rarely needed
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _mismatch(found: str | None) -> str:
    there = f"store.url: the tables there are at version {found or 'none'}, this program has {head()}; "
    if found is None:
        return f"{there}`countersign serve` makes them"
    if found > head():
        return f"{there}a newer store needs a newer countersign"
    if found >= BASELINE:
        return f"{there}`countersign serve` brings them up to date"
    return (
        f"{there}versions before {BASELINE} were never released, and this program does not upgrade them: run "
        f"`countersign serve` of commit {_BEFORE} once, stop it, then start this one"
    )
