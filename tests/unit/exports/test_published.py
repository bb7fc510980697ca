"""Which keys are published."""

from __future__ import annotations

from dataclasses import replace

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from proxy.exports.published import Scope, profiles_of
from proxy.formats.certificate import pem
from proxy.oci.reference import parse_reference, parse_repository
from proxy.trust.keys import KeyRing, KeyState
from tests.worlds.published import ACTIVE, COUNTING, PROFILES, RING, SAYS, SCOPE, key, release


def test_prepared_active_and_trusted_keys_are_published_and_no_others() -> None:
    assert {k.spki for k in release().keys} == {k.spki for k in COUNTING}


def test_every_state_is_either_published_or_not_on_purpose() -> None:
    published = {state for state in KeyState if profiles_of(KeyRing("r", (key(state),)), {"release": False})}
    assert published == {KeyState.PREPARED, KeyState.ACTIVE, KeyState.TRUSTED}


def test_attestation_keys_stand_apart() -> None:
    (attesting,) = (profile for profile in PROFILES if profile.attesting)
    assert attesting.keys == (SAYS,)


def test_a_profile_that_nobody_configures_any_more_vouches_for_nothing() -> None:
    assert profiles_of(RING, {"attestation": True}) == tuple(p for p in PROFILES if p.attesting)


def test_the_order_of_the_key_book_changes_nothing() -> None:
    backwards = replace(RING, ours=RING.ours[::-1])
    assert profiles_of(backwards, {"attestation": True, "release": False}) == PROFILES


def test_pem_is_the_same_key() -> None:
    loaded = load_pem_public_key(pem(ACTIVE.spki).encode())
    assert loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == ACTIVE.spki


def test_places_and_images_are_named_as_clients_name_them() -> None:
    app, digest = parse_repository("team/app"), "sha256:" + "a" * 64
    assert SCOPE.places == ("r.example", "old.example:5000")
    assert SCOPE.image == "r.example/REPOSITORY:TAG"
    tagged = Scope(SCOPE.hosts, SCOPE.url, app, parse_reference("v1"))
    assert tagged.places == ("r.example/team/app", "old.example:5000/team/app")
    assert tagged.image == "r.example/team/app:v1"
    assert replace(tagged, reference=parse_reference(digest)).image == f"r.example/team/app@{digest}"
