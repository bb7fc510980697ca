"""What a trusted key did sign with other tools was called a stranger's, or broken: "do not run it"."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from proxy.formats import dsse, statement
from proxy.formats.algorithms import to_base64
from proxy.formats.bundle import BUNDLE
from proxy.formats.format import Layer
from proxy.formats.simple_signing import SIMPLE
from proxy.oci.faults import Fault
from proxy.oci.manifest import DOCKER_MANIFEST, Descriptor
from proxy.oci.reference import Digest, digest_of, signature_tag
from proxy.trust.policy import Clause, Policy, PullRules
from tests.vectors.vector import load
from tests.worlds.conversation import World, world
from tests.worlds.foreign import put_bundle, put_sig, trusted
from tests.worlds.images import image
from tests.worlds.softkey import SoftKey, layer_of, soft_key

A = image("a")
P384, OTHER = soft_key("p384", "partner"), soft_key("p256", "other")
RSA = SoftKey(rsa.generate_private_key(65537, 3072), "partner")
Made = Callable[[bytes], bytes]


def ecdsa(digest: HashAlgorithm) -> Made:
    assert isinstance(P384.private, ec.EllipticCurvePrivateKey)
    private = P384.private
    return lambda message: private.sign(message, ec.ECDSA(digest))


def halves(message: bytes) -> bytes:
    return b"".join(half.to_bytes(48, "big") for half in decode_dss_signature(ecdsa(SHA384())(message)))


def pkcs1(digest: HashAlgorithm) -> Made:
    assert isinstance(RSA.private, rsa.RSAPrivateKey)
    private = RSA.private
    return lambda message: private.sign(message, padding.PKCS1v15(), digest)


def pss(digest: HashAlgorithm) -> Made:
    assert isinstance(RSA.private, rsa.RSAPrivateKey)
    private = RSA.private
    return lambda message: private.sign(message, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)


async def scene(*names: str, keys: tuple[SoftKey, ...]) -> World:
    policy = Policy(("**",), pull=PullRules(require=(Clause(names),)))
    w = await world(policy, trusted=tuple(trusted(key, key.name) for key in keys))
    w.put_behind(A, "team/app", "a")
    return w


def put(w: World, form: str, key: SoftKey, message: bytes, signature: bytes) -> None:
    layer = layer_of(key.blob(form, message, signature))
    if form == "cosign-simple":
        put_sig(w.registry, "team/app", A.digest, layer)
    else:
        put_bundle(w, "team/app", Descriptor(A.media_type, A.digest, len(A.body)), layer)


async def said(w: World, reference: str = "a") -> tuple[str | None, str]:
    """Why the pull is denied, and all that its page says."""
    with pytest.raises(Fault) as caught:
        await w.pull("team/app", reference)
    decided = list(w.store.journal.decisions.values())[-1]
    return caught.value.reason, " ".join(check.detail for check in decided.checks)


@pytest.mark.parametrize("form", ["cosign-simple", "sigstore-bundle"])
@pytest.mark.parametrize("digest", [SHA256(), SHA384()], ids=lambda d: d.name)
async def test_p384_as_cosign_and_kms_sign_it_counts(form: str, digest: HashAlgorithm) -> None:
    w = await scene("partner", keys=(P384,))
    message = P384.draft(form, A.digest)
    put(w, form, P384, message, ecdsa(digest)(message))
    assert (await w.pull("team/app", "a")).status == 200


@pytest.mark.parametrize("form", ["cosign-simple", "sigstore-bundle"])
@pytest.mark.parametrize(
    ("key", "made", "how"),
    [
        (P384, ecdsa(SHA512()), "SHA-512"),
        (P384, halves, "SHA-384 as r||s in place of DER"),
        (RSA, pkcs1(SHA384()), "SHA-384"),
        (RSA, pkcs1(SHA512()), "SHA-512"),
        (RSA, pss(SHA256()), "RSA-PSS and SHA-256"),
        (RSA, pss(SHA384()), "RSA-PSS and SHA-384"),
        (RSA, pss(SHA512()), "RSA-PSS and SHA-512"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
async def test_an_algorithm_that_does_not_count_is_named(form: str, key: SoftKey, made: Made, how: str) -> None:
    w = await scene("partner", keys=(key,))
    message = key.draft(form, A.digest)
    put(w, form, key, message, made(message))
    reason, page = await said(w)
    assert reason == "other_algorithm"
    assert f"partner signed it with {how}; what counts is" in page
    assert "does not verify" not in page


async def test_for_a_policy_that_does_not_name_the_key_it_is_a_strangers() -> None:
    w = await scene("other", keys=(RSA, OTHER))
    message = RSA.draft("cosign-simple", A.digest)
    put(w, "cosign-simple", RSA, message, pss(SHA256())(message))
    assert (await said(w))[0] == "untrusted_key"


async def test_about_another_image_it_is_that_first() -> None:
    w = await scene("partner", keys=(RSA,))
    message = RSA.draft("cosign-simple", image("b").digest)
    put(w, "cosign-simple", RSA, message, pss(SHA256())(message))
    assert (await said(w))[0] == "wrong_subject"


def chains(digest: Digest) -> dict[str, object]:
    """The payload of Tekton Chains (pkg/chains/formats/simple)."""
    image_ = {"Docker-manifest-digest": digest}
    critical = {"Identity": {"docker-reference": ""}, "Image": image_, "Type": "Tekton container signature"}
    return {"Critical": critical, "Optional": {}}


def ours(digest: Digest, kind: str = "cosign container image signature") -> dict[str, object]:
    identity = {"docker-reference": "proxy.example/team/app"}
    return {"critical": {"identity": identity, "image": {"docker-manifest-digest": digest}, "type": kind}}


PAYLOADS: dict[str, object] = {
    "chains": chains(A.digest),
    "only the type": {**ours(A.digest, "Tekton container signature"), "optional": None},
    "no optional": ours(A.digest),
}
ODD: dict[str, object] = {
    "both spellings": {**chains(A.digest), **ours(A.digest)},
    "half of each": {"critical": chains(A.digest)["Critical"], "optional": None},
    "more under it": {**chains(A.digest), "more": 1},
    "another type": {**ours(A.digest, "atomic container signature"), "optional": None},
    "anything": {"hello": "world"},
}


def signed(payload: object, key: SoftKey = OTHER) -> Layer:
    data = json.dumps(payload).encode()
    return layer_of(SIMPLE.blob(data, key.sign(data), key.by))


@pytest.mark.parametrize("name", PAYLOADS | ODD)
async def test_a_payload_that_is_not_read_is_not_called_broken(name: str) -> None:
    w = await scene("other", keys=(OTHER,))
    put_sig(w.registry, "team/app", A.digest, signed((PAYLOADS | ODD)[name]))
    reason, page = await said(w)
    assert reason == "unread_payload"
    assert "other signed it: " in page
    assert "does not verify" not in page


@pytest.mark.parametrize("name", PAYLOADS | ODD)
async def test_by_a_stranger_it_says_nothing_of_a_trusted_key(name: str) -> None:
    w = await scene("other", keys=(OTHER,))
    put_sig(w.registry, "team/app", A.digest, signed((PAYLOADS | ODD)[name], soft_key()))
    assert (await said(w))[0] == ("untrusted_key" if name in PAYLOADS else "bad_signature")


@pytest.mark.parametrize("name", PAYLOADS)
async def test_beside_one_that_counts_the_list_could_not_be_fetched(name: str) -> None:
    w = await scene("other", keys=(OTHER,))
    put_sig(w.registry, "team/app", A.digest, signed(PAYLOADS[name]), OTHER.layer("cosign-simple", A.digest))
    assert (await w.pull("team/app", "a")).status == 200
    assert (await w.pull("team/app", signature_tag(A.digest))).status == 200


@pytest.mark.parametrize("name", ODD)
async def test_a_list_with_anything_else_in_it_is_no_list_of_signatures(name: str) -> None:
    w = await scene("other", keys=(OTHER,))
    put_sig(w.registry, "team/app", A.digest, signed(ODD[name]), OTHER.layer("cosign-simple", A.digest))
    assert (await w.pull("team/app", "a")).status == 200
    assert (await said(w, signature_tag(A.digest)))[0] == "unsigned"


@pytest.mark.parametrize("change", [{"payloadType": "application/vnd.example+json"}, {}])
async def test_a_bundle_of_another_kind_by_a_trusted_key(change: dict[str, str]) -> None:
    w = await scene("other", keys=(OTHER,))
    kind = change.get("payloadType", dsse.IN_TOTO)
    payload = statement.render(A.digest, "r.example/app", {}) if change else b'{"_type": "https://example.com/v9"}'
    message = dsse.pae(dsse.IN_TOTO, payload)
    packed = json.loads(OTHER.blob("sigstore-bundle", message, b"x").data)
    signature = OTHER.sign(dsse.pae(kind, payload))
    packed["dsseEnvelope"] |= {"signatures": [{"sig": to_base64(signature)}], **change}
    blob = BUNDLE.blob(message, b"x", OTHER.by)
    layer = layer_of(type(blob)(blob.media_type, json.dumps(packed).encode(), {}))
    put_bundle(w, "team/app", Descriptor(A.media_type, A.digest, len(A.body)), layer)
    assert (await said(w))[0] == "unread_payload"


async def test_the_list_in_docker_types_that_let_an_image_pass_can_be_fetched() -> None:
    vector = load("cosign2-simple-docker")
    assert vector.manifest.media_type == DOCKER_MANIFEST
    w = await scene("partner", keys=(P384,))
    for data in (vector.config, *(layer.data for layer in vector.layers)):
        w.registry.put_blob("team/app", data)
    digest = w.registry.put_manifest("team/app", vector.body, DOCKER_MANIFEST)
    w.registry.shelf("team/app").tags[signature_tag(vector.subject)] = digest
    reply = await w.pull("team/app", signature_tag(vector.subject))
    assert (reply.status, reply.body) == (200, vector.body)


@pytest.mark.parametrize("part", ["config", "layer"])
async def test_docker_types_around_what_is_no_signature_prove_nothing(part: str) -> None:
    vector = load("cosign2-simple-docker")
    [layer] = vector.layers
    was = vector.config if part == "config" else layer.data
    made = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/sh"]}}).encode().ljust(len(was))
    changed = made[: len(was)] if part == "layer" else made
    value = json.loads(vector.body)
    place = value["config"] if part == "config" else value["layers"][0]
    place |= {"digest": digest_of(changed), "size": len(changed)}
    w = await scene("partner", keys=(P384,))
    for data in (vector.config, layer.data, changed):
        w.registry.put_blob("team/app", data)
    digest = w.registry.put_manifest("team/app", json.dumps(value).encode(), DOCKER_MANIFEST)
    w.registry.shelf("team/app").tags[signature_tag(vector.subject)] = digest
    assert (await said(w, signature_tag(vector.subject)))[0] == "unsigned"
