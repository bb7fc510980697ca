"""Manifest facts in tables, with a bounded cache: content never changes, so most answers stay true."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from operator import itemgetter
from typing import Any

from cachetools import LRUCache
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Index,
    Select,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    cast,
    delete,
    exists,
    func,
    insert,
    select,
    text,
    update,
)

from proxy.oci.limits import MIB
from proxy.oci.reference import Digest, Repository
from proxy.store.clock import Clock
from proxy.store.database import Database, insert_once
from proxy.store.tables import BIG, Instant, Json, metadata, value_of, values_of
from proxy.trust.fact import Listing, ManifestFact, of_fact

_REMEMBERED = 20_000  # times of the last pass
_FACTS = 32 * MIB  # bytes
_AGAIN = timedelta(days=1)  # until a pass is recorded again
CHILD, _BLOB = "child", "blob"
_Name = tuple[Repository, Digest]
manifests = Table(
    "manifests",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=True),
    Column("repository", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size", BIG, nullable=False),
    Column("children", Json(tuple), nullable=False),  # in the order of the manifest
    Column("blobs", Json(tuple), nullable=False),
    Column("subject", Text),
    Column("artifact", Boolean),
    Column("passed", Instant),  # approximate time of the last pass: where to look first
    UniqueConstraint("repository", "digest", name="manifests_once"),
    Index("manifests_by_digest", "digest"),
    Index("manifests_passed", "repository", "passed", sqlite_where=text("passed IS NOT NULL")),
    sqlite_autoincrement=True,  # newest first is by id, so an id must never be reused
)
# Which manifest lists what, for reverse look-ups. The newest come first, so the manifest's id is in the index.
listed = Table(
    "listed",
    metadata,
    Column("repository", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("role", Text, primary_key=True),  # child | blob
    Column("manifest_id", BIG, primary_key=True),
    Index("listed_by_manifest", "manifest_id"),
    sqlite_with_rowid=False,
)


class StoredFacts:
    """The Facts port on a database. All calls raise Unavailable.

    Only found facts are cached; an answer is not cached if something changed while it was read.
    """

    def __init__(self, database: Database, clock: Clock, denied: Select[Any]) -> None:
        """Use this database and start with an empty cache. `denied` selects the digests that are denied at `:now`."""
        self._database = database
        self._clock = clock
        self._passed_first = _PASSED.where(manifests.c.digest.not_in(denied))
        self._manifests: LRUCache[_Name, ManifestFact] = LRUCache(_FACTS, of_fact)
        self._passed: LRUCache[_Name, datetime] = LRUCache(_REMEMBERED)
        self._changes = 0

    async def learn(self, fact: ManifestFact, *, fresh: bool = False) -> None:
        place = (fact.repository, fact.digest)
        known = self._manifests.get(place) if fresh else await self.manifest(*place)
        if known is not None and known == _together(known, fact):
            return
        await self._database.write(partial(_learn, fact=fact), lambda merged: self._learned(fact, merged))

    async def manifest(self, repository: Repository, digest: Digest) -> ManifestFact | None:
        remembered = self._manifests.get((repository, digest))
        if remembered is not None:
            return remembered
        changes = self._changes
        found = await self._database.read(partial(_manifest, repository=repository, digest=digest))
        if found is not None and changes == self._changes:
            self._manifests[repository, digest] = found
        return found

    async def parents(self, repository: Repository, digest: Digest, limit: int, skip: int = 0) -> Listing:
        return await self._listed(repository, digest, CHILD, limit, skip)

    async def listing(self, repository: Repository, blob: Digest, limit: int, skip: int = 0) -> Listing:
        return await self._listed(repository, blob, _BLOB, limit, skip)

    async def _listed(self, repository: Repository, digest: Digest, role: str, limit: int, skip: int) -> Listing:
        asked = {"in_repository": repository, "of_digest": digest, "as_role": role, "skip": skip}
        return await self._database.read(partial(self._listing, asked=asked, limit=limit, now=self._clock.now()))

    def _listing(self, connection: Connection, asked: dict[str, Any], limit: int, now: datetime) -> Listing:
        newest = connection.execute(_NEWEST, {**asked, "at_most": limit + 1}).all()
        rows, whole = list(newest[:limit]), len(newest) <= limit
        if not whole and asked["skip"] == 0:
            rows += connection.execute(self._passed_first, {**asked, "at_most": limit, "now": now}).all()
        when: dict[str, datetime | None] = {row.digest: row.passed for row in rows}
        latest = sorted(((at, digest) for digest, at in when.items() if at), key=itemgetter(0), reverse=True)
        rest = (digest for digest, at in when.items() if not at)
        return Listing(tuple(Digest(digest) for digest in (*(digest for _, digest in latest), *rest)), whole)

    async def repositories(self, limit: int) -> tuple[Repository, ...]:
        """Return repositories of which we know a manifest, in the order of their names, at most `limit`."""
        return await self._database.read(partial(_repositories, limit=limit))

    async def ancestors(self, repository: Repository, digest: Digest, limit: int) -> frozenset[Digest]:
        asked = {"in_repository": repository, "of_digest": digest, "at_most": limit + 1}
        return await self._database.read(partial(_ancestors, asked=asked))

    async def passed(self, repository: Repository, digest: Digest, at: datetime) -> None:
        noted = self._passed.get((repository, digest))
        if noted is None or not noted <= at < noted + _AGAIN:
            await self._database.write(partial(_note, repository=repository, digest=digest, at=at), bulk=True)
            self._passed[repository, digest] = at

    async def forget(self, repository: Repository, digest: Digest) -> None:
        work = partial(_forget, repository=repository, digest=digest)
        await self._database.write(work, lambda _: self._forgot(repository, digest))

    def _learned(self, fact: ManifestFact, merged: ManifestFact | None) -> None:
        self._changes += 1
        if merged is None:
            self._manifests.pop((fact.repository, fact.digest), None)
        else:
            self._manifests[fact.repository, fact.digest] = merged

    def _forgot(self, repository: Repository, digest: Digest) -> None:
        self._changes += 1
        self._passed.pop((repository, digest), None)
        self._manifests.pop((repository, digest), None)


def _together(known: ManifestFact, fact: ManifestFact) -> ManifestFact:
    """Return the new fact; a fact that was not examined this time keeps an earlier examination."""
    return replace(fact, artifact=known.artifact) if fact.artifact is None else fact


_MANIFEST = select(manifests).where(
    manifests.c.repository == bindparam("in_repository"), manifests.c.digest == bindparam("of_digest")
)
_LISTS = (
    (listed.c.repository == bindparam("in_repository"))
    & (listed.c.digest == bindparam("of_digest"))
    & (listed.c.role == bindparam("as_role"))
    & (listed.c.manifest_id == manifests.c.id)
)
_NEWEST = (
    select(manifests.c.digest, manifests.c.passed)
    .join(listed, _LISTS)
    .order_by(listed.c.manifest_id.desc())
    .limit(bindparam("at_most"))
    .offset(bindparam("skip"))
)
_PASSED = (
    select(manifests.c.digest, manifests.c.passed)
    .where(
        manifests.c.repository == bindparam("in_repository"),
        manifests.c.passed.is_not(None),
        exists().where(_LISTS),
    )
    .order_by(manifests.c.passed.desc())
    .limit(bindparam("at_most"))
)


def _above() -> Select[Any]:
    """Select each ancestor once, however many paths lead there; this ends, because no index lists its own ancestor."""
    up = select(cast(bindparam("of_digest"), Text).label("digest")).cte("up", recursive=True)
    step = (
        select(manifests.c.digest)
        .select_from(up)
        .join(listed, (listed.c.digest == up.c.digest) & (listed.c.role == CHILD))
        .join(manifests, manifests.c.id == listed.c.manifest_id)
        .where(listed.c.repository == bindparam("in_repository"))
    )
    up = up.union(step)
    return select(up.c.digest).where(up.c.digest != bindparam("of_digest")).limit(bindparam("at_most"))


_ABOVE = _above()


def _learn(connection: Connection, fact: ManifestFact) -> ManifestFact:
    inserted = insert_once(connection.dialect.name, manifests).returning(manifests.c.id)
    row_id = connection.execute(inserted, values_of(fact)).scalar_one_or_none()
    if row_id is not None:
        _list(connection, fact, row_id)
        return fact
    here = {"in_repository": fact.repository, "of_digest": fact.digest}
    row = connection.execute(_MANIFEST.with_for_update(), here).one()
    known = value_of(ManifestFact, row)
    merged = _together(known, fact)
    if merged != known:
        connection.execute(update(manifests).where(manifests.c.id == row.id).values(values_of(merged)))
    if (merged.children, merged.blobs) != (known.children, known.blobs):
        connection.execute(delete(listed).where(listed.c.manifest_id == row.id))
        _list(connection, merged, row.id)
    return merged


def _list(connection: Connection, fact: ManifestFact, row_id: int) -> None:
    rows = [
        {"repository": fact.repository, "digest": digest, "role": role, "manifest_id": row_id}
        for role, digests in ((CHILD, fact.children), (_BLOB, fact.blobs))
        for digest in dict.fromkeys(digests)
    ]
    if rows:
        connection.execute(insert(listed), rows)


def _manifest(connection: Connection, repository: Repository, digest: Digest) -> ManifestFact | None:
    row = connection.execute(_MANIFEST, {"in_repository": repository, "of_digest": digest}).one_or_none()
    return None if row is None else value_of(ManifestFact, row)


def _repositories(connection: Connection, limit: int) -> tuple[Repository, ...]:
    """Step from name to name in the index: `DISTINCT` would read every manifest."""
    names = select(func.min(manifests.c.repository).label("name")).cte("names", recursive=True)
    after = select(func.min(manifests.c.repository)).where(manifests.c.repository > names.c.name).scalar_subquery()
    names = names.union_all(select(after).where(names.c.name.is_not(None)))
    rows = connection.execute(select(names.c.name).where(names.c.name.is_not(None)).limit(limit))
    return tuple(Repository(row.name) for row in rows)


def _ancestors(connection: Connection, asked: dict[str, Any]) -> frozenset[Digest]:
    return frozenset(Digest(row.digest) for row in connection.execute(_ABOVE, asked))


def _note(connection: Connection, repository: Repository, digest: Digest, at: datetime) -> None:
    here = (manifests.c.repository == repository, manifests.c.digest == digest)
    connection.execute(update(manifests).where(*here).values(passed=at))


def _forget(connection: Connection, repository: Repository, digest: Digest) -> None:
    here = (manifests.c.repository == repository, manifests.c.digest == digest)
    row_id = connection.execute(delete(manifests).where(*here).returning(manifests.c.id)).scalar_one_or_none()
    if row_id is not None:
        connection.execute(delete(listed).where(listed.c.manifest_id == row_id))
