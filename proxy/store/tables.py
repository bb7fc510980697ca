"""What all tables share: the `MetaData` they are declared on, the types of their columns, and rows as values.

A feature declares its tables in its `store.py`; they are the same on SQLite and PostgreSQL. A new store gets the tables
as declared; an older one is brought to them by a migration (migrations/versions).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Dialect,
    Integer,
    MetaData,
    Row,
    Select,
    Text,
    TypeDecorator,
    tuple_,
    type_coerce,
)

from proxy.oci.duration import instant
from proxy.oci.slices import Slice
from proxy.oci.strict_json import canonical

T = TypeVar("T")
metadata = MetaData()

# In SQLite, only INTEGER increments automatically.
BIG = BigInteger().with_variant(Integer, "sqlite")


class Instant(TypeDecorator[datetime]):
    """A time as text of fixed width in UTC, so that both databases order it and people can read it."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002 (SQLAlchemy's)
        return None if value is None else instant(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 (SQLAlchemy's)
        return None if value is None else datetime.fromisoformat(value)


class Chosen(TypeDecorator[StrEnum]):
    """A member of `of`, as its text."""

    impl = Text
    cache_ok = True

    def __init__(self, of: type[StrEnum]) -> None:
        super().__init__()
        self.of = of

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 (SQLAlchemy's)
        return None if value is None else self.of(value).value

    def process_result_value(self, value: Any | None, dialect: Dialect) -> StrEnum | None:  # noqa: ARG002 (SQLAlchemy's)
        return None if value is None else self.of(value)


class Json(TypeDecorator[Any]):
    """A value as canonical JSON: `write` returns its JSON form, `read` the value in it."""

    impl = Text
    cache_ok = True

    def __init__(self, read: Callable[[Any], Any] | None = None, write: Callable[[Any], Any] | None = None) -> None:
        super().__init__()
        self.read = read
        self.write = write

    def process_bind_param(self, value: Any | None, dialect: Dialect) -> str | None:  # noqa: ARG002 (SQLAlchemy's)
        return None if value is None else canonical(self.write(value) if self.write else value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Any | None:  # noqa: ARG002 (SQLAlchemy's)
        found = None if value is None else json.loads(value)
        return found if found is None or self.read is None else self.read(found)


class Foreign(TypeDecorator[str]):
    """Text that callers choose, made storable in both databases: they must not make a denial unwritable."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 (SQLAlchemy's)
        return None if value is None else value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


@cache
def _names(kind: Any) -> tuple[str, ...]:
    names: tuple[str, ...] = getattr(kind, "_fields", None) or tuple(each.name for each in fields(kind))
    return names


def values_of(value: Any, *but: str) -> dict[str, Any]:
    """Return the row of a dataclass or named tuple: each field is a column, except those named in `but`."""
    return {name: getattr(value, name) for name in _names(value.__class__) if name not in but}


def value_of(kind: Callable[..., T], row: Row[Any], **others: Any) -> T:
    """Return the dataclass or named tuple in this row; `others` are fields that no column of the same name has."""
    columns = row._mapping  # noqa: SLF001  # SQLAlchemy's public way
    return kind(**{name: others[name] if name in others else columns[name] for name in _names(kind)})


def rows_in(
    connection: Connection, query: Select[Any], key: Sequence[Column[Any]], part: Slice, *, newest_first: bool = True
) -> Sequence[Row[Any]]:
    """Return the rows of this part, in the order of these columns, which are the key of a row."""
    down = newest_first != part.back
    if part.key:
        # the key of a row has times as the text that they are stored as
        this = tuple_(*(type_coerce(each, Text) if isinstance(each.type, Instant) else each for each in key))
        query = query.where(this < part.key if down else this > part.key)
    ordered = query.order_by(*(each.desc() if down else each.asc() for each in key)).limit(part.limit)
    rows = connection.execute(ordered).all()
    return rows[::-1] if part.back else rows
