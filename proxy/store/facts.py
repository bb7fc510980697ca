"""What manifests list, in tables, with a bounded memory in front: content never changes, so most answers stay true."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from typing import Any

from cachetools import LRUCache
from sqlalchemy import Connection, Row, bindparam, case, delete, insert, select, update

from proxy.oci.reference import Digest, Repository
from proxy.store.canonical import canonical
from proxy.store.database import Database, insert_once
from proxy.store.tables import listed, manifests
from proxy.trust.fact import ManifestFact

_REMEMBERED = 20_000  # answers of each kind
_CHILD, _BLOB = "child", "blob"
_Name = tuple[Repository, Digest]


class StoredFacts:
    """The Facts port on a database. All calls raise Unavailable.

    Only what was found is remembered, and listings only while no other process can add to them. An answer that was
    under way while something changed is not remembered either.
    """

    def __init__(self, database: Database) -> None:
        """Use this database and start with an empty memory."""
        self._database = database
        self._manifests: LRUCache[_Name, ManifestFact] = LRUCache(_REMEMBERED)
        self._listings: LRUCache[_Name, tuple[int, tuple[ManifestFact, ...]]] = LRUCache(_REMEMBERED)
        self._changes = 0

    async def learn(self, fact: ManifestFact) -> None:
        """Record the fact; nothing is written when it is known already."""
        known = await self.manifest(fact.repository, fact.digest)
        if known is not None and known == _together(known, fact):
            return
        await self._database.write(partial(_learn, fact=fact), lambda stands: self._learned(fact, known, stands))

    async def manifest(self, repository: Repository, digest: Digest) -> ManifestFact | None:
        """Return what we know of this manifest here, or None."""
        remembered = self._manifests.get((repository, digest))
        if remembered is not None:
            return remembered
        changes = self._changes
        found = await self._database.read(partial(_manifest, repository=repository, digest=digest))
        if found is not None and changes == self._changes:
            self._manifests[repository, digest] = found
        return found

    async def parents(
        self, repository: Repository, digest: Digest, limit: int, first: Collection[Digest] = ()
    ) -> tuple[Digest, ...]:
        """Return indexes here that list this manifest: those of `first`, then the newest."""
        found = await self._database.read(
            partial(_listing, repository=repository, digest=digest, role=_CHILD, limit=limit, first=tuple(first))
        )
        return tuple(fact.digest for fact in found)

    async def listing(self, repository: Repository, blob: Digest, limit: int) -> tuple[ManifestFact, ...]:
        """Return manifests here that list this blob, newest first."""
        remembered = self._listings.get((repository, blob))
        if remembered is not None and limit <= remembered[0]:
            return remembered[1][:limit]
        changes = self._changes
        found = await self._database.read(
            partial(_listing, repository=repository, digest=blob, role=_BLOB, limit=limit)
        )
        if found and self._database.sole and changes == self._changes:
            self._listings[repository, blob] = limit, found
        return found

    async def forget(self, repository: Repository, digest: Digest) -> None:
        """Drop what is known of a manifest that was deleted."""
        work = partial(_forget, repository=repository, digest=digest)
        await self._database.write(work, lambda _: self._forgot(repository, digest))

    def _learned(self, fact: ManifestFact, known: ManifestFact | None, stands: ManifestFact | None) -> None:
        self._changes += 1
        for blob in {*fact.blobs, *(known.blobs if known else ())}:
            self._listings.pop((fact.repository, blob), None)
        if stands is None:
            self._manifests.pop((fact.repository, fact.digest), None)
        else:
            self._manifests[fact.repository, fact.digest] = stands

    def _forgot(self, repository: Repository, digest: Digest) -> None:
        """Deleting is rare, and a listing that outlives its manifest serves what was deleted: forget them all."""
        self._changes += 1
        self._listings.clear()
        self._manifests.pop((repository, digest), None)


def _together(known: ManifestFact, fact: ManifestFact) -> ManifestFact:
    """Return the new fact; that it was not examined this time does not undo an examination."""
    return replace(fact, artifact=known.artifact) if fact.artifact is None else fact


_MANIFEST = select(manifests).where(
    manifests.c.repository == bindparam("in_repository"), manifests.c.digest == bindparam("of_digest")
)
_LISTING = (
    select(manifests)
    .join(listed, listed.c.manifest_id == manifests.c.id)
    .where(
        listed.c.repository == bindparam("in_repository"),
        listed.c.digest == bindparam("of_digest"),
        listed.c.role == bindparam("as_role"),
    )
    .order_by(listed.c.manifest_id.desc())
    .limit(bindparam("at_most"))
)


def _learn(connection: Connection, fact: ManifestFact) -> ManifestFact:
    inserted = insert_once(connection.dialect.name, manifests).returning(manifests.c.id)
    row_id = connection.execute(inserted, _values(fact)).scalar_one_or_none()
    if row_id is not None:
        _list(connection, fact, row_id)
        return fact
    here = {"in_repository": fact.repository, "of_digest": fact.digest}
    row = connection.execute(_MANIFEST.with_for_update(), here).one()
    known = _fact(row)
    stands = _together(known, fact)
    if stands != known:
        connection.execute(update(manifests).where(manifests.c.id == row.id).values(_values(stands)))
    if (stands.children, stands.blobs) != (known.children, known.blobs):
        connection.execute(delete(listed).where(listed.c.manifest_id == row.id))
        _list(connection, stands, row.id)
    return stands


def _list(connection: Connection, fact: ManifestFact, row_id: int) -> None:
    rows = [
        {"repository": fact.repository, "digest": digest, "role": role, "manifest_id": row_id}
        for role, digests in ((_CHILD, fact.children), (_BLOB, fact.blobs))
        for digest in dict.fromkeys(digests)
    ]
    if rows:
        connection.execute(insert(listed), rows)


def _manifest(connection: Connection, repository: Repository, digest: Digest) -> ManifestFact | None:
    row = connection.execute(_MANIFEST, {"in_repository": repository, "of_digest": digest}).one_or_none()
    return None if row is None else _fact(row)


def _listing(
    connection: Connection,
    repository: Repository,
    digest: Digest,
    role: str,
    limit: int,
    first: tuple[Digest, ...] = (),
) -> tuple[ManifestFact, ...]:
    asked = {"in_repository": repository, "of_digest": digest, "as_role": role, "at_most": limit}
    query = _LISTING
    if first:
        ahead = case((manifests.c.digest.in_(first), 0), else_=1)
        query = query.order_by(None).order_by(ahead, listed.c.manifest_id.desc())
    rows = connection.execute(query, asked)
    return tuple(_fact(row) for row in rows)


def _forget(connection: Connection, repository: Repository, digest: Digest) -> None:
    here = (manifests.c.repository == repository, manifests.c.digest == digest)
    row_id = connection.execute(delete(manifests).where(*here).returning(manifests.c.id)).scalar_one_or_none()
    if row_id is not None:
        connection.execute(delete(listed).where(listed.c.manifest_id == row_id))


def _values(fact: ManifestFact) -> dict[str, Any]:
    return {
        "repository": fact.repository,
        "digest": fact.digest,
        "media_type": fact.media_type,
        "size": fact.size,
        "children": canonical(fact.children),
        "blobs": canonical(fact.blobs),
        "subject": fact.subject,
        "artifact": fact.artifact,
    }


def _fact(row: Row[Any]) -> ManifestFact:
    return ManifestFact(
        repository=Repository(row.repository),
        digest=Digest(row.digest),
        media_type=row.media_type,
        size=row.size,
        children=tuple(Digest(digest) for digest in json.loads(row.children)),
        blobs=tuple(Digest(digest) for digest in json.loads(row.blobs)),
        subject=None if row.subject is None else Digest(row.subject),
        artifact=row.artifact,
    )
