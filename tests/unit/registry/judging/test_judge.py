from __future__ import annotations

from proxy.oci.operation import PullManifest
from proxy.oci.reference import digest_of, parse_reference
from proxy.registry.judging.judge import Judged, decision_on, judge, remembered_in
from proxy.registry.judging.now import now_in
from proxy.registry.request import Request, Response
from proxy.trust.requirement import Outcome
from tests.worlds.conversation import ANYBODY, REPO, World, world
from tests.worlds.images import image, index

APP = image("app")
ASKED = Request(ANYBODY, "r")


async def judged(w: World, reference: str) -> Judged:
    found = await judge(PullManifest(REPO, parse_reference(reference)), ASKED, w.ports)
    assert isinstance(found, Judged)
    return found


async def test_bytes_policy_and_decision_belong_together() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    found = await judged(w, "v1")
    assert found.subject.body == APP.body
    assert found.decision.digest == APP.digest == digest_of(found.subject.body)
    assert found.policy is w.rules.current().policies[0]
    assert found.decision.outcome is Outcome.PASSED


async def test_upstreams_refusal_is_an_answer() -> None:
    w = await world()
    found = await judge(PullManifest(REPO, parse_reference("v1")), ASKED, w.ports)
    assert isinstance(found, Response)
    assert found.status == 404
    assert await decision_on(REPO, APP.digest, ASKED, w.ports) is None


async def test_what_is_decided_again_is_the_same_decision_until_the_hour_or_the_evidence_changes() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    first = (await judged(w, "v1")).decision
    assert (await judged(w, "v1")).decision is first
    w.store.clock.advance(60)
    seen = len(w.registry.seen)
    assert (await judged(w, "v1")).decision is first
    assert len(w.registry.seen) > seen  # it was looked at again, and nothing but the time had changed
    w.store.clock.advance(3600)
    again = (await judged(w, "v1")).decision
    assert again.id != first.id
    assert again.outcome is first.outcome


async def test_another_reference_gets_a_decision_of_its_own_without_new_work() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    w.registry.shelf("team/app").tags["v2"] = APP.digest
    one = (await judged(w, "v1")).decision
    seen = len(w.registry.seen)
    two = (await judged(w, "v2")).decision
    assert len(w.registry.seen) - seen <= 1
    assert (one.question.reference, two.question.reference) == ("v1", "v2")
    assert one.id != two.id


async def test_what_passed_is_noted_for_every_server_and_remembered_without_work() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    known = remembered_in(REPO, now_in(REPO, w.ports).stamp, w.ports)
    assert known(APP.digest) is None
    made = (await judged(w, "v1")).decision
    await w.ports.cache.settle()
    assert w.store.facts.when[REPO, APP.digest] == w.store.clock.now()
    by_digest = (await judged(w, APP.digest)).decision
    assert known(APP.digest) == by_digest != made
    w.store.clock.advance(60)
    assert remembered_in(REPO, now_in(REPO, w.ports).stamp, w.ports)(APP.digest) is None


async def test_a_child_is_allowed_by_its_parent_and_says_so() -> None:
    w = await world()
    w.put_behind(APP, "team/app")
    both = index(APP)
    w.put_behind(both, "team/app")
    await w.push(both, "team/app", "v1")
    w.store.ledger.rows = {k: e for k, e in w.store.ledger.rows.items() if k.digest == both.digest}
    w.registry.shelf("team/app").tags.pop(f"sha256-{APP.digest[7:]}.sig", None)
    found = await judged(w, APP.digest)
    assert [c.name for c in found.decision.checks] == ["parent"]
