"""What we signed, in a table: one row per signature, whatever dies when."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, select, update

from proxy.oci.reference import Digest, Repository
from proxy.store.canonical import canonical
from proxy.store.database import Database, upsert
from proxy.store.stages import standing
from proxy.store.tables import ledger
from proxy.trust.ledger import Entry, SignatureKey, Stage


class StoredLedger:
    """The Ledger port on a database. Every call is durable before it returns; all raise Unavailable."""

    def __init__(self, database: Database) -> None:
        """Use this database."""
        self._database = database

    async def find(self, key: SignatureKey) -> Entry | None:
        """Return the entry of this very signature, or None."""
        return await self._database.read(partial(_find, key=key))

    async def put(self, entry: Entry) -> Entry:
        """Return the entry that stands from now on: this one, or the one that was there and is further on."""
        return await self._database.write(partial(_put, entry=entry))

    async def advance(self, keys: Sequence[SignatureKey], stage: Stage, artifact: Digest | None = None) -> None:
        """Move entries to a stage, with the manifest that carries them; what is not there stays not there."""
        if keys:
            await self._database.write(partial(_advance, keys=tuple(keys), stage=stage, artifact=artifact))

    async def entries(self, repository: Repository, digest: Digest) -> tuple[Entry, ...]:
        """Return everything we signed for this digest here, newest first, removed ones left out."""
        return await self._database.read(partial(_entries, repository=repository, digest=digest))


def _is(key: SignatureKey) -> ColumnElement[bool]:
    return and_(
        ledger.c.repository == key.repository,
        ledger.c.digest == key.digest,
        ledger.c.fingerprint == key.fingerprint,
        ledger.c.format == key.format,
        ledger.c.bound == key.bound,
    )


def _find(connection: Connection, key: SignatureKey) -> Entry | None:
    row = connection.execute(select(ledger).where(_is(key))).one_or_none()
    return None if row is None else _entry(row)


def _put(connection: Connection, entry: Entry) -> Entry:
    """Insert first, so that of two replicas the second waits for the first and then sees its row."""
    values = _values(entry)
    inserted = upsert(connection, ledger).values(values).on_conflict_do_nothing().returning(ledger.c.id)
    if connection.execute(inserted).first() is not None:
        return entry
    row = connection.execute(select(ledger).where(_is(entry.key)).with_for_update()).one()
    there = _entry(row)
    stands = standing(there, entry)
    if stands != there:
        connection.execute(update(ledger).where(ledger.c.id == row.id).values(_values(stands)))
    return stands


def _advance(connection: Connection, keys: tuple[SignatureKey, ...], stage: Stage, artifact: Digest | None) -> None:
    changes = {"stage": stage.value} | ({"artifact": artifact} if artifact is not None else {})
    for key in keys:
        connection.execute(update(ledger).where(_is(key)).values(changes))


def _entries(connection: Connection, repository: Repository, digest: Digest) -> tuple[Entry, ...]:
    rows = connection.execute(
        select(ledger)
        .where(ledger.c.repository == repository, ledger.c.digest == digest, ledger.c.stage != Stage.REMOVED.value)
        .order_by(ledger.c.at.desc(), ledger.c.id.desc())
    )
    return tuple(_entry(row) for row in rows)


def _values(entry: Entry) -> dict[str, Any]:
    return {
        "repository": entry.key.repository,
        "digest": entry.key.digest,
        "fingerprint": entry.key.fingerprint,
        "format": entry.key.format,
        "bound": entry.key.bound,
        "stage": entry.stage.value,
        "message": entry.message,
        "signature": entry.signature,
        "claims": canonical(dict(entry.claims)),
        "artifact": entry.artifact,
        "at": entry.at,
    }


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        key=SignatureKey(Repository(row.repository), Digest(row.digest), row.fingerprint, row.format, row.bound),
        stage=Stage(row.stage),
        message=bytes(row.message),
        at=row.at,
        signature=None if row.signature is None else bytes(row.signature),
        claims=json.loads(row.claims),
        artifact=None if row.artifact is None else Digest(row.artifact),
    )
