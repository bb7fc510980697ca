from __future__ import annotations

import pytest

from proxy.journal.event import EventKind
from proxy.oci.faults import Fault
from proxy.oci.limits import Limits
from proxy.oci.operation import PullManifest
from proxy.oci.reference import parse_reference
from proxy.registry.ports.upstream import Credential
from proxy.registry.request import Request
from proxy.registry.signing.sign_existing import sign_existing
from proxy.trust.actor import Actor
from proxy.trust.policy import Policy
from tests.worlds.conversation import REPO, world
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
