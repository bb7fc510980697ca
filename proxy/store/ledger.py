"""The ledger of our signatures, in a table: one row per signature, after any crash."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Index,
    LargeBinary,
    Row,
    Select,
    Table,
    Text,
    UniqueConstraint,
    and_,
    bindparam,
    func,
    or_,
    select,
    update,
)

from proxy.oci.reference import Digest, Repository
from proxy.store.database import Database, insert_once
from proxy.store.tables import BIG, Chosen, Instant, Json, metadata, value_of, values_of
from proxy.trust.ledger import Entry, SignatureKey, Stage, merge

_KEY = ("repository", "digest", "fingerprint", "format", "bound")
ledger = Table(
    "ledger",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=True),
    *(Column(name, Text, nullable=False) for name in _KEY),
    Column("stage", Chosen(Stage), nullable=False),
    Column("message", LargeBinary, nullable=False),
    Column("signature", LargeBinary),
    Column("timestamp", LargeBinary),
    Column("claims", Json(write=dict), nullable=False),
    Column("artifact", Text),
    Column("at", Instant, nullable=False),
    UniqueConstraint(*_KEY, name="ledger_same_signature"),
    Index("ledger_by_bound", "repository", "bound"),
    Index("ledger_by_key", "fingerprint", "repository", "digest"),
)


class StoredLedger:
    """The Ledger port on a database. Every call is durable before it returns; all raise Unavailable."""

    def __init__(self, database: Database) -> None:
        """Use this database."""
        self._database = database

    async def find(self, key: SignatureKey) -> Entry | None:
        return await self._database.read(partial(_find, key=key))

    async def put(self, entry: Entry) -> Entry:
        return await self._database.write(partial(_put, entry=entry))

    async def advance(self, keys: Sequence[SignatureKey], stage: Stage, artifact: Digest | None = None) -> None:
        if keys:
            await self._database.write(partial(_advance, keys=tuple(keys), stage=stage, artifact=artifact))

    async def entries(self, repository: Repository, digest: Digest) -> tuple[Entry, ...]:
        about = {"same_repository": repository, "same_digest": digest}
        return await self._database.read(partial(_entries, query=_ENTRIES, about=about))

    async def bound(self, repository: Repository, bound: str) -> tuple[Entry, ...]:
        about = {"same_repository": repository, "same_bound": bound}
        return await self._database.read(partial(_entries, query=_BOUND, about=about))

    async def images(
        self, fingerprints: Collection[str], repository: str, after: tuple[str, str], limit: int
    ) -> tuple[tuple[Repository, Digest], ...]:
        query = _images(fingerprints, repository).order_by(ledger.c.repository, ledger.c.digest).limit(limit)
        query = query.where(
            or_(
                ledger.c.repository > after[0],
                and_(ledger.c.repository == after[0], ledger.c.digest > after[1]),
            )
        )
        return await self._database.read(partial(_pairs, query=query))

    async def count(self, fingerprints: Collection[str], repository: str) -> int:
        query = select(func.count()).select_from(_images(fingerprints, repository).subquery())
        return await self._database.read(lambda connection: connection.execute(query).scalar_one())


def signed_with(rows: Any, fingerprints: Collection[str]) -> tuple[ColumnElement[bool], ...]:
    """Return what is true of these rows of the ledger if one of these keys has made the signature."""
    return rows.c.stage.in_([Stage.SIGNED, Stage.ATTACHED]), rows.c.fingerprint.in_(sorted(fingerprints))


def _images(fingerprints: Collection[str], repository: str) -> Select[Any]:
    query = select(ledger.c.repository, ledger.c.digest).distinct().where(*signed_with(ledger, fingerprints))
    return query.where(ledger.c.repository == repository) if repository else query


def _pairs(connection: Connection, query: Select[Any]) -> tuple[tuple[Repository, Digest], ...]:
    return tuple((Repository(row.repository), Digest(row.digest)) for row in connection.execute(query))


_SAME = and_(*(ledger.c[name] == bindparam(f"same_{name}") for name in _KEY))
_FIND = select(ledger).where(_SAME)
_THERE = (
    select(ledger)
    .where(ledger.c.repository == bindparam("same_repository"), ledger.c.stage != Stage.REMOVED)
    .order_by(ledger.c.at.desc(), ledger.c.id.desc())
)
_ENTRIES = _THERE.where(ledger.c.digest == bindparam("same_digest"))
_BOUND = _THERE.where(ledger.c.bound == bindparam("same_bound"))


def _is(key: SignatureKey) -> dict[str, Any]:
    return {f"same_{name}": getattr(key, name) for name in _KEY}


def _find(connection: Connection, key: SignatureKey) -> Entry | None:
    row = connection.execute(_FIND, _is(key)).one_or_none()
    return None if row is None else _entry(row)


def _put(connection: Connection, entry: Entry) -> Entry:
    """Return the stored entry. The insert comes first: a second replica waits for the first and sees its row."""
    inserted = insert_once(connection.dialect.name, ledger).returning(ledger.c.id)
    if connection.execute(inserted, _values(entry)).first() is not None:
        return entry
    row = connection.execute(_FIND.with_for_update(), _is(entry.key)).one()
    there = _entry(row)
    merged = merge(there, entry)
    if merged != there:
        connection.execute(update(ledger).where(ledger.c.id == row.id).values(_values(merged)))
    return merged


def _advance(connection: Connection, keys: tuple[SignatureKey, ...], stage: Stage, artifact: Digest | None) -> None:
    changes = {"stage": stage} | ({"artifact": artifact} if artifact is not None else {})
    left = () if stage is Stage.REMOVED else (ledger.c.stage != Stage.REMOVED,)
    connection.execute(update(ledger).where(_SAME, *left).values(changes), [_is(key) for key in keys])


def _entries(connection: Connection, query: Select[Any], about: dict[str, str]) -> tuple[Entry, ...]:
    return tuple(_entry(row) for row in connection.execute(query, about))


def _values(entry: Entry) -> dict[str, Any]:
    return values_of(entry.key) | values_of(entry, "key") | {"timestamp": entry.timestamp or None}


def _entry(row: Row[Any]) -> Entry:
    return value_of(Entry, row, key=value_of(SignatureKey, row), timestamp=row.timestamp or b"")
