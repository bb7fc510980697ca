"""Signing again: everything of a profile, with the key that is active now, and nothing twice."""

from __future__ import annotations

import pytest

from proxy.jobs.job import LATER, Job, JobState
from proxy.jobs.run import run_next, start
from proxy.keys import lifecycle
from proxy.keys.resign import RESIGN, keys_of, resign
from proxy.oci.faults import Fault
from proxy.oci.operation import PullManifest
from proxy.trust.actor import Actor
from proxy.trust.keys import fingerprint
from tests.worlds.conversation import World, world
from tests.worlds.images import Image, image

ME = ("erika", "admin-token:a", "why")


async def run(w: World, repository: str = "") -> Job:
    job = Job("", RESIGN, *ME, w.ports.clock.now(), {"profile": "release"}, repository)
    job = await start(job, w.store.jobs)
    return await on(w, job)


async def on(w: World, job: Job) -> Job:
    works = {RESIGN: lambda job, step: resign(job, step, w.ports, w.store.ledger)}
    while await run_next(works, w.store.jobs, w.store.journal, w.ports.clock):
        pass
    return w.store.jobs.rows[job.id]


async def rotated(w: World, *names: str) -> tuple[list[Image], str]:
    """Push an image for each name, then compromise the key that signed them; return them and the new key."""
    images = [image(name) for name in names]
    for each, name in zip(images, names, strict=True):
        await w.push(each, name, "v1")
    old = w.ports.keybook.ring().active("release")
    assert old is not None
    await lifecycle.compromise(fingerprint(old.spki), Actor(*ME), w.ports, rotate=True)
    new = w.ports.keybook.ring().active("release")
    assert new is not None
    return images, fingerprint(new.spki)


async def test_after_a_compromise_everything_is_signed_again_and_pulls() -> None:
    w = await world()
    names = ("a/b", "a/c", "b", "c/d", "e", "f")
    _, new = await rotated(w, *names)
    assert await w.blocked("a/b", "v1") == "key_compromised"
    job = await run(w)
    assert (job.state, job.done, job.total) == (JobState.DONE, 6, 6)
    assert job.result == {"signed": 6, "there": 0, "gone": 0, "failed": 0, "named": []}
    for name in names:
        assert (await w.pull(name, "v1")).status == 200
    again = await run(w)
    assert again.result["there"] == 6, "nothing twice"
    signed = [e for e in w.store.ledger.rows if e.fingerprint == new]
    assert len(signed) == len(set(signed)) == len([e for e in w.store.ledger.rows if e.fingerprint != new])


async def test_one_repository_alone() -> None:
    w = await world()
    await rotated(w, "a/b", "a/c")
    job = await run(w, "a/c")
    assert (job.total, job.result["signed"]) == (1, 1)
    assert (await w.pull("a/c", "v1")).status == 200
    assert await w.blocked("a/b", "v1") == "key_compromised"


async def test_what_is_gone_upstream_gets_no_signature() -> None:
    w = await world()
    (first, _), _ = await rotated(w, "a/b", "a/c")
    w.registry.shelf("a/b").manifests.pop(first.digest)
    w.ports.cache.present.clear()
    job = await run(w)
    assert (job.result["gone"], job.result["signed"]) == (1, 1)


async def test_one_that_upstream_cannot_give_does_not_stop_the_others() -> None:
    w = await world()
    await rotated(w, "a/b", "a/c")
    w.ports.cache.present.clear()
    w.registry.fail(PullManifest, 500, times=1)
    job = await run(w)
    assert (job.state, job.result["failed"], job.result["signed"]) == (JobState.DONE, 1, 1)
    assert "a/" in job.result["named"][0]


async def test_while_the_token_is_away_the_job_waits() -> None:
    w = await world()
    await rotated(w, "a/b")
    w.signer.down = "the token is away"
    job = await run(w)
    assert (job.state, job.note) == (JobState.QUEUED, "the token is away")
    w.signer.down = None
    w.store.clock.advance(LATER.total_seconds())
    assert (await on(w, job)).result["signed"] == 1


async def test_who_pushed_and_when_stays_what_it_was() -> None:
    w = await world()
    _, new = await rotated(w, "a/b")
    before = {(k.format, k.bound): e.claims for k, e in w.store.ledger.rows.items()}
    w.store.clock.advance(86400)
    await run(w)
    after = {(k.format, k.bound): e.claims for k, e in w.store.ledger.rows.items() if k.fingerprint == new}
    assert after == before


async def test_a_profile_without_a_key_is_refused() -> None:
    w = await world()
    with pytest.raises(Fault, match="profiles with one: release"):
        keys_of("other", w.ports)
