"""What is shown of an image is what a pull by the same caller would come to, and who pushed it last."""

from __future__ import annotations

from proxy.oci.operation import PullManifest
from proxy.oci.reference import parse_reference
from proxy.registry.judging.inspect import Inspected, inspect
from proxy.registry.request import Request, Response
from proxy.trust.requirement import Outcome
from tests.worlds.conversation import ANYBODY, REPO, World, user, world
from tests.worlds.images import image
from tests.worlds.rights import TableRights

ALICE = user("alice")


async def seen(w: World, reference: str) -> Inspected | Response:
    return await inspect(PullManifest(REPO, parse_reference(reference)), Request(ANYBODY, "r"), w.ports)


async def test_a_pushed_image_has_its_keys_by_name_and_its_last_pusher() -> None:
    w = await world(rights=TableRights(frozenset({"alice", "bob"})))
    await w.push(image(), "team/app", "v1", ALICE)
    w.store.clock.advance(60)
    await w.push(image("another"), "team/app", "v2", user("bob"))
    found = await seen(w, "v1")
    assert isinstance(found, Inspected)
    assert found.decision.outcome is Outcome.PASSED
    assert set(found.keys.values()) == {"release"}
    assert set(found.keys) == {s.fingerprint for s in found.decision.signatures}
    assert found.pushed_by == "alice"
    assert found.pushed_at is not None
    assert (w.store.clock.now() - found.pushed_at).total_seconds() == 60


async def test_what_came_past_the_proxy_was_pushed_by_nobody_we_know() -> None:
    w = await world()
    w.put_behind(image(), "team/app", "v1")
    found = await seen(w, "v1")
    assert isinstance(found, Inspected)
    assert (found.decision.outcome, found.keys, found.pushed_by) == (Outcome.FAILED, {}, None)


async def test_whom_upstream_refuses_learns_nothing_from_us() -> None:
    w = await world()
    await w.push(image(), "team/app", "v1")
    w.registry.fail(PullManifest, 401)
    found = await seen(w, "v1")
    assert isinstance(found, Response)
    assert found.status == 401
