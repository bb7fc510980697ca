"""A store that an earlier version made opens as it is, with all that is in it, and its tables are those of a new one.

tests/vectors/store has the stores as SQL: `write` was run by the last version that had a step for each change, then
`iterdump` and `pg_dump --inserts` wrote them down. They are never made again: a later version reads them too.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect, text

from proxy.admin.approval import Approval, ApprovalState
from proxy.admin.token import AdminToken
from proxy.jobs.job import Job, JobState
from proxy.journal.event import Event, EventKind
from proxy.journal.port import Search
from proxy.oci.reference import Tag
from proxy.oci.slices import Slice
from proxy.policies.revision import PolicyRevision
from proxy.server.store import Store, open_store
from proxy.store.schema import head, version
from proxy.trust.actor import Actor
from proxy.trust.denial import Denial
from proxy.trust.exception import PolicyException, UnsignedPush
from proxy.trust.fact import TagFact
from proxy.trust.keys import BookKey, KeyState
from proxy.trust.roles import Role
from tests.worlds.memory import NOON, FrozenClock
from tests.worlds.postgres import Cluster
from tests.worlds.stored import APP, OTHER, decision, digest, happened, manifest, signed

BEFORE = Path(__file__).parents[1] / "vectors" / "store"
LATER = NOON + timedelta(hours=1)
ERIKA = Actor("erika", "admin-token:a", "", "r", (Role.KEY_ADMIN,), token_id="a")
MAX = Actor("max", "admin-token:b", token_id="b")

ENTRY = replace(signed(), timestamp=b"\x30\x01")
INDEX = replace(manifest("index", "b1", "b2", children=("image",)), subject=digest("subject"), artifact=False)
POINTS = TagFact(APP, Tag("v1"), digest("image"), NOON, "ann", "password", digest("next"))
DECIDED = decision("d1")
KEY = BookKey(
    "release",
    "hsm",
    "0001",
    "ab" * 16,
    "release-1",
    "ecdsa-p256",
    b"spki \x00",
    KeyState.TRUSTED,
    NOON,
    chain=(b"leaf", b"root"),
    activate_at=NOON,
    signs_until=LATER,
    retire_after=LATER,
    backup_at=NOON,
)
LOST = replace(KEY, spki=b"lost", chain=(), state=KeyState.COMPROMISED, compromised_since=NOON, backup_at=None)
TOKEN = AdminToken(
    "t1",
    "ci",
    (Role.KEY_ADMIN, Role.AUDITOR),
    "0" * 64,
    NOON,
    LATER,
    "erika",
    repositories=("team/**",),
    agreed_by="max",
)
DENIAL = Denial("n1", digest("bad"), "**", "leaked \N{SNOWMAN}", "erika", NOON, NOON + timedelta(days=900))
DENIED = Denial("n2", None, "old/**", "old", "erika", NOON)
EXCEPTION = PolicyException(
    "x1", "prod/app", digest("image"), True, "outage", "erika", "socket", NOON, LATER, offline=True
)
CLOSED = replace(
    EXCEPTION, id="x2", digest=None, closed=LATER, closed_by="max", reviewed=LATER, reviewed_by="eve", review="fine"
)
OWED = UnsignedPush(APP, digest("image"), Tag("v1"), "x1", "ann", NOON, tried=LATER, note="upstream answered 500")
SETTLED = UnsignedPush(OTHER, digest("image"), None, "x1", "ann", LATER, settled=LATER, tried=LATER)
JOB = Job(
    "j1",
    "resign",
    "erika",
    "socket",
    "new key",
    NOON,
    {"profile": "release"},
    "prod/app",
    JobState.RUNNING,
    None,
    None,
    2,
    1,
    3,
    9,
    "after",
    "note",
    {"signed": [1, 2]},
)
ENDED = replace(JOB, id="j2", state=JobState.DONE, not_before=NOON, ended=LATER, total=None, cancel=True, result={})
REVISION = PolicyRevision(1, "", "policies: []  # \N{SNOWMAN}\n", "p1", NOON, "erika", "admin-token:a", "first")
APPROVAL = Approval(
    "a1",
    "rotate_key",
    {"profile": "release"},
    '{"reason":"x"}',
    ("do it",),
    ERIKA,
    NOON,
    LATER,
    ApprovalState.APPROVED,
    MAX,
    LATER,
    "seen",
    {"reason": "x"},
)
STARTED = Event(NOON, EventKind.STARTED, detail={"umlauts": "\N{SNOWMAN}", "n": 1})
QUEUED = Event(NOON, EventKind.JOB_QUEUED)


async def write(store: Store) -> None:
    """Put a row or more in every table."""
    await store.ledger.put(ENTRY)
    await store.facts.learn(INDEX)
    await store.facts.passed(APP, INDEX.digest, NOON)
    hold = await store.tags.take(APP, (Tag("v1"),), "h", {})
    assert hold is not None
    assert await store.tags.give_back(hold, (POINTS,))
    await store.journal.record(STARTED)
    for _ in range(2):
        await store.journal.decided(DECIDED, happened(EventKind.PULL_DENIED, DECIDED))
    for key in (KEY, LOST):
        await store.keybook.add(key)
    await store.admin_tokens.add(TOKEN)
    for denial in (DENIAL, DENIED):
        await store.overrides.deny(denial)
    for exception in (EXCEPTION, CLOSED):
        await store.overrides.keep(exception)
    await store.unsigned.record_unsigned(OWED, SETTLED)
    assert await store.policy_book.append(REVISION, "[]", Event(NOON, EventKind.POLICY_CHANGED))
    for job in (JOB, ENDED):
        await store.jobs.add(job, QUEUED)
    await store.approvals.add(APPROVAL, Event(NOON, EventKind.APPROVAL_ASKED))
    assert await store.leases.acquire("jobs", "another", 60) is not None
    await store.secrets.named("uploads")


async def read_all(store: Store) -> None:
    """Find what `write` put there."""
    assert await store.ledger.entries(APP, ENTRY.key.digest) == (ENTRY,)
    assert await store.facts.manifest(APP, INDEX.digest) == INDEX
    assert (await store.facts.parents(APP, digest("image"), 8)).digests == (INDEX.digest,)
    assert await store.tags.find(APP, (Tag("v1"),)) == {Tag("v1"): POINTS}
    assert await store.journal.decision("d1") == DECIDED
    rows = await store.journal.search(Search())
    assert rows[-1] == STARTED
    assert [row.detail["count"] for row in rows if row.kind is EventKind.PULL_DENIED] == [2]
    assert store.keybook.ring().ours == (KEY, LOST)
    assert await store.journal.revision("keybook", store.keybook.ring().revision) is not None
    assert await store.admin_tokens.all() == (TOKEN,)
    assert store.overrides.recorded().denials == (DENIAL, DENIED)
    assert store.overrides.recorded().exceptions == (EXCEPTION, CLOSED)
    assert await store.unsigned.page(Slice(9)) == (SETTLED, OWED)
    assert store.unsigned.waiting() == 1
    assert (await store.policy_book.newest(), await store.policy_book.find(1)) == (REVISION, REVISION)
    assert [await store.jobs.find("j1"), await store.jobs.find("j2")] == [JOB, ENDED]
    assert await store.approvals.page(None, Slice(9)) == (APPROVAL,)
    assert [each.by.request_id for each in await store.approvals.page(None, Slice(9))] == ["r"]
    assert await store.leases.acquire("jobs", "we", 60) is None
    assert len(await store.secrets.named("uploads")) == 32


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def before(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """The URLs of a store that the earlier version made, and of a database with nothing in it."""
    written = (BEFORE / f"0044.{request.param}.sql").read_text()
    if request.param == "sqlite":
        with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
            connection.executescript(written)
        return f"sqlite:///{tmp_path}/old.db", f"sqlite:///{tmp_path}/new.db"
    cluster: Cluster = request.getfixturevalue("postgres")
    urls = cluster.create("before"), cluster.create("fresh")
    cluster.execute("before", written)
    return urls


async def test_it_opens_unchanged_with_all_that_is_in_it(before: tuple[str, str]) -> None:
    old, new = [await open_store(url, FrozenClock()) for url in before]
    assert await old._database.read(tables) == await new._database.read(tables)
    assert await old._database.read(version) == await new._database.read(version) == head()
    await read_all(old)
    await write(new)  # and what is written now is read the same way
    await read_all(new)
    for store in (old, new):
        await store.close()


def tables(connection: Connection) -> dict[str, object]:
    """Every column, key and index, as the database describes them; the order of columns means nothing."""
    there = inspect(connection)
    postgres = connection.dialect.name == "postgresql"
    catalogue = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'"
    if not postgres:
        catalogue = "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    found: dict[str, object] = {"indexes": sorted(row[0] for row in connection.execute(text(catalogue)))}
    for name in there.get_table_names():
        columns = {each["name"]: {**each, "type": str(each["type"])} for each in there.get_columns(name)}
        unique = sorted((each["column_names"], each["name"]) for each in there.get_unique_constraints(name))
        found[name] = columns, there.get_pk_constraint(name), unique
    if not postgres:
        special = "SELECT name, sql LIKE '%AUTOINCREMENT%', sql LIKE '%WITHOUT ROWID%' FROM sqlite_master"
        found["special"] = sorted(map(tuple, connection.execute(text(f"{special} WHERE type = 'table'"))))
    return found
