"""Attack 4: something that runs, under a name where only signatures are expected."""

from __future__ import annotations

import pytest

from proxy.oci.manifest import Descriptor
from proxy.oci.reference import Digest, Tag, fallback_tag, signature_tag
from proxy.trust.policy import Clause, Policy, PullRules
from tests.worlds.conversation import World, world
from tests.worlds.denials import denied
from tests.worlds.foreign import put_bundle, put_sig, trusted
from tests.worlds.images import image, index
from tests.worlds.registry import MemoryRegistry
from tests.worlds.softkey import soft_key

PARTNER = soft_key(name="partner")
APP, EVIL = image("app"), image("evil")
NAMES = [signature_tag, fallback_tag]


async def with_partner(*, referrers: bool) -> World:
    policy = Policy(("**",), pull=PullRules(require=(Clause(("partner",)),)))
    return await world(policy, registry=MemoryRegistry(referrers=referrers), trusted=(trusted(PARTNER),))


def described() -> Descriptor:
    return Descriptor(APP.media_type, APP.digest, len(APP.body))


@pytest.mark.parametrize("referrers", [True, False])
@pytest.mark.parametrize("name", NAMES)
async def test_it_is_denied_like_any_image(name: object, referrers: bool) -> None:
    w = await world(registry=MemoryRegistry(referrers=referrers))
    tag = name(APP.digest)  # type: ignore[operator]
    w.put_behind(EVIL, "team/app", tag)
    await denied(w, lambda: w.pull("team/app", tag), "unsigned")


async def test_an_image_under_sig_hides_no_bundle() -> None:
    w = await with_partner(referrers=True)
    w.put_behind(APP, "team/app", "v1")
    w.put_behind(EVIL, "team/app", signature_tag(APP.digest))
    put_bundle(w, "team/app", described(), PARTNER.layer("sigstore-bundle", APP.digest))
    assert (await w.pull("team/app", "v1")).body == APP.body


async def test_an_image_under_the_fallback_tag_hides_no_simple_signature() -> None:
    w = await with_partner(referrers=False)
    w.put_behind(APP, "team/app", "v1")
    w.put_behind(EVIL, "team/app", fallback_tag(APP.digest))
    put_sig(w.registry, "team/app", APP.digest, PARTNER.layer("cosign-simple", APP.digest))
    assert (await w.pull("team/app", "v1")).body == APP.body


async def test_an_image_under_the_fallback_tag_hides_nothing_that_the_api_lists() -> None:
    w = await with_partner(referrers=True)
    w.put_behind(APP, "team/app", "v1")
    w.put_behind(EVIL, "team/app", fallback_tag(APP.digest))
    put_bundle(w, "team/app", described(), PARTNER.layer("sigstore-bundle", APP.digest))
    assert (await w.pull("team/app", "v1")).body == APP.body


@pytest.mark.parametrize("name", NAMES)
async def test_pushing_the_image_verifies_whatever_squats_there(name: object) -> None:
    w = await world(registry=MemoryRegistry(referrers=False))
    tag: Tag = name(APP.digest)  # type: ignore[operator]
    w.put_behind(EVIL, "team/app", tag)
    await w.push(APP, "team/app", "v1")
    # A `.sig` is for signatures alone and is replaced; under the other name people keep images, and may.
    assert (w.tag("team/app", tag) == EVIL.digest) is (tag == fallback_tag(APP.digest))
    await denied(w, lambda: w.pull("team/app", EVIL.digest), "unsigned")
    w.store.clock.advance(120)
    assert (await w.pull("team/app", "v1")).body == APP.body


async def test_an_index_that_runs_is_not_let_through_by_the_name_of_the_fallback_tag() -> None:
    w = await world(registry=MemoryRegistry(referrers=False))
    both = index(EVIL)
    tag = fallback_tag(APP.digest)
    w.put_behind(both, "team/app", tag)
    await denied(w, lambda: w.pull("team/app", tag), "unsigned")
    await denied(w, lambda: w.pull("team/app", both.digest), "unsigned")
    await denied(w, lambda: w.pull("team/app", EVIL.digest), "unsigned")


async def test_a_pushed_index_of_referrers_is_no_licence_for_its_digest_or_another_tag() -> None:
    w = await world(registry=MemoryRegistry(referrers=False))
    await w.push(APP, "team/app", "v1")
    listing = index(APP)
    tag: Tag = fallback_tag(Digest("sha256:" + "1" * 64))
    w.registry.put_manifest("team/app", listing.body, listing.media_type, tag, "latest")
    assert (await w.pull("team/app", tag)).body == listing.body  # everything it lists is signed
    await denied(w, lambda: w.pull("team/app", "latest"), "unsigned")
    await denied(w, lambda: w.pull("team/app", listing.digest), "unsigned")
    assert (await w.pull("team/app", tag)).body == listing.body
