"""Attack 12, with certificates in place of keys: only whom configuration names, only signatures, only of this image."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from proxy.keyless.examiner import SigstoreExaminer
from proxy.oci.limits import Limits
from proxy.oci.manifest import Descriptor
from proxy.trust.authority import KeylessResult, KeylessSigner
from proxy.trust.evidence import Rejected
from proxy.trust.policy import Policy, PushRules
from tests.worlds.conversation import World, signed_by, world
from tests.worlds.foreign import put_bundle
from tests.worlds.images import Image, image
from tests.worlds.sigstore import AT, Sigstore, attested, layer_of_bundle, signer_of

IMAGE, OTHER = image("wanted"), image("other")
OURS, FOREIGN = Sigstore(), Sigstore()
CI = signer_of(OURS)
POLICY = Policy(("**",), PushRules(), signed_by("ci"))


def about(one: Image) -> Descriptor:
    return Descriptor(one.media_type, one.digest, len(one.body))


async def place(*bundles: Any, trusted: tuple[KeylessSigner, ...] = (CI,), subject: Image = IMAGE) -> World:
    """A proxy in front of an image with these bundles as its referrers."""
    w = await world(POLICY, trusted=trusted, limits=Limits(tag_age_s=0, gather_deadline_s=5.0))
    w.put_behind(subject, "team/app", "v1")
    for bundle in bundles:
        put_bundle(w, "team/app", about(subject), layer_of_bundle(bundle))
    return w


async def test_a_signature_by_a_listed_identity_counts() -> None:
    w = await place(OURS.bundle(IMAGE.digest))
    assert (await w.pull("team/app", "v1")).status == 200


def tampered() -> Any:
    bundle = copy.deepcopy(OURS.bundle(OTHER.digest))
    bundle["dsseEnvelope"]["payload"] = OURS.bundle(IMAGE.digest)["dsseEnvelope"]["payload"]
    return bundle


def without_log() -> Any:
    bundle = copy.deepcopy(OURS.bundle(IMAGE.digest))
    bundle["verificationMaterial"]["tlogEntries"] = []
    return bundle


@pytest.mark.parametrize(
    ("bundle", "reason"),
    [
        (OURS.bundle(IMAGE.digest, issuer="https://evil.example.com"), "untrusted_key"),
        (OURS.bundle(IMAGE.digest, "stranger@example.com"), "untrusted_key"),
        (FOREIGN.bundle(IMAGE.digest), "untrusted_key"),
        (OURS.bundle(IMAGE.digest, logged_at=AT + timedelta(hours=1)), "untrusted_key"),
        (without_log(), "bad_signature"),
        (OURS.bundle(OTHER.digest), "wrong_subject"),
        (tampered(), "bad_signature"),
        (OURS.bundle(IMAGE.digest, payload=attested(IMAGE.digest)), "unsigned"),
    ],
    ids=["issuer", "identity", "root", "expired", "no-log", "other-image", "tampered", "attestation"],
)
async def test_nothing_else_does(bundle: Any, reason: str) -> None:
    w = await place(bundle)
    assert await w.blocked("team/app", "v1") == reason
    # And it takes nothing off a good one beside it.
    put_bundle(w, "team/app", about(IMAGE), layer_of_bundle(OURS.bundle(IMAGE.digest)))
    w.store.clock.advance(10)  # a denial is remembered for a while
    assert (await w.pull("team/app", "v1")).status == 200


async def test_the_same_identity_under_another_root_is_somebody_else() -> None:
    """Both are configured; the policy names only one of them."""
    w = await place(FOREIGN.bundle(IMAGE.digest), trusted=(CI, signer_of(FOREIGN, "partner")))
    assert await w.blocked("team/app", "v1") == "untrusted_key"


async def test_where_none_is_configured_nobody_counts() -> None:
    w = await place(OURS.bundle(IMAGE.digest), trusted=())
    assert await w.blocked("team/app", "v1") == "untrusted_key"


class Stuck:
    """An examination that takes longer than anybody waits."""

    async def examine(self, _bundle: bytes, _signer: KeylessSigner) -> KeylessResult | Rejected:
        await asyncio.sleep(60)
        raise AssertionError("nobody waits for this")


async def test_what_could_not_be_verified_in_time_is_not_decided() -> None:
    w = await place(OURS.bundle(IMAGE.digest))
    w.ports = replace(w.ports, keyless=cast("Any", Stuck()), limits=replace(w.ports.limits, gather_deadline_s=0.05))
    assert await w.blocked("team/app", "v1") == "not_verifiable"
    w.ports = replace(w.ports, keyless=SigstoreExaminer(), limits=replace(w.ports.limits, gather_deadline_s=5.0))
    w.store.clock.advance(10)
    assert (await w.pull("team/app", "v1")).status == 200
