"""Jobs in the table: what is to be done and what came of it stay JSON that people can read."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from proxy.jobs.job import called_off
from proxy.journal.event import Event, EventKind
from proxy.server.store import Store
from tests.contract.test_jobs import JOB


async def test_what_a_job_is_to_do_is_readable(store: Store) -> None:
    await store.jobs.add(JOB, Event(JOB.created, EventKind.JOB_QUEUED))
    read = "SELECT asked, state, created FROM jobs"
    ((asked, state, created),) = await store._database.read(lambda c: c.execute(text(read)).all())
    assert (json.loads(asked), state, created) == ({"profile": "release"}, "queued", "2026-01-02T12:00:00.000000Z")


async def test_an_idle_server_asked_the_database_for_jobs_again_and_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0
    read = store._database.read

    async def counted(work):  # type: ignore[no-untyped-def]
        nonlocal reads
        reads += 1
        return await read(work)

    monkeypatch.setattr(store._database, "read", counted)
    now, due = JOB.created, JOB.created + timedelta(minutes=1)
    queued = Event(JOB.created, EventKind.JOB_QUEUED)
    assert [await store.jobs.next(now) for _ in range(10)] == [None] * 10
    assert [await store.jobs.next(now, ["resign"]) for _ in range(10)] == [None] * 10
    assert reads == 2, "once for each question"
    later = replace(JOB, not_before=due)
    await store.jobs.add(later, queued)
    assert [await store.jobs.next(now) for _ in range(10)] == [None] * 10
    assert reads == 3, "and once after each change"
    assert await store.jobs.next(due) == later, "until the first that waits is due"
    await store.jobs.change(later.id, lambda job: called_off(job, now))
    assert await store.jobs.next(due) is None
    await store.jobs.add(replace(JOB, id="c" * 16), queued)
    assert (await store.jobs.next(now) or later).id == "c" * 16
