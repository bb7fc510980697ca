"""Engines for the two databases: guarantees of their connections, and who may open them."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from proxy.oci.faults import ConfigError

_BUSY_S = 5
_POOL_WAIT_S = 10
_SQLITE_READERS = 4
_POSTGRES_CONNECTIONS = 10
APART = "countersign denials and keys"  # name of the separate connection in pg_stat_activity


def parsed(url: str) -> URL:
    """Return the URL of a store: `sqlite:///PATH` or `postgresql://...`. Raises ConfigError for any other."""
    try:
        parts = make_url(url)
    except ArgumentError:
        parts = URL.create("none")
    if (parts.drivername == "sqlite" and parts.database not in {None, "", ":memory:"}) or (
        parts.drivername in {"postgresql", "postgres"} and parts.database
    ):
        return parts
    raise ConfigError(
        f"store.url: {parts.set(query={}).render_as_string(hide_password=True)!r} is neither sqlite:///PATH nor "
        "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
    )


def sqlite_writer(path: Path) -> AsyncEngine:
    """Return the one connection that writes. A commit has reached the disk before it returns (synchronous=FULL)."""
    # Created here first: SQLite gives its side files the same permissions, and other users must not read them.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    engine = _sqlite(path, "rw", 1)

    # sqlite3 would begin a transaction late, at the first change, and fail in the middle while another one is writing.
    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def sqlite_readers(path: Path) -> AsyncEngine:
    """Return connections that only read. They never checkpoint; only the writer does."""
    return _sqlite(path, "ro", _SQLITE_READERS)


def postgres(url: URL) -> AsyncEngine:
    """Return connections to PostgreSQL that survive its restart and a transaction pooler in between."""
    return create_async_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=_POSTGRES_CONNECTIONS,
        max_overflow=0,
        pool_timeout=_POOL_WAIT_S,
        pool_pre_ping=True,
        connect_args={"prepare_threshold": None, "connect_timeout": _BUSY_S},
    )


def postgres_apart(url: URL) -> AsyncEngine:
    """Return an engine with one connection to PostgreSQL, for queries that must not wait behind any other."""
    return create_async_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=1,
        max_overflow=0,
        pool_timeout=_BUSY_S,
        pool_reset_on_return=None,  # each query is one statement by itself: there is nothing to roll back
        isolation_level="AUTOCOMMIT",
        connect_args={"prepare_threshold": None, "connect_timeout": _BUSY_S, "application_name": APART},
    )


def _sqlite(path: Path, mode: str, connections: int) -> AsyncEngine:
    query = {"mode": mode, "uri": "true"}
    return create_async_engine(
        URL.create("sqlite+aiosqlite", database=f"file:{quote(str(path.resolve()))}", query=query),
        pool_size=connections,
        max_overflow=0,
        pool_timeout=_POOL_WAIT_S,
        connect_args={"isolation_level": None, "timeout": _BUSY_S},
    )


class SoleWriter:
    """A lock file beside a SQLite file, held as long as this process has the database open for writing.

    Until 3.51.3 (and 3.50.7, 3.44.6) SQLite could lose committed rows when two connections checkpointed a WAL at the
    same moment, and our cache of facts relies on a single writer: so a second process is refused on any version.
    """

    def __init__(self, path: Path) -> None:
        """Take the lock. Raises ConfigError when another process has it, or the location is not writable."""
        lock = path.with_name(path.name + ".lock")
        try:
            self._file = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(
                f"store.url: {lock} cannot be written ({error.strerror}); make the directory and let this user write it"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._file, 20, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            raise ConfigError(
                f"store.url: process {holder or 'unknown'} is already writing {path}, and SQLite is for one; "
                "stop that one first, or use postgresql://"
            ) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Release the lock. The file stays: removing it would let two processes lock two files."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
