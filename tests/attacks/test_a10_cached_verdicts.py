"""Attack 10: a verdict that was right a moment ago, or for something else."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from proxy.journal.event import EventKind
from proxy.oci.faults import Fault
from proxy.oci.limits import Limits
from proxy.oci.operation import DeleteManifest, ListReferrers, PullManifest
from proxy.oci.reference import parse_reference, signature_tag
from proxy.trust.policy import Clause, Policy, PullRules, PushRules
from tests.worlds.conversation import REPO, SIGN, World, signed_by, user, world
from tests.worlds.denials import denied
from tests.worlds.foreign import put_sig, trusted
from tests.worlds.images import image
from tests.worlds.memory import NOON
from tests.worlds.registry import MemoryRegistry, Said, Seen, error
from tests.worlds.softkey import soft_key

APP, BAD = image("app"), image("bad")
PARTNER = soft_key(name="partner")


async def warm(**more: object) -> World:
    w = await world(**more)  # type: ignore[arg-type]
    await w.push(APP, "team/app", "v1")
    for reference in ("v1", APP.digest):
        assert (await w.pull("team/app", reference)).body == APP.body
    return w


@pytest.mark.parametrize("age", [0, 1.0])
async def test_a_warm_tag_that_moved_is_judged_again(age: float) -> None:
    w = await warm(limits=Limits(tag_age_s=age))
    w.put_behind(BAD, "team/app", "v1")
    w.store.clock.advance(age + 0.1)
    await denied(w, lambda: w.pull("team/app", "v1"), "unsigned")
    assert (await w.pull("team/app", APP.digest)).body == APP.body


async def test_a_tag_that_moved_through_the_proxy_is_seen_at_once() -> None:
    w = await warm(limits=Limits(tag_age_s=30))
    new = image("new")
    await w.push(new, "team/app", "v1")
    assert (await w.pull("team/app", "v1")).body == new.body


async def test_warm_in_one_repository_and_pulled_in_another() -> None:
    strict = Policy(("prod/**",), SIGN.push, PullRules(require=(Clause(("partner",)),)))
    w = await warm(trusted=(trusted(PARTNER),))
    w.rules.set(SIGN, strict)
    w.put_behind(APP, "prod/app", "v1")
    await denied(w, lambda: w.pull("prod/app", "v1"), "unsigned")
    await denied(w, lambda: w.pull("prod/app", APP.digest), "unsigned")


async def test_a_changed_policy_holds_at_once() -> None:
    w = await warm()
    w.rules.set(Policy(("**",), SIGN.push, signed_by("somebody-else")))
    await denied(w, lambda: w.pull("team/app", "v1"), "untrusted_key")
    w.rules.set()
    await denied(w, lambda: w.pull("team/app", "v1"), "no_policy")
    w.rules.set(SIGN)
    assert (await w.pull("team/app", "v1")).status == 200


async def test_enforce_after_holds_to_the_second() -> None:
    start = NOON + timedelta(seconds=30)
    w = await world(Policy(("**",), PushRules(), PullRules("warn", start, signed_by("release").require)))
    w.put_behind(BAD, "team/app", "bad")
    w.store.clock.advance(29)
    assert (await w.pull("team/app", "bad")).warning is not None
    w.store.clock.advance(1)
    await denied(w, lambda: w.pull("team/app", "bad"), "unsigned")


async def test_a_verdict_under_one_tag_says_nothing_about_another_where_the_tag_is_bound() -> None:
    policy = Policy(("**",), pull=PullRules(require=(Clause(("partner",)),)))
    w = await world(policy, trusted=(trusted(PARTNER, identity="exact"),))
    w.put_behind(APP, "team/app", "v1", "latest")
    put_sig(w.registry, "team/app", APP.digest, PARTNER.layer("cosign-simple", APP.digest, "proxy.example/team/app:v1"))
    await denied(w, lambda: w.pull("team/app", "latest"), "wrong_identity")
    assert (await w.pull("team/app", "v1")).body == APP.body
    await denied(w, lambda: w.pull("team/app", "latest"), "wrong_identity")


async def test_what_is_recorded_and_said_is_about_the_reference_that_was_used() -> None:
    w = await warm()
    w.registry.shelf("team/app").tags["v2"] = APP.digest
    await w.pull("team/app", "v2")
    pulls = {e.reference for e in w.store.journal.events if e.kind is EventKind.PULL_ALLOWED}
    assert pulls == {"v1", "v2", APP.digest}
    w.put_behind(BAD, "team/app", "bad1", "bad2")
    with pytest.raises(Fault, match="team/app:bad1"):
        await w.pull("team/app", "bad1")
    with pytest.raises(Fault, match="team/app:bad2") as fault:
        await w.pull("team/app", "bad2")
    decision = await w.store.journal.decision(str(fault.value).rpartition("/")[2])
    assert decision is not None
    assert decision.question.reference == "bad2"


async def test_a_denial_lasts_five_seconds_at_most() -> None:
    w = await world(Policy(("**",), pull=signed_by("partner")), trusted=(trusted(PARTNER),))
    w.put_behind(APP, "team/app", "v1")
    await denied(w, lambda: w.pull("team/app", "v1"), "unsigned")
    put_sig(w.registry, "team/app", APP.digest, PARTNER.layer("cosign-simple", APP.digest))
    await denied(w, lambda: w.pull("team/app", "v1"), "unsigned", times=1)
    w.store.clock.advance(5.1)
    assert (await w.pull("team/app", "v1")).status == 200


async def test_asking_under_many_tags_keeps_no_denial_alive() -> None:
    w = await world(Policy(("**",), pull=signed_by("partner")), trusted=(trusted(PARTNER),))
    w.put_behind(APP, "team/app", *(f"v{n}" for n in range(20)))
    await w.blocked("team/app", "v0")
    put_sig(w.registry, "team/app", APP.digest, PARTNER.layer("cosign-simple", APP.digest))
    for n in range(1, 10):
        w.store.clock.advance(1)
        if n < 5:
            await w.blocked("team/app", f"v{n}")
    w.store.clock.advance(1)
    assert (await w.pull("team/app", "v11")).status == 200


async def test_a_signature_added_through_the_proxy_counts_at_once_even_while_somebody_is_being_denied() -> None:
    w = await world()
    w.put_behind(APP, "team/app", "v1")
    hold, reached = asyncio.Event(), asyncio.Event()

    async def slow(seen: Seen) -> None:
        if isinstance(seen.operation, ListReferrers) and not reached.is_set():
            reached.set()
            await hold.wait()

    def from_before(seen: Seen, said: Said) -> Said:
        empty = b'{"schemaVersion":2,"manifests":[]}'
        return replace(said, body=empty) if isinstance(seen.operation, ListReferrers) else said

    w.registry.pause = slow
    w.registry.lies.append(from_before)
    early = asyncio.create_task(w.pull("team/app", "v1"))
    await reached.wait()
    await w.push(APP, "team/app", "v1")
    assert (await w.pull("team/app", "v1")).body == APP.body
    hold.set()
    assert (await early).body == APP.body
    assert (await w.pull("team/app", "v1")).body == APP.body


async def test_an_allowance_gathered_before_a_signature_was_deleted_is_not_kept() -> None:
    w = await world(Policy(("**",), PushRules(("release",), ("cosign-simple",)), signed_by("release")))
    await w.push(APP, "team/app", "v1")
    w.store.clock.advance(120)
    await w.say(DeleteManifest(REPO, signature_tag(APP.digest)))
    await denied(w, lambda: w.pull("team/app", "v1"), "unsigned")


@pytest.mark.parametrize("status", [401, 403])
async def test_memory_answers_nobody_whom_upstream_does_not_let_read(status: int) -> None:
    w = await warm(limits=Limits(tag_age_s=30))
    mallory = user("mallory")
    refused = error(status, "UNAUTHORIZED" if status == 401 else "DENIED")
    w.registry.hooks.append(lambda s: refused if s.authorization == mallory.authorization else None)
    for reference in ("v1", APP.digest):
        for head in (True, False):
            answer = await w.say(PullManifest(REPO, parse_reference(reference), head), mallory)
            assert answer.status == status
            assert APP.body not in answer.body
    assert (await w.pull("team/app", "v1")).status == 200


async def test_the_right_to_read_is_asked_again_after_its_time_and_after_any_refusal() -> None:
    w = await warm(limits=Limits(tag_age_s=30, right_to_read_s=60))
    seen = len(w.registry.seen)
    await w.pull("team/app", "v1")
    assert len(w.registry.seen) == seen
    w.store.clock.advance(61)
    await w.pull("team/app", APP.digest)
    assert len(w.registry.seen) > seen
    w.registry.hooks.append(lambda _: error(403, "DENIED"))
    w.store.clock.advance(61)
    assert (await w.pull("team/app", APP.digest)).status == 403
    w.registry.hooks.clear()
    seen = len(w.registry.seen)
    await w.pull("team/app", APP.digest)
    assert len(w.registry.seen) > seen


async def test_silence_is_not_remembered() -> None:
    w = await world(registry=MemoryRegistry(), limits=Limits(tag_age_s=0))
    w.put_behind(BAD, "team/app", "bad")
    w.registry.referrers_down = True
    await denied(w, lambda: w.pull("team/app", "bad"), "not_verifiable")
    w.registry.referrers_down = False
    await denied(w, lambda: w.pull("team/app", "bad"), "unsigned")
