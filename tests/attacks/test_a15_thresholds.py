"""Attack 15: one key that counts as two."""

from __future__ import annotations

import pytest

from proxy.trust.keys import Identity, KeyState, TrustedKey, fingerprint
from proxy.trust.policy import Clause, Policy, PullRules
from tests.worlds.conversation import SIGN, World, world
from tests.worlds.denials import denied
from tests.worlds.foreign import put_sig, trusted
from tests.worlds.images import image
from tests.worlds.softkey import SoftKey, soft_key

APP = image("app")
ONE, TWO, THREE = soft_key(name="one"), soft_key(name="two"), soft_key("rsa", "three")


async def with_keys(policy: Policy, *keys: TrustedKey) -> World:
    w = await world(policy, trusted=keys)
    w.put_behind(APP, "team/app", "v1")
    return w


def needing(*names: str, at_least: int) -> Policy:
    return Policy(("**",), pull=PullRules(require=(Clause(names, at_least),)))


def sign(w: World, *keys: SoftKey) -> None:
    layers = [key.layer("cosign-simple", APP.digest, f"r.example/{n}") for n, key in enumerate(keys)]
    put_sig(w.registry, "team/app", APP.digest, *layers)


async def test_one_signature_twice_and_two_signatures_of_one_key() -> None:
    w = await with_keys(needing("one", "two", at_least=2), trusted(ONE, "one"), trusted(TWO, "two"))
    layer = ONE.layer("cosign-simple", APP.digest)
    put_sig(w.registry, "team/app", APP.digest, layer, layer, ONE.layer("cosign-simple", APP.digest, "r.example/x"))
    await denied(w, lambda: w.pull("team/app", "v1"), "too_few_signatures")


async def test_one_key_under_two_names() -> None:
    w = await with_keys(needing("one", "two", at_least=2), trusted(ONE, "one"), trusted(ONE, "two"))
    sign(w, ONE, ONE)
    await denied(w, lambda: w.pull("team/app", "v1"), "too_few_signatures")


@pytest.mark.parametrize("at_least", [0, -1])
async def test_a_threshold_of_nothing_still_needs_a_signature(at_least: int) -> None:
    w = await with_keys(needing("one", at_least=at_least), trusted(ONE, "one"))
    await denied(w, lambda: w.pull("team/app", "v1"), "unsigned")


@pytest.mark.parametrize("policy", [Policy(("**",)), needing(at_least=1), needing(at_least=0)])
async def test_nobody_to_sign_allows_nobody(policy: Policy) -> None:
    w = await with_keys(policy, trusted(ONE, "one"))
    sign(w, ONE)
    await denied(w, lambda: w.pull("team/app", "v1"), "untrusted_key")


async def test_two_of_three_is_two_of_three() -> None:
    keys = (trusted(ONE, "one"), trusted(TWO, "two"), trusted(THREE, "three"))
    w = await with_keys(needing("one", "two", "three", at_least=2), *keys)
    sign(w, TWO)
    await denied(w, lambda: w.pull("team/app", "v1"), "too_few_signatures")
    w.store.clock.advance(6)
    sign(w, TWO, THREE)
    assert (await w.pull("team/app", "v1")).body == APP.body


async def test_every_clause_must_hold() -> None:
    both = Policy(("**",), pull=PullRules(require=(Clause(("one",)), Clause(("two",)))))
    w = await with_keys(both, trusted(ONE, "one"), trusted(TWO, "two"))
    sign(w, ONE)
    await denied(w, lambda: w.pull("team/app", "v1"), "untrusted_key")
    w.store.clock.advance(6)
    sign(w, ONE, TWO)
    assert (await w.pull("team/app", "v1")).status == 200


@pytest.mark.parametrize("identity", ["any", "repository", "exact"])
async def test_our_key_trusted_again_under_another_name_is_still_our_key(identity: Identity) -> None:
    """Compromised is compromised, and what it signed for one repository holds for no other."""
    policy = Policy(("**",), SIGN.push, PullRules(require=(Clause(("release", "partner")),)))
    w = await world(policy)
    (key,) = w.store.keybook.ring().ours
    await w.store.keybook.trust((TrustedKey("partner", key.spki, identity),))
    await w.push(APP, "team/app", "v1")
    copy_all(w, "team/app", "team/copy")
    await denied(w, lambda: w.pull("team/copy", "v1"), "wrong_identity")
    await w.store.keybook.set_state(fingerprint(key.spki), KeyState.COMPROMISED, w.store.clock.now())
    await denied(w, lambda: w.pull("team/app", "v1"), "key_compromised")
    only = Policy(("**",), SIGN.push, PullRules(require=(Clause(("partner",)),)))
    w.rules.set(only)
    await denied(w, lambda: w.pull("team/app", "v1"), "key_compromised")


def copy_all(w: World, source: str, target: str) -> None:
    for media_type, body in w.registry.shelf(source).manifests.values():
        w.registry.put_manifest(target, body, media_type)
    for blob in w.registry.shelf(source).blobs.values():
        w.registry.put_blob(target, blob)
    w.registry.shelf(target).tags.update(w.registry.shelf(source).tags)


async def test_one_foreign_key_with_two_identities_may_use_either() -> None:
    keys = (trusted(ONE, "loose", "any"), trusted(ONE, "strict", "exact"))
    for names in (("loose", "strict"), ("strict", "loose")):
        w = await with_keys(needing(*names, at_least=1), *keys)
        sign(w, ONE)
        assert (await w.pull("team/app", "v1")).status == 200
    w = await with_keys(needing("strict", at_least=1), *keys)
    sign(w, ONE)
    await denied(w, lambda: w.pull("team/app", "v1"), "wrong_identity")
