"""Certificates and Notary signatures through the whole proxy: what is denied, what a profile with a chain writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from proxy.formats.identity import parse_subject
from proxy.formats.notary import ARTIFACT_TYPE
from proxy.oci.faults import Fault
from proxy.oci.manifest import Descriptor
from proxy.oci.reference import digest_of, fallback_tag
from proxy.trust.authority import Authority
from proxy.trust.evidence import Source
from proxy.trust.keys import KeyState, fingerprint
from proxy.trust.policy import Clause, Policy, PullRules, PushRules
from tests.worlds.certificates import authority, certified, certify, chain_of, trio, usage
from tests.worlds.conversation import World, signed_by, world
from tests.worlds.denials import denied
from tests.worlds.foreign import put_bundle
from tests.worlds.images import image, index
from tests.worlds.memory import NOON
from tests.worlds.registry import MemoryRegistry
from tests.worlds.softkey import SoftKey, rewritten

APP, OTHER = image("app"), image("other")
FORMS = pytest.mark.parametrize("form", ["notation-jws", "notation-cose"])
KEY = certified()
LEAF, MIDDLE, ROOT = trio(KEY.private)
MINUTE = timedelta(minutes=1)
ABOUT = Descriptor(APP.media_type, APP.digest, len(APP.body))
BOTH = ("notation-jws", "notation-cose")


def ca(*roots: bytes, identities: tuple[str, ...] = ("C=DE, ST=Berlin, O=Example",)) -> Authority:
    return Authority("vendor", frozenset(roots or KEY.chain[-1:]), tuple(map(parse_subject, identities)))


async def scene(trusted: Authority, *, referrers: bool = True) -> World:
    policy = Policy(("**",), pull=PullRules(require=(Clause(("vendor",)),)))
    w = await world(policy, trusted=(trusted,), registry=MemoryRegistry(referrers=referrers))
    w.put_behind(APP, "team/app", "v1")
    return w


@FORMS
@pytest.mark.parametrize("referrers", [True, False])
async def test_a_signature_certified_by_a_configured_authority_is_enough(form: str, referrers: bool) -> None:
    w = await scene(ca(), referrers=referrers)
    put_bundle(w, "team/app", ABOUT, KEY.layer(form, APP.digest))
    answer = await w.pull("team/app", "v1")
    assert (answer.status, answer.body) == (200, APP.body)


CHAINS: dict[str, tuple[Callable[[], tuple[bytes, ...]], str]] = {
    "expired leaf": (lambda: chain_of(replace(LEAF, last=NOON - MINUTE), MIDDLE, ROOT), "certificate_expired"),
    "expired intermediate": (lambda: chain_of(LEAF, replace(MIDDLE, last=NOON - MINUTE), ROOT), "certificate_expired"),
    "expired root": (lambda: chain_of(LEAF, MIDDLE, replace(ROOT, last=NOON - MINUTE)), "certificate_expired"),
    "leaf of tomorrow": (lambda: chain_of(replace(LEAF, first=NOON + MINUTE), MIDDLE, ROOT), "certificate_expired"),
    "wrong usage": (
        lambda: chain_of(LEAF.with_((usage("key_encipherment"), True)), MIDDLE, ROOT), "untrusted_key"
    ),
    "CA false": (lambda: chain_of(LEAF, MIDDLE.with_(*LEAF.extensions), ROOT), "untrusted_key"),
    "path length": (lambda: chain_of(LEAF, MIDDLE, ROOT.with_(*authority(0))), "untrusted_key"),
    "order": (lambda: (lambda c: (c[0], c[2], c[1]))(chain_of(LEAF, MIDDLE, ROOT)), "untrusted_key"),
    "missing root": (lambda: chain_of(LEAF, MIDDLE, ROOT)[:2], "untrusted_key"),
}  # fmt: skip


@FORMS
@pytest.mark.parametrize("what", CHAINS)
async def test_a_chain_with_one_thing_wrong_under_a_trusted_root(form: str, what: str) -> None:
    make, reason = CHAINS[what]
    chain = make()
    w = await scene(ca(*chain))
    put_bundle(w, "team/app", ABOUT, replace(KEY, chain=chain).layer(form, APP.digest))
    await denied(w, lambda: w.pull("team/app", "v1"), reason)


@FORMS
async def test_a_certificate_ends_while_the_proxy_runs(form: str) -> None:
    chain = chain_of(replace(LEAF, last=NOON + timedelta(minutes=10)), MIDDLE, ROOT)
    w = await scene(ca(*chain[-1:]))
    put_bundle(w, "team/app", ABOUT, replace(KEY, chain=chain).layer(form, APP.digest))
    assert (await w.pull("team/app", "v1")).status == 200
    w.store.clock.advance(660)
    await denied(w, lambda: w.pull("team/app", "v1"), "certificate_expired")


@FORMS
async def test_whom_the_authority_does_not_certify_or_may_not(form: str) -> None:
    strangers: tuple[tuple[SoftKey, Authority], ...] = (
        (certified(), ca()),
        (KEY, ca(identities=("C=DE, ST=Berlin, O=Somebody else",))),
        (certified(self_signed=True), ca()),
    )
    for key, trusted in strangers:
        w = await scene(trusted)
        put_bundle(w, "team/app", ABOUT, key.layer(form, APP.digest))
        await denied(w, lambda w=w: w.pull("team/app", "v1"), "untrusted_key")  # type: ignore[misc]


@FORMS
async def test_a_signature_of_another_image_and_one_that_was_changed(form: str) -> None:
    w = await scene(ca())
    put_bundle(w, "team/app", ABOUT, KEY.layer(form, OTHER.digest))
    await denied(w, lambda: w.pull("team/app", "v1"), "wrong_subject")
    w = await scene(ca())
    layer = KEY.layer(form, APP.digest)
    flipped = bytes([*layer.data[:-3], layer.data[-3] ^ 1, *layer.data[-2:]])
    put_bundle(w, "team/app", ABOUT, rewritten(layer, flipped))
    await denied(w, lambda: w.pull("team/app", "v1"), "bad_signature")


async def test_junk_beside_a_good_signature_denies_nothing() -> None:
    w = await scene(ca())
    put_bundle(w, "team/app", ABOUT, rewritten(KEY.layer("notation-jws", APP.digest), b"junk"))
    put_bundle(w, "team/app", ABOUT, certified().layer("notation-cose", APP.digest))
    put_bundle(w, "team/app", ABOUT, KEY.layer("notation-cose", APP.digest))
    assert (await w.pull("team/app", "v1")).status == 200


def ours(*formats: str) -> Policy:
    return Policy(("**",), PushRules(("release",), formats=formats, claims=("pusher",)), signed_by("release"))


def notary_manifests(w: World) -> list[dict[str, object]]:
    bodies = [json.loads(body) for _, body in w.registry.shelf("team/app").manifests.values()]
    return [body for body in bodies if body.get("artifactType") == ARTIFACT_TYPE]


@pytest.mark.parametrize("referrers", [True, False])
async def test_a_profile_with_a_chain_writes_what_it_is_told_and_pulls_by_it(referrers: bool) -> None:
    w = await world(ours("cosign-simple", *BOTH), registry=MemoryRegistry(referrers=referrers))
    await certify(w)
    await w.push(APP, "team/app", "v1")
    made = notary_manifests(w)
    assert {m["layers"][0]["mediaType"] for m in made} == {"application/jose+json", "application/cose"}  # type: ignore[index]
    if not referrers:
        shelf = w.registry.shelf("team/app")
        listed = json.loads(shelf.manifests[shelf.tags[fallback_tag(APP.digest)]][1])["manifests"]
        assert [entry["artifactType"] for entry in listed] == [ARTIFACT_TYPE] * 2
        assert all("io.cncf.notary.x509chain.thumbprint#S256" in entry["annotations"] for entry in listed)
    await w.push(APP, "team/app", "v2")
    assert len(notary_manifests(w)) == 2, "once per digest, key and repository"
    assert (await w.pull("team/app", "v1")).status == 200


@pytest.mark.parametrize("place", [Source.LEDGER, Source.REFERRERS])
@FORMS
async def test_our_own_notary_signatures_satisfy_a_pull_in_the_repository_they_are_bound_to(
    form: str, place: Source
) -> None:
    w = await world(ours(form))
    await certify(w)
    await w.push(APP, "team/app", "v1")
    if place is Source.REFERRERS:
        w.store.ledger.rows.clear()
    assert (await w.pull("team/app", "v1")).status == 200
    shelf = w.registry.shelf("team/app")
    for blob in shelf.blobs.values():
        w.registry.put_blob("team/copy", blob)
    for media_type, body in shelf.manifests.values():
        w.registry.put_manifest("team/copy", body, media_type)
    w.registry.shelf("team/copy").tags.update(shelf.tags)
    await denied(w, lambda: w.pull("team/copy", "v1"), "wrong_identity")


@FORMS
async def test_a_certificate_that_expired_takes_nothing_off_a_key_of_ours(form: str) -> None:
    """The key book says what our keys may; certificates are for those who verify elsewhere."""
    w = await world(ours(form))
    await certify(w)
    await w.push(APP, "team/app", "v1")
    w.store.clock.advance(366 * 86_400)
    assert (await w.pull("team/app", "v1")).status == 200
    key = w.store.keybook.ring().active("release")
    assert key is not None
    await w.store.keybook.set_state(fingerprint(key.spki), KeyState.COMPROMISED, w.store.clock.now())
    await denied(w, lambda: w.pull("team/app", "v1"), "key_compromised")


async def test_without_a_chain_a_push_that_wants_nothing_else_is_refused_and_its_tag_stays() -> None:
    w = await world(ours("notation-jws"))
    with pytest.raises(Fault, match="no signature could be made") as refused:
        await w.push(APP, "team/app", "v1")
    assert (refused.value.status, refused.value.reason) == (403, "not_signed")
    (row,) = [e for e in w.store.journal.events if e.kind == "push.not_signed"]
    assert "no certificate chain yet" in str(row.detail["what"])
    assert w.tag("team/app", "v1") is None
    await certify(w)
    await w.push(APP, "team/app", "v1")
    assert (await w.pull("team/app", "v1")).status == 200


async def test_without_a_chain_the_other_formats_go_on() -> None:
    w = await world(ours("cosign-simple", "notation-jws"))
    await w.push(APP, "team/app", "v1")
    assert notary_manifests(w) == []
    assert (await w.pull("team/app", "v1")).status == 200
    await certify(w)
    await w.push(APP, "team/app", "v1")
    assert len(notary_manifests(w)) == 1


async def test_where_only_notary_signatures_are_made_the_children_of_an_index_have_one_too() -> None:
    w = await world(ours("notation-jws"))
    await certify(w)
    many = index(APP, OTHER)
    await w.push(many, "team/app", "v1")
    subjects = {m["subject"]["digest"] for m in notary_manifests(w)}  # type: ignore[index]
    assert subjects == {APP.digest, OTHER.digest, many.digest}


async def test_certificates_that_are_renewed_come_with_the_next_push() -> None:
    w = await world(ours("notation-jws"))
    first = await certify(w)
    await w.push(APP, "team/app", "v1")
    second = await certify(w)
    assert first != second
    await w.push(APP, "team/app", "v1")
    prints = [m["annotations"]["io.cncf.notary.x509chain.thumbprint#S256"] for m in notary_manifests(w)]  # type: ignore[index]
    assert len(prints) == 2
    assert digest_of(second[0]).partition(":")[2] in prints[1]
    assert len(w.signer.made) == 1, "nothing is signed again: certificates stand beside what is signed"
    [entry] = w.store.ledger.rows.values()
    [(_, body)] = [m for d, m in w.registry.shelf("team/app").manifests.items() if d == entry.artifact]
    assert json.loads(json.loads(body)["annotations"]["io.cncf.notary.x509chain.thumbprint#S256"])[0] in prints[1]
