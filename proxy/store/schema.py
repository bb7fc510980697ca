"""Tables are upgraded when a store is opened for writing, and only compared when it is opened to read."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from proxy.oci.faults import ConfigError
from proxy.store.tables import HEAD

MIGRATIONS = Path(__file__).parent / "migrations"
_ONE_AT_A_TIME = 0x636F756E  # an arbitrary number: the advisory lock of a replica that migrates


def upgrade(connection: Connection) -> None:
    """Run the missing migrations in this transaction. Raises ConfigError if the store is newer than this program."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ONE_AT_A_TIME})
    if version(connection) == HEAD:
        return
    from alembic import command  # slow to import, and rarely needed
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise ConfigError(_mismatch(version(connection))) from error


def check(connection: Connection) -> None:
    """Raise ConfigError unless the tables are those of this program."""
    found = version(connection)
    if found != HEAD:
        raise ConfigError(_mismatch(found))


def version(connection: Connection) -> str | None:
    """Return the newest migration that was run here, or None in an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _mismatch(found: str | None) -> str:
    return (
        f"store.url: the tables there are at version {found or 'none'}, this program has {HEAD}; "
        "an older store is brought up to date by `countersign serve`, a newer one needs a newer countersign"
    )
