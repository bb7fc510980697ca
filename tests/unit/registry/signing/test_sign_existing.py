from __future__ import annotations

import pytest

from proxy.journal.event import EventKind
from proxy.keys.lifecycle import rotate
from proxy.oci.faults import Fault
from proxy.oci.limits import Limits
from proxy.oci.operation import PullManifest
from proxy.oci.reference import is_digest, parse_reference, parse_tag
from proxy.registry.ports.upstream import Credential
from proxy.registry.reading.resolve import resolve
from proxy.registry.request import Request
from proxy.registry.signing.sign_existing import Moved, is_signed, sign_existing
from proxy.trust.actor import Actor
from proxy.trust.keys import KeyState
from proxy.trust.policy import Policy
from proxy.trust.question import Resolved
from tests.worlds.conversation import REPO, World, world
from tests.worlds.images import image, index

OURS = Request(Credential(ours=True), "r")
ROOT = Actor("root", "socket", "x", OURS.request_id)
OP = PullManifest(REPO, parse_reference("v1"))


async def test_an_image_that_is_there_comes_out_signed_with_its_children() -> None:
    w = await world()
    both = index(image("a"), image("b"))
    w.put_behind(both, "team/app", "v1")
    assert await w.blocked("team/app", "v1") == "unsigned"
    done = await sign_existing(OP, Actor("root", "socket", "reviewed", OURS.request_id), OURS, w.ports)
    assert done.digest == both.digest
    assert {e.key.digest for e in done.entries} == {both.digest, *(c.digest for c in both.children)}
    assert (await w.pull("team/app", "v1")).body == both.body
    assert (await w.pull("team/app", both.children[0].digest)).status == 200
    (row,) = [e for e in w.store.journal.events if e.kind is EventKind.COUNTERSIGNED]
    assert (row.who, row.detail["reason"]) == ("root", "reviewed")


async def test_what_is_not_there_or_has_no_policy_is_not_signed() -> None:
    w = await world()
    with pytest.raises(Fault, match="team/app:v1 is not in the registry"):
        await sign_existing(OP, ROOT, OURS, w.ports)
    w.rules.set(Policy(("**",)))
    with pytest.raises(Fault, match="no policy signs"):
        await sign_existing(OP, ROOT, OURS, w.ports)


async def test_more_than_can_be_signed_is_refused_and_not_half_done_in_silence() -> None:
    w = await world(limits=Limits(tag_age_s=0, index_children=3))
    deep = index(index(image("1"), image("2")), index(image("3"), image("4")))
    w.put_behind(deep, "team/app", "v1")
    with pytest.raises(Fault, match="more than 3 manifests"):
        await sign_existing(OP, ROOT, OURS, w.ports)
    assert EventKind.COUNTERSIGNED not in w.store.journal.kinds()


async def signed(w: World, op: PullManifest) -> bool:
    subject, policy = await resolve(op, OURS.fresh(), w.ports), w.ports.rules.current().for_(REPO)
    assert isinstance(subject, Resolved)
    assert policy is not None
    tags = () if is_digest(op.reference) else (parse_tag(op.reference),)
    return await is_signed(REPO, subject, tags, policy.push, w.ports)


async def test_what_was_signed_already_is_signed_again_in_silence() -> None:
    """It says so, makes nothing and records nothing; a child without its signature makes the index unsigned."""
    w = await world()
    both = index(image("a"), image("b"))
    w.put_behind(both, "team/app", "v1")
    assert not await signed(w, OP)
    assert (await sign_existing(OP, ROOT, OURS, w.ports)).new
    assert await signed(w, OP)
    before = dict(w.store.ledger.rows)
    assert not (await sign_existing(OP, ROOT, OURS, w.ports)).new
    assert w.store.ledger.rows == before
    assert w.store.journal.kinds().count(EventKind.COUNTERSIGNED) == 1
    for key in [key for key in before if key.digest == both.children[1].digest]:
        del w.store.ledger.rows[key]
    assert not await signed(w, OP)
    assert (await sign_existing(OP, ROOT, OURS, w.ports)).new


async def test_after_a_rotation_everything_counts_as_unsigned() -> None:
    """What a trusted key signed is signed; what only a compromised one signed is not."""
    w = await world()
    await w.push(image(), "team/app", "v1")
    old = w.store.keybook.ring().active("release")
    assert old is not None
    await rotate("release", ROOT, w.ports)
    assert await signed(w, OP)
    await w.store.keybook.set_state(old.fingerprint, KeyState.COMPROMISED, w.store.clock.now())
    assert not await signed(w, OP)


async def test_another_image_than_the_one_that_was_agreed_to_is_signed() -> None:
    w = await world()
    w.put_behind(image("new"), "team/app", "v1")
    with pytest.raises(Moved, match="team/app:v1 means sha256:"):
        await sign_existing(OP, ROOT, OURS, w.ports, only=image("old").digest)
    assert not w.store.ledger.rows
    assert (await sign_existing(OP, ROOT, OURS, w.ports, only=image("new").digest)).new


async def test_the_operator_counts_as_who_moved_the_tag() -> None:
    w = await world()
    w.put_behind(image(), "team/app", "v1")
    await sign_existing(OP, ROOT, OURS, w.ports)
    fact = (await w.store.tags.find(REPO, [parse_tag("v1")]))[parse_tag("v1")]
    assert (fact.digest, fact.by) == (image().digest, "")
