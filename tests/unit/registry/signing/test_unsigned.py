"""Pushes without a signature: when they are accepted, what is on record, how they come to be signed."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.jobs.job import Job, JobState
from proxy.jobs.run import Step, run_next, start
from proxy.journal.event import EventKind
from proxy.oci.faults import Fault, Unavailable
from proxy.oci.operation import PushManifest
from proxy.oci.reference import parse_reference
from proxy.oci.slices import Slice
from proxy.overrides.sign_pending import SIGN_OWED, sign_pending
from proxy.trust.keys import BookKey
from tests.worlds.conversation import REPO, World, user, world
from tests.worlds.images import Image, image, index
from tests.worlds.memory import NOON
from tests.worlds.orders import denial, exception
from tests.worlds.rights import TableRights

APP, OTHER, LATER = image("app"), image("other"), image("later")
MANY = index(APP, OTHER)


async def without_hsm(*, opened: bool = True, down: bool = True) -> World:
    w = await world()
    if down:
        w.signer.down = "token hsm: does not answer"
    if opened:
        await w.store.overrides.keep(exception(unsigned_push=True))
    return w


DOWN = "the signing device is unavailable; your image is fine"
OTHERWISE = r"was not signed \(no signature could be made\); the tag was not moved"


async def refused(w: World, reference: str = "1", said: str = DOWN) -> Fault:
    with pytest.raises(Fault, match=said) as caught:
        await w.push(APP, "team/app", reference)
    assert w.tag("team/app", reference) is None
    return caught.value


async def job(w: World) -> Job:
    """What became of one job that signs what is owed."""
    queued = Job("", SIGN_OWED, "countersign", "", "owed", w.store.clock.now())
    queued = await start(queued, w.store.jobs)

    async def work(job: Job, step: Step) -> object:
        return await sign_pending(job, step, w.ports)

    await run_next({SIGN_OWED: work}, w.store.jobs, w.store.journal, w.store.clock)  # type: ignore[dict-item]
    done = await w.store.jobs.find(queued.id)
    assert done is not None
    return done


async def test_it_is_accepted_loudly_and_owed() -> None:
    w = await without_hsm()
    answer = await w.push(APP, "team/app", "1")
    assert answer.status == 201
    assert answer.warning is not None
    assert "not signed; let through by exception e1 until 2026-01-02T14:00:00Z" in answer.warning
    assert w.tag("team/app", "1") == APP.digest
    (push,) = await w.store.unsigned.page(Slice(10))
    assert (push.repository, push.digest, push.tag, push.exception, push.settled) == (REPO, APP.digest, "1", "e1", None)
    kinds = [k for k in w.store.journal.kinds() if k.value.startswith("push")]
    assert kinds == [EventKind.PUSH_UNSIGNED, EventKind.PUSH_ACCEPTED]


async def test_it_is_pulled_under_the_exception_only_until_it_is_signed() -> None:
    w = await without_hsm()
    await w.push(APP, "team/app", "1")
    assert (await w.pull("team/app", "1")).status == 200
    w.store.clock.advance(2 * 3600)
    assert await w.blocked("team/app", "1") == "unsigned"
    w.signer.down = None
    done = await job(w)
    assert (done.state, dict(done.result)) == (JobState.DONE, {"signed": 1, "gone": 0, "failed": 0})
    assert (await w.pull("team/app", "1")).warning is None
    assert w.store.unsigned.waiting() == 0
    assert EventKind.PUSH_SETTLED in w.store.journal.kinds()
    assert {e.key.bound for e in await w.store.ledger.entries(REPO, APP.digest)} == {
        "proxy.example/team/app",
        "proxy.example/team/app:1",
    }


async def test_an_index_and_its_children_are_signed_each_and_bound_to_the_tag() -> None:
    w = await without_hsm()
    await w.push(MANY, "team/app", "1")
    assert w.store.unsigned.waiting() == 3
    w.signer.down = None
    assert dict((await job(w)).result)["signed"] == 3
    for digest in (APP.digest, OTHER.digest, MANY.digest):
        bound = {e.key.bound for e in await w.store.ledger.entries(REPO, digest)}
        assert "proxy.example/team/app:1" in bound


@pytest.mark.parametrize("opened", [False, True])
async def test_not_without_such_an_exception(opened: bool) -> None:
    w = await without_hsm(opened=False)
    if opened:
        await w.store.overrides.keep(exception())
        await w.store.overrides.keep(exception("other/app", unsigned_push=True, name="e2"))
        await w.store.overrides.keep(exception(digest=OTHER.digest, unsigned_push=True, name="e3"))
    await refused(w)
    assert w.store.unsigned.waiting() == 0


async def test_not_after_its_end() -> None:
    w = await without_hsm()
    w.store.clock.advance(2 * 3600)
    await refused(w)


async def test_not_while_signing_works() -> None:
    w = await without_hsm(down=False)
    assert (await w.push(APP, "team/app", "1")).warning is None
    assert w.store.unsigned.waiting() == 0
    assert await w.store.ledger.entries(REPO, APP.digest)


async def test_not_because_upstream_loses_the_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a token that does not answer counts: what is wrong elsewhere is refused as always."""
    w = await without_hsm(down=False)

    async def away(*_: object, **__: object) -> None:
        raise Unavailable("upstream answered 500")

    monkeypatch.setattr("proxy.registry.signing.ready.attach", away)
    await refused(w, said=OTHERWISE)
    assert w.store.unsigned.waiting() == 0


async def test_not_from_whom_upstream_would_not_take_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upstream's refusal did not arrive, so nobody knows of it yet: nothing is signed for them afterwards."""
    w = await world(rights=TableRights(pushers=frozenset({"alice"})))
    w.signer.down = "token hsm: does not answer"
    await w.store.overrides.keep(exception(unsigned_push=True))

    async def lost(*_: object) -> None:
        raise Unavailable("the connection to upstream broke")

    monkeypatch.setattr("proxy.registry.put.put_manifest", lost)
    for name, owed in (("mallory", 0), ("alice", 1)):
        with pytest.raises(Fault, match=OTHERWISE):
            await w.push(APP, "team/app", "1", user(name))
        assert w.store.unsigned.waiting() == owed


async def test_not_unless_it_is_on_record_first(monkeypatch: pytest.MonkeyPatch) -> None:
    w = await without_hsm()

    async def away(*_: object) -> None:
        raise Unavailable("store: gone")

    monkeypatch.setattr(w.store.unsigned, "record_unsigned", away)
    await refused(w, said=OTHERWISE)


async def test_not_what_is_denied() -> None:
    w = await without_hsm()
    await w.store.overrides.deny(denial(APP.digest))
    with pytest.raises(Fault, match="denied by an operator"):
        await w.push(APP, "team/app", "1")
    assert w.store.unsigned.waiting() == 0


async def test_a_tag_that_moved_since_gets_no_signature_for_what_was_not_pushed_here() -> None:
    w = await without_hsm()
    await w.push(APP, "team/app", "1")
    w.put_behind(OTHER, "team/app", "1")
    w.signer.down = None
    await job(w)
    signed = {e.key.bound for e in await w.store.ledger.entries(REPO, APP.digest) if e.signature is not None}
    assert signed == {"proxy.example/team/app"}
    assert await w.store.ledger.entries(REPO, OTHER.digest) == ()
    (push,) = await w.store.unsigned.page(Slice(10))
    assert push.note == "tag 1 points elsewhere by now"


@pytest.mark.parametrize("pushed", [APP, MANY])
async def test_a_tag_that_moves_while_it_is_signed_leaves_no_signature_for_it(
    pushed: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = await without_hsm()
    await w.push(pushed, "team/app", "1")
    w.signer.down = None
    sign = w.signer.sign

    async def moves(key: BookKey, message: bytes, *more: Any) -> bytes:
        if b"team/app:1" in message:
            w.put_behind(LATER, "team/app", "1")
        return await sign(key, message, *more)

    monkeypatch.setattr(w.signer, "sign", moves)
    await job(w)
    for digest in (pushed.digest, APP.digest):
        signed = {e.key.bound for e in await w.store.ledger.entries(REPO, digest) if e.signature is not None}
        assert "proxy.example/team/app:1" not in signed
        assert "proxy.example/team/app" in signed
    assert not [seen for seen in w.registry.seen if b"team/app:1" in seen.body], "it never got that far"
    assert "tag 1 points elsewhere by now" in [push.note for push in await w.store.unsigned.page(Slice(10))]


async def test_what_was_deleted_or_denied_since() -> None:
    w = await without_hsm()
    for each, tag in ((APP, "1"), (OTHER, "2")):
        await w.push(each, "team/app", tag)
    w.registry.shelf("team/app").manifests.pop(OTHER.digest)
    w.ports.cache.bodies.clear()
    await w.store.overrides.deny(denial(APP.digest))
    w.signer.down = None
    assert dict((await job(w)).result) == {"signed": 0, "gone": 1, "failed": 1}
    (app,) = [p for p in await w.store.unsigned.page(Slice(10)) if p.digest == APP.digest]
    assert (app.settled, app.tried, app.note) == (None, NOON, f"an operator denied {APP.digest}")
    await w.store.overrides.lift("d1")
    w.store.clock.advance(61)
    assert dict((await job(w)).result)["signed"] == 1


async def test_the_job_waits_while_the_token_is_away_again() -> None:
    w = await without_hsm()
    await w.push(APP, "team/app", "1")
    waiting = await job(w)
    assert (waiting.state, waiting.note) == (JobState.QUEUED, "token hsm: does not answer")
    assert w.store.unsigned.waiting() == 1


async def test_pushed_again_once_signing_works_it_is_signed_as_always() -> None:
    w = await without_hsm()
    await w.push(APP, "team/app", "1")
    w.signer.down = None
    op = PushManifest(REPO, parse_reference("1"))
    assert (await w.say(op, body=APP.body, content_type=APP.media_type)).warning is None
    assert (await w.pull("team/app", "1")).warning is None
