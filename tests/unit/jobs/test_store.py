"""Jobs in the table: what is to be done and what came of it stay JSON that people can read."""

import json

from sqlalchemy import text

from proxy.journal.event import Event, EventKind
from proxy.server.store import Store
from tests.contract.test_jobs import JOB


async def test_what_a_job_is_to_do_is_readable(store: Store) -> None:
    await store.jobs.add(JOB, Event(JOB.created, EventKind.JOB_QUEUED))
    read = "SELECT asked, state, created FROM jobs"
    ((asked, state, created),) = await store._database.read(lambda c: c.execute(text(read)).all())
    assert (json.loads(asked), state, created) == ({"profile": "release"}, "queued", "2026-01-02T12:00:00.000000Z")
