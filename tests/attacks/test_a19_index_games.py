"""Attack 19: indexes that lend their signature to what they should not."""

from __future__ import annotations

from contextlib import suppress

import pytest

from proxy.oci.faults import Fault
from proxy.oci.limits import Limits
from proxy.oci.operation import PullManifest, PushManifest
from proxy.oci.reference import fallback_tag, parse_reference
from proxy.trust.keys import KeyState, fingerprint
from proxy.trust.policy import Clause, Policy, PullRules, PushRules
from tests.worlds.conversation import REPO, SIGN, World, world
from tests.worlds.denials import denied
from tests.worlds.foreign import put_sig, trusted
from tests.worlds.images import Image, descriptor, image, index
from tests.worlds.registry import MemoryRegistry, Seen, error
from tests.worlds.softkey import soft_key

CHILD = image("child")
PARTNER = soft_key(name="partner")


async def with_partner(*, limits: Limits | None = None, identity: str = "any") -> World:
    """A proxy that trusts a partner, who signs indexes and not their children."""
    policy = Policy(("**",), pull=PullRules(require=(Clause(("partner",)),)))
    return await world(policy, trusted=(trusted(PARTNER, identity=identity),), limits=limits)  # type: ignore[arg-type]


def sign_as_partner(w: World, repo: str, signed: Image, bound: str = "elsewhere/app") -> None:
    put_sig(w.registry, repo, signed.digest, PARTNER.layer("cosign-simple", signed.digest, bound))


async def test_an_unsigned_child_of_an_index_signed_in_another_repository() -> None:
    w = await world()
    w.put_behind(CHILD, "team/app")
    w.put_behind(CHILD, "team/other")
    both = index(CHILD)
    await w.push(both, "team/app", "v1")
    assert (await w.pull("team/app", CHILD.digest)).body == CHILD.body
    await denied(w, lambda: w.pull("team/other", CHILD.digest), "unsigned")


async def test_a_child_listed_twice_with_two_platforms_is_judged_once_and_by_its_bytes() -> None:
    w = await world()
    one = {"os": "linux", "architecture": "amd64"}
    entries = [descriptor(CHILD.media_type, CHILD.body, platform={**one, "architecture": a}) for a in ("amd64", "arm")]
    twice = Image(Image(index(manifests=entries).body, "").body, index().media_type, (), (CHILD,))
    await w.push(twice, "team/app", "v1")
    assert (await w.pull("team/app", CHILD.digest)).body == CHILD.body
    assert len({message for _, message in w.signer.made}) == len(w.signer.made)


async def test_an_index_fifty_deep_is_judged_by_its_own_signature_and_costs_no_more_for_its_depth() -> None:
    w = await with_partner()
    nested = CHILD
    chain = [CHILD]
    for _ in range(50):
        nested = index(nested)
        chain.append(nested)
    w.put_behind(nested, "team/app", "deep")
    sign_as_partner(w, "team/app", nested)
    for one in reversed(chain):  # the proxy has seen the whole chain
        with suppress(Fault):  # only the bottom matters here
            await w.pull("team/app", one.digest)
    w.store.clock.advance(120)
    seen = len(w.registry.seen)
    await denied(w, lambda: w.pull("team/app", CHILD.digest), "unsigned", times=1)
    assert len(w.registry.seen) - seen < 40
    assert (await w.pull("team/app", chain[-2].digest)).body == chain[-2].body  # one step below the signature


async def test_a_lattice_of_parents_is_bounded_work() -> None:
    limits = Limits(tag_age_s=0, parents_tried=8, index_depth=3)
    w = await with_partner(limits=limits)
    w.put_behind(CHILD, "team/app")
    level: list[Image] = [CHILD]
    for depth in range(3):
        above = [index(one, annotations={"n": f"{depth}-{n}-{at}"}) for at, one in enumerate(level) for n in range(8)]
        level = above[:64]
        for one in level:
            w.put_behind(one, "team/app")
            with pytest.raises(Exception, match="blocked"):
                await w.pull("team/app", one.digest)
        w.store.clock.advance(120)
    seen = len(w.registry.seen)
    await denied(w, lambda: w.pull("team/app", CHILD.digest), "not_verifiable", times=1)
    assert len(w.registry.seen) - seen < 200


async def test_a_tag_that_loops_through_a_fallback_index() -> None:
    w = await world(registry=MemoryRegistry(referrers=False))
    w.put_behind(CHILD, "team/app")
    loop = index(CHILD)
    w.put_behind(loop, "team/app", fallback_tag(CHILD.digest), "latest")
    await denied(w, lambda: w.pull("team/app", "latest"), "unsigned")
    await denied(w, lambda: w.pull("team/app", fallback_tag(CHILD.digest)), "unsigned")
    await denied(w, lambda: w.pull("team/app", CHILD.digest), "unsigned")


async def test_many_unsigned_parents_do_not_crowd_out_the_one_that_is_signed() -> None:
    w = await with_partner()
    good = index(CHILD)
    w.put_behind(good, "team/app", "good")
    sign_as_partner(w, "team/app", good)
    assert (await w.pull("team/app", "good")).status == 200
    for n in range(20):
        junk = index(CHILD, annotations={"n": str(n)})
        w.put_behind(junk, "team/app")
        with pytest.raises(Exception, match="blocked"):
            await w.pull("team/app", junk.digest)
    assert (await w.pull("team/app", CHILD.digest)).body == CHILD.body


async def test_in_warn_mode_an_unsigned_parent_makes_no_child_look_good() -> None:
    warn = Policy(("**",), PushRules(), PullRules(mode="warn", require=(Clause(("release",)),)))
    w = await world(warn)
    both = index(CHILD)
    w.put_behind(both, "team/app", "v1")
    assert (await w.pull("team/app", "v1")).warning is not None
    served = await w.pull("team/app", CHILD.digest)
    assert served.warning is not None
    assert "would be blocked" in served.warning


async def test_a_parent_that_could_not_be_judged_is_not_a_parent_that_says_no() -> None:
    w = await with_partner()
    both = index(CHILD)
    w.put_behind(both, "team/app", "v1")
    sign_as_partner(w, "team/app", both)
    await w.pull("team/app", "v1")
    w.store.clock.advance(120)

    def throttled(seen: Seen) -> object:
        op = seen.operation
        about_parent = isinstance(op, PullManifest) and op.reference != CHILD.digest and both.digest[7:] in op.reference
        return error(429, "TOOMANYREQUESTS") if about_parent else None

    w.registry.hooks.append(throttled)  # type: ignore[arg-type]
    fault = await denied(w, lambda: w.pull("team/app", CHILD.digest), "not_verifiable")
    assert fault.headers["Retry-After"]
    w.registry.hooks.clear()
    assert (await w.pull("team/app", CHILD.digest)).body == CHILD.body


async def test_a_child_falls_with_its_parent_when_the_key_is_compromised() -> None:
    w = await world(SIGN)
    w.put_behind(CHILD, "team/app")
    both = index(CHILD)
    op = PushManifest(REPO, parse_reference("v1"))
    await w.say(op, body=both.body, content_type=both.media_type)
    assert (await w.pull("team/app", CHILD.digest)).status == 200
    (key,) = w.store.keybook.ring().ours
    await w.store.keybook.set_state(fingerprint(key.spki), KeyState.COMPROMISED, w.store.clock.now())
    await denied(w, lambda: w.pull("team/app", "v1"), "key_compromised")
    await denied(w, lambda: w.pull("team/app", CHILD.digest), "unsigned")


async def test_where_the_tag_is_bound_children_and_blobs_follow_the_tag() -> None:
    w = await with_partner(identity="exact")
    both = index(CHILD)
    w.put_behind(both, "team/app", "v1", "v2")
    sign_as_partner(w, "team/app", both, "proxy.example/team/app:v1")
    await denied(w, lambda: w.pull("team/app", CHILD.digest), "unsigned")
    assert (await w.pull("team/app", "v1")).body == both.body
    assert (await w.pull("team/app", CHILD.digest)).body == CHILD.body
    await denied(w, lambda: w.pull("team/app", "v2"), "wrong_identity")
    w.put_behind(image("other"), "team/app", "v1")
    w.store.clock.advance(120)
    await denied(w, lambda: w.pull("team/app", CHILD.digest), "unsigned")
