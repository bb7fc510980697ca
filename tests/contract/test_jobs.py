"""Jobs: kept whole, changed in one transaction, found in the order to do them in; the ledger walked in parts."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from proxy.jobs.job import Job, JobState, called_off, over, put_off, taken_up
from proxy.jobs.operations import JOBS
from proxy.jobs.port import Jobs
from proxy.journal.event import Event, EventKind
from proxy.journal.port import Search
from proxy.oci.reference import parse_digest, parse_repository
from proxy.oci.slices import Slice
from proxy.trust.allotment import Allotment
from proxy.trust.ledger import Entry, SignatureKey, Stage
from tests.contract.conftest import AnyStore
from tests.worlds.memory import NOON

JOB = Job("a" * 16, "resign", "erika", "admin-token:a", "a \N{SNOWMAN}", NOON, {"profile": "release"}, "team/app")
QUEUED = Event(NOON, EventKind.JOB_QUEUED)
LATER = replace(JOB, id="b" * 16, kind="other", created=NOON + timedelta(seconds=1), repository="")


async def test_a_job_comes_back_whole(jobs: Jobs) -> None:
    assert await jobs.find(JOB.id) is None
    full = replace(
        JOB,
        not_before=NOON,
        ended=NOON,
        run=2,
        tries=1,
        done=3,
        total=4,
        cursor="c",
        note="n",
        result={"x": [1]},
        cancel=True,
    )
    await jobs.add(full, QUEUED)
    assert await jobs.find(JOB.id) == full


async def test_the_oldest_that_may_go_on_comes_first(jobs: Jobs) -> None:
    assert await jobs.next(NOON) is None
    await jobs.add(LATER, QUEUED)
    await jobs.add(JOB, QUEUED)
    assert await jobs.next(NOON) == JOB
    running = await jobs.change(JOB.id, lambda job: taken_up(job, NOON))
    assert running is not None
    assert await jobs.next(NOON) == running, "what was left running is gone on with"
    await jobs.change(JOB.id, lambda job: put_off(job, 1, NOON, "away"))
    assert await jobs.next(NOON) == LATER
    assert (await jobs.next(NOON + timedelta(minutes=1)) or LATER).id == JOB.id
    for each in (JOB, LATER):
        await jobs.change(each.id, lambda job: called_off(job, NOON))
    assert await jobs.next(NOON + timedelta(minutes=1)) is None


async def test_changes_are_made_one_after_the_other(jobs: Jobs) -> None:
    await jobs.add(JOB, QUEUED)
    got = await asyncio.gather(*(jobs.change(JOB.id, lambda job: replace(job, done=job.done + 1)) for _ in range(10)))
    assert sorted(job.done for job in got if job is not None) == list(range(1, 11))
    assert await jobs.change(JOB.id, lambda _: None) is None
    assert await jobs.change("c" * 16, lambda job: job) is None
    there = await jobs.find(JOB.id)
    assert there is not None
    assert there.done == 10


async def test_pages_are_newest_first_and_filtered(jobs: Jobs) -> None:
    await jobs.add(JOB, QUEUED)
    await jobs.add(LATER, QUEUED)
    await jobs.change(JOB.id, lambda job: called_off(job, NOON))
    assert [j.id for j in await jobs.page((), "", "", Slice(10))] == [LATER.id, JOB.id]
    assert [j.id for j in await jobs.page((), "", "", Slice(1, JOBS.key_of(LATER)))] == [JOB.id]
    assert [j.id for j in await jobs.page((JobState.CANCELLED,), "", "", Slice(10))] == [JOB.id]
    assert [j.id for j in await jobs.page((), "other", "", Slice(10))] == [LATER.id]
    assert [j.id for j in await jobs.page((), "", "team/app", Slice(10))] == [JOB.id]


async def test_the_ledger_is_walked_through_in_parts(store: AnyStore) -> None:
    repositories = [parse_repository(name) for name in ("a/b", "a/c", "b")]
    digests = [parse_digest(f"sha256:{n:064x}") for n in (1, 2)]
    for repository in repositories:
        for digest in digests:
            for bound in ("h/x", "h/x:1"):
                key = SignatureKey(repository, digest, "f" * 64, "cosign-simple", bound)
                await store.ledger.put(Entry(key, Stage.SIGNED, b"m", NOON, b"s"))
    for key, stage in (
        (SignatureKey(repositories[0], parse_digest(f"sha256:{3:064x}"), "f" * 64, "f", "b"), Stage.INTENDED),
        (SignatureKey(repositories[0], digests[0], "e" * 64, "f", "b"), Stage.SIGNED),
    ):
        await store.ledger.put(Entry(key, stage, b"m", NOON, None if stage is Stage.INTENDED else b"s"))
    all_of_them = [(r, d) for r in repositories for d in digests]
    found: list[tuple[str, str]] = []
    after = ("", "")
    while part := await store.ledger.images(["f" * 64], "", after, 4):
        found += part
        after = part[-1]
    assert found == all_of_them
    assert await store.ledger.count(["f" * 64], "") == 6
    assert await store.ledger.images(["f" * 64], "a/c", ("", ""), 9) == tuple(all_of_them[2:4])
    assert await store.ledger.count(["e" * 64, "f" * 64], "a/b") == 2
    assert await store.ledger.images([], "", ("", ""), 9) == ()


async def test_the_same_job_of_the_same_holder_waits_once_and_a_holder_has_only_so_many(store: AnyStore) -> None:
    jobs, room = store.jobs, Allotment("erika", 2, 5)
    assert await jobs.add(JOB, QUEUED, room) == JOB
    assert await jobs.add(replace(JOB, id="9" * 16), QUEUED, room) == JOB
    assert await jobs.add(LATER, QUEUED, room) == LATER
    more = replace(JOB, id="8" * 16, repository="team/other")
    with pytest.raises(ValueError, match="jobs list"):
        await jobs.add(more, QUEUED, room)
    assert len(await store.journal.search(Search(kinds=(EventKind.JOB_QUEUED,)))) == 2, "one for each that is kept"
    await jobs.change(JOB.id, lambda job: taken_up(job, NOON))
    with pytest.raises(ValueError, match="jobs list"):
        await jobs.add(replace(JOB, id="9" * 16), QUEUED, room)
    await jobs.change(JOB.id, lambda job: over(job, JobState.DONE, NOON, ""))
    assert (await jobs.add(replace(JOB, id="9" * 16), QUEUED, room)).id == "9" * 16
    assert await jobs.add(more, QUEUED) == more, "our own need no room"
