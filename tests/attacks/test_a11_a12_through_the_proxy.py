"""Attacks 11 and 12 through the proxy: signatures in the wrong place or of the wrong kind, names nobody proved."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest

from proxy.formats import dsse, statement
from proxy.formats.bundle import BUNDLE
from proxy.formats.format import Layer
from proxy.formats.table import FORMATS
from proxy.journal.event import EventKind
from proxy.oci.faults import Fault
from proxy.oci.limits import Limits
from proxy.oci.manifest import Descriptor
from proxy.oci.operation import PushManifest, StartUpload
from proxy.oci.reference import parse_reference, signature_tag
from proxy.registry.ports.upstream import Credential
from proxy.registry.reading.rights import UpstreamRights
from proxy.trust.keys import Identity
from proxy.trust.policy import FORMATS as NAMED
from proxy.trust.policy import Clause, Policy, PullRules, PushRules
from tests.worlds.conversation import REPO, World, signed_by, user, world
from tests.worlds.denials import denied
from tests.worlds.foreign import put_bundle, put_sig, trusted
from tests.worlds.images import Image, image
from tests.worlds.memory import FrozenClock
from tests.worlds.registry import Access, MemoryRegistry
from tests.worlds.rights import NoTokens
from tests.worlds.softkey import layer_of, soft_key

A, B = image("a"), image("b")
PARTNER = soft_key(name="partner")


async def scene(identity: Identity = "any", *, referrers: bool = True) -> World:
    policy = Policy(("**",), pull=PullRules(require=(Clause(("partner",)),)))
    keys = (trusted(PARTNER, identity=identity),)
    w = await world(policy, trusted=keys, registry=MemoryRegistry(referrers=referrers))
    w.put_behind(A, "team/app", "a")
    w.put_behind(B, "team/app", "b")
    return w


def about(one: Image) -> Descriptor:
    return Descriptor(one.media_type, one.digest, len(one.body))


def attestation(predicate_type: str, subject: Image) -> Layer:
    said = {**json.loads(statement.render(subject.digest, "r/x", {})), "predicateType": predicate_type}
    message = dsse.pae(dsse.IN_TOTO, json.dumps(said).encode())
    return layer_of(BUNDLE.blob(message, PARTNER.sign(message), PARTNER.by))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("referrers", [True, False])
async def test_the_signature_of_one_image_attached_to_another(form: str, referrers: bool) -> None:
    w = await scene(referrers=referrers)
    layer = PARTNER.layer(form, A.digest)
    if form == "cosign-simple":
        put_sig(w.registry, "team/app", B.digest, layer)
    else:
        put_bundle(w, "team/app", about(B), layer)
    await denied(w, lambda: w.pull("team/app", "b"), "wrong_subject")


@pytest.mark.parametrize("identity", ["repository", "exact"])
@pytest.mark.parametrize(
    "bound",
    ["other.example/team/app", "proxy.example/team/other", "proxy.example/team/app2", "team/app", "", "proxy.example",
     "proxy.example/team/app/", "PROXY.example/team/app", "proxy.example/team/app:b:c/d", "proxy.example/team/app@x"],
)  # fmt: skip
async def test_a_signature_bound_to_another_name(identity: Identity, bound: str) -> None:
    w = await scene(identity)
    put_sig(w.registry, "team/app", B.digest, PARTNER.layer("cosign-simple", B.digest, bound))
    await denied(w, lambda: w.pull("team/app", "b"), "wrong_identity")


async def test_our_own_signatures_copied_into_another_repository() -> None:
    w = await world()
    await w.push(A, "team/app", "v1")
    for media_type, body in w.registry.shelf("team/app").manifests.values():
        w.registry.put_manifest("team/copy", body, media_type)
    for blob in w.registry.shelf("team/app").blobs.values():
        w.registry.put_blob("team/copy", blob)
    w.registry.shelf("team/copy").tags.update(w.registry.shelf("team/app").tags)
    for reference in ("v1", A.digest):
        await denied(w, lambda r=reference: w.pull("team/copy", r), "wrong_identity")  # type: ignore[misc]
    sig = await w.pull("team/copy", signature_tag(A.digest))  # the list itself is still a list of signatures
    assert sig.status == 200


@pytest.mark.parametrize(
    "kind",
    ["https://cosign.sigstore.dev/attestation/vuln/v1", "https://spdx.dev/Document", "https://slsa.dev/provenance/v1"],
)
async def test_an_attestation_with_the_right_key_signs_no_image(kind: str) -> None:
    w = await scene()
    put_bundle(w, "team/app", about(A), attestation(kind, A))
    await denied(w, lambda: w.pull("team/app", "a"), "unread_payload")
    put_bundle(w, "team/app", about(A), attestation(statement.IMAGE_SIGNATURE, A))
    w.store.clock.advance(6)
    assert (await w.pull("team/app", "a")).status == 200


async def real_rights(access: Access | None = None, **rules: object) -> World:
    """A proxy that finds out about callers as the real one does."""
    registry, clock = MemoryRegistry(access=access), FrozenClock()
    rights = UpstreamRights(registry, NoTokens(), clock, Limits())
    pull = PullRules(require=signed_by("release").require, reviewers=("release-manager",))
    policy = Policy(("**",), PushRules(("release",), allow=("release-manager",)), pull)
    w = await world(policy, registry=registry, rights=rights)
    w.put_behind(A, "team/app", "bad")
    return w


SELF_MADE = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyZWxlYXNlLW1hbmFnZXIiLCJhY2Nlc3MiOltdfQ."
FORGED = {
    "a Basic name": user("release-manager", "anything"),
    "a Basic name without a password": user("release-manager", ""),
    "a self-made JWT": Credential(f"Bearer {SELF_MADE}"),
    "a lower-case scheme": Credential(str(user("release-manager").authorization).replace("Basic", "bAsIc")),
}


@pytest.mark.parametrize("how", FORGED)
async def test_names_that_an_open_upstream_accepts_from_anybody(how: str) -> None:
    w = await real_rights()
    with pytest.raises(Exception, match="blocked") as refused:
        await w.pull("team/app", "bad", FORGED[how])
    assert getattr(refused.value, "reason", "") == "unsigned"
    op = PushManifest(REPO, parse_reference("v1"))
    for blob in B.blobs:
        w.registry.put_blob("team/app", blob)
    with pytest.raises(Exception, match="push list"):
        await w.say(op, FORGED[how], B.body, content_type=B.media_type)
    assert not w.signer.made
    assert w.registry.count(PushManifest) == 0
    assert {e.who for e in w.store.journal.events} == {"anonymous"}


async def test_a_name_that_upstream_checks_is_a_name() -> None:
    w = await real_rights(Access("htpasswd", users={"release-manager": "secret", "bob": "secret"}))
    assert (await w.pull("team/app", "bad", user("release-manager"))).body == A.body
    assert (await w.push(B, "team/app", "v1", user("release-manager"))).status == 201
    with pytest.raises(Exception, match="blocked"):
        await w.pull("team/app", "bad", user("bob"))
    reviewed = [e for e in w.store.journal.events if e.kind is EventKind.PULL_REVIEWED]
    assert {(e.who, e.how) for e in reviewed} == {("release-manager", "basic")}


@pytest.mark.parametrize("lenient", [True, False])
async def test_a_wrong_password_where_anonymous_callers_may_read(lenient: bool) -> None:
    access = Access("htpasswd", users={"release-manager": "secret"}, anonymous_pull=True, lenient=lenient)
    w = await real_rights(access)
    with suppress(Fault):
        assert (await w.pull("team/app", "bad", user("release-manager", "wrong"))).status == 401
    if lenient:  # nothing that is read proves a name here, and no upload is begun for a read
        assert await w.blocked("team/app", "bad", user("release-manager")) == "unsigned"
        assert w.registry.count(StartUpload) == 0
        assert (await w.push(B, "team/app", "v1", user("release-manager"))).status == 201
    assert (await w.pull("team/app", "bad", user("release-manager"))).body == A.body


async def test_the_formats_know_no_other_way_in() -> None:
    assert {*FORMATS} == {*NAMED}
