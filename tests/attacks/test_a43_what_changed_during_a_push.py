"""Attack 43, pushes: a digest denied, a policy taken away or tightened, a key compromised while a push is under way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.oci.faults import Fault
from proxy.oci.operation import FinishUpload, Operation, PushManifest, StartUpload
from proxy.trust.denial import Denial
from proxy.trust.keys import KeyState, fingerprint
from proxy.trust.ledger import Stage
from proxy.trust.policy import Policy, PushRules
from tests.worlds.conversation import REPO, SIGN, World, world
from tests.worlds.images import image, index
from tests.worlds.memory import NOON
from tests.worlds.registry import MemoryRegistry, Seen

APP = image("app")
WRITES = (PushManifest, StartUpload, FinishUpload)


async def during(change: str, at: int) -> tuple[World, int, int]:
    """Push while, at upstream's n-th request, this changes; return the world, the status, and how many were asked."""
    w = await world(registry=MemoryRegistry(referrers=False))
    for blob in APP.blobs:
        w.registry.put_blob("team/app", blob)
    asked = 0

    async def changes(seen: Seen) -> None:
        nonlocal asked
        asked += 1
        if asked == at + 1:
            await _do(w, change)

    w.registry.pause = changes
    try:
        answer = await w.push(APP, "team/app", "v1")
    except Fault as fault:
        return w, fault.status, asked
    return w, answer.status, asked


async def _do(w: World, change: str) -> None:
    if change == "denied":
        await w.store.overrides.deny(Denial("d1", APP.digest, "**", "recalled", "ann", NOON))
    elif change == "policy gone":
        w.rules.set()
    elif change == "no longer allowed":
        w.rules.set(replace(SIGN, push=replace(SIGN.push, allow=("release-manager",))))
    else:
        (key,) = w.store.keybook.ring().ours
        await w.store.keybook.set_state(fingerprint(key.spki), KeyState.COMPROMISED, NOON)
        await w.store.keybook.add(w.signer.create("release"))


def sent(w: World, kinds: tuple[type[Operation], ...] = WRITES) -> list[str]:
    """What was written upstream, in order."""
    return [str(getattr(s.operation, "reference", "blob")) for s in w.registry.seen if isinstance(s.operation, kinds)]


def attached(w: World, ending: str) -> list[str]:
    """What is attached that is bound to a name with this ending."""
    rows = w.store.ledger.rows.values()
    return [e.key.bound for e in rows if e.key.bound.endswith(ending) and e.stage is Stage.ATTACHED]


@pytest.mark.parametrize("change", ["denied", "policy gone", "no longer allowed"])
async def test_from_the_next_step_on_nothing_is_attached_and_no_tag_moves(change: str) -> None:
    _, _, steps = await during("nothing that changes anything", 10_000)
    outcomes = []
    for at in range(steps):
        w, status, _ = await during(change, at)
        outcomes.append(status)
        moved = w.tag("team/app", "v1") is not None
        before = [s.operation for s in w.registry.seen[: at + 1] if isinstance(s.operation, PushManifest)]
        asked_before = any(op.reference == "v1" for op in before)
        assert moved is asked_before, (change, at)
        await w.ports.cache.settle()
        if not asked_before:
            assert status == 403
            assert not [
                e for e in w.store.ledger.rows.values() if e.key.bound.endswith(":v1") and e.stage is Stage.ATTACHED
            ]
    assert 403 in outcomes
    assert outcomes[0] == 403


@pytest.mark.parametrize("formats", [("cosign-simple",), ("sigstore-bundle",), ("cosign-simple", "sigstore-bundle")])
async def test_denied_while_the_token_signs_nothing_is_attached_at_all(formats: tuple[str, ...]) -> None:
    w = await world(Policy(("**",), PushRules(("release",), formats), SIGN.pull))
    sign = w.signer.sign

    async def slow(*args: object, **more: object) -> bytes:
        await _do(w, "denied")
        return await sign(*args, **more)  # type: ignore[arg-type]

    w.signer.sign = slow  # type: ignore[method-assign]
    with pytest.raises(Fault, match="denied"):
        await w.push(APP, "team/app", "v1")
    assert sent(w, (PushManifest,)) == [APP.digest]
    assert {e.stage for e in w.store.ledger.rows.values()} == {Stage.SIGNED}
    await w.ports.cache.settle()
    assert sent(w, (PushManifest,)) == [APP.digest]


async def test_a_key_compromised_at_any_step_leaves_a_tag_signed_by_the_key_that_counts() -> None:
    _, _, steps = await during("nothing that changes anything", 10_000)
    for at in range(steps):
        w, status, _ = await during("key compromised", at)
        assert status == 201, at
        good = next(fingerprint(k.spki) for k in w.store.keybook.ring().ours if k.state is KeyState.ACTIVE)
        entries = await w.store.ledger.entries(REPO, APP.digest)
        if any(
            s.operation.reference == "v1" for s in w.registry.seen[at + 1 :] if isinstance(s.operation, PushManifest)
        ):
            by = {e.key.fingerprint for e in entries if e.stage is Stage.ATTACHED}
            assert good in by, at
            assert (await w.pull("team/app", "v1")).status == 200, at


async def test_a_second_tag_is_not_moved_where_the_digest_is_denied_after_the_first() -> None:
    w = await world()
    for blob in APP.blobs:
        w.registry.put_blob("team/app", blob)

    async def changes(seen: Seen) -> None:
        if isinstance(seen.operation, PushManifest) and seen.operation.reference == "a":
            await _do(w, "denied")

    w.registry.pause = changes
    op = PushManifest(REPO, APP.digest, ("a", "b"))  # type: ignore[arg-type]
    with pytest.raises(Fault, match="denied"):
        await w.say(op, body=APP.body, content_type=APP.media_type)
    await w.ports.cache.settle()
    assert (w.tag("team/app", "a"), w.tag("team/app", "b")) == (APP.digest, None)
    assert not attached(w, ":a")


async def test_a_policy_tightened_meanwhile_is_what_the_tag_is_signed_by() -> None:
    w = await world()
    await w.store.keybook.add(w.signer.create("partner"))

    async def changes(seen: Seen) -> None:
        if isinstance(seen.operation, PushManifest) and seen.operation.reference == APP.digest:
            w.rules.set(replace(SIGN, push=PushRules(("release", "partner"))))

    w.registry.pause = changes
    assert (await w.push(APP, "team/app", "v1")).status == 201
    signers = {e.key.fingerprint for e in await w.store.ledger.entries(REPO, APP.digest) if e.stage is Stage.ATTACHED}
    assert len(signers) == 2


async def test_a_child_denied_meanwhile_is_not_signed_for_the_tag() -> None:
    child = image("child")
    w, both = await world(), index(child, image("other"))

    async def changes(seen: Seen) -> None:
        if isinstance(seen.operation, PushManifest) and seen.operation.reference == both.digest:
            await w.store.overrides.deny(Denial("d1", child.digest, "**", "recalled", "ann", NOON))

    w.registry.pause = changes
    assert (await w.push(both, "team/app", "v1")).status == 201
    assert {e.key.bound for e in await w.store.ledger.entries(REPO, child.digest)} == {"proxy.example/team/app"}
