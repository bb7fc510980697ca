"""Which rows of the journal are settled: no row that is still being written will come before them.

PostgreSQL gives a row its position when it is written, and shows it when its transaction commits: of two servers, the
later position may be seen first. So each transaction announces, by an advisory lock that ends with it, behind which
position its rows will be, and readers look at these locks. SQLite has one writer, and shows rows in their order.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

_SPACE = 0x6A6F << 48  # distinguishes these locks from others; the lower 48 bits are a position
_GIVEN = text("SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM journal_position_seq")
_ANNOUNCE = text(
    "SELECT pg_advisory_xact_lock_shared(:space + last_value - CASE WHEN is_called THEN 0 ELSE 1 END) "
    "FROM journal_position_seq"
)
_IN_FLIGHT = text(
    "SELECT min((classid::bigint << 32 | objid::bigint) - :space) FROM pg_locks "
    "WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 16 = :space >> 48 "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_ANNOUNCED = "announced by"


def announce(connection: Connection) -> None:
    """Announce that this transaction writes rows of the journal; call this before it does."""
    this = connection.get_transaction()
    if connection.dialect.name == "postgresql" and connection.info.get(_ANNOUNCED) is not this:
        connection.execute(_ANNOUNCE, {"space": _SPACE})
        connection.info[_ANNOUNCED] = this


def given(connection: Connection) -> int | None:
    """Return the last position that was given; None where rows become visible in their order."""
    return int(connection.execute(_GIVEN).scalar_one()) if connection.dialect.name == "postgresql" else None


def settled(connection: Connection, last: int) -> int:
    """Return up to which position, at most `last`, all rows are visible or will never be.

    `last` was `given` before: who had one of these positions then had announced it, and has ended unless it is found.
    """
    found = connection.execute(_IN_FLIGHT, {"space": _SPACE}).scalar()
    return last if found is None else min(last, int(found))
