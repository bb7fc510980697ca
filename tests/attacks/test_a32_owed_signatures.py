"""Attack 32: getting something signed later that was never pushed, by way of unsigned pushes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.jobs.job import Job
from proxy.jobs.run import Step, run_next, start
from proxy.oci.faults import Fault
from proxy.oci.operation import PushManifest
from proxy.oci.reference import parse_reference
from proxy.overrides.sign_pending import SIGN_OWED, sign_pending
from proxy.trust.policy import PushRules
from tests.worlds.conversation import REPO, SIGN, World, user, world
from tests.worlds.images import image, index
from tests.worlds.orders import exception
from tests.worlds.rights import TableRights

APP, EVIL = image("app"), image("evil")


async def owing(w: World) -> None:
    await w.store.overrides.keep(exception(unsigned_push=True))
    w.signer.down = "token hsm: does not answer"


async def signed_later(w: World) -> None:
    """The token is back, and the job has run."""
    w.signer.down = None
    await start(Job("", SIGN_OWED, "countersign", "", "owed", w.store.clock.now()), w.store.jobs)

    async def work(job: Job, step: Step) -> object:
        return await sign_pending(job, step, w.ports)

    await run_next({SIGN_OWED: work}, w.store.jobs, w.store.journal, w.store.clock)  # type: ignore[dict-item]


async def test_a_tag_moved_upstream_to_what_nobody_pushed_here() -> None:
    w = await world()
    await owing(w)
    await w.push(APP, "team/app", "1")
    w.put_behind(EVIL, "team/app", "1")
    await signed_later(w)
    assert await w.store.ledger.entries(REPO, EVIL.digest) == ()
    w.store.clock.advance(2 * 3600)
    assert await w.blocked("team/app", EVIL.digest) == "unsigned"


async def test_an_index_that_names_what_was_put_there_around_the_proxy() -> None:
    w = await world()
    w.put_behind(EVIL, "team/app")
    await owing(w)
    many = index(APP, EVIL)
    await w.push(APP, "team/app")
    await w.say(PushManifest(REPO, parse_reference("1")), body=many.body, content_type=many.media_type)
    await signed_later(w)
    assert await w.store.ledger.entries(REPO, many.digest)
    assert await w.store.ledger.entries(REPO, EVIL.digest) == (), "it stands on its index alone, as always"


@pytest.mark.parametrize("who", ["mallory", "bob"])
async def test_somebody_who_may_not_push(who: str) -> None:
    policy = replace(SIGN, push=PushRules(sign_with=("release",), allow=("alice",)))
    rights = TableRights(frozenset({"alice", "bob"}), frozenset({"alice", "bob"}))
    w = await world(policy, rights=rights)
    await owing(w)
    with pytest.raises(Fault, match="push list"):
        await w.push(EVIL, "team/app", "1", by=user(who))
    assert w.store.unsigned.waiting() == 0
