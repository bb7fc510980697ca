from __future__ import annotations

import pytest

from proxy.trust.keys import BookKey, KeyRing, KeyState, TrustedKey, fingerprint
from tests.worlds.memory import NOON


def book(profile: str, spki: bytes, state: KeyState = KeyState.ACTIVE) -> BookKey:
    return BookKey(profile, "t", "1", "01", profile, "ecdsa-p256", spki, state, NOON)


def test_a_name_has_every_key_it_ever_had_and_one_that_signs() -> None:
    ring = KeyRing("1", (book("release", b"old", KeyState.RETIRED), book("release", b"new"), book("other", b"x")))
    assert {v.spki for v in ring.verifiers("release")} == {b"old", b"new"}
    assert {v.state for v in ring.verifiers("release")} == {KeyState.RETIRED, KeyState.ACTIVE}
    active = ring.active("release")
    assert active is not None
    assert active.spki == b"new"
    assert ring.active("nobody") is None
    assert ring.verifiers("nobody") == ()


def test_other_peoples_keys_have_the_identity_that_configuration_gives_them() -> None:
    ring = KeyRing("1", (), (TrustedKey("a", b"x", "exact"), TrustedKey("b", b"x", "any"), TrustedKey("a", b"y")))
    assert {(v.spki, v.identity) for v in ring.verifiers("a")} == {(b"x", "exact"), (b"y", "any")}
    assert len(ring.all_verifiers()) == 3
    assert not any(v.ours for v in ring.all_verifiers())


def test_a_key_of_ours_is_ours_under_every_name() -> None:
    ring = KeyRing("1", (book("release", b"k", KeyState.COMPROMISED),), (TrustedKey("partner", b"k", "any"),))
    (verifier,) = ring.verifiers("partner")
    assert (verifier.ours, verifier.identity, verifier.state) == (True, "repository", KeyState.COMPROMISED)
    assert ring.all_verifiers()[0].name == "release"


def test_a_fingerprint_is_the_hash_of_the_spki() -> None:
    assert fingerprint(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_ring_finds_a_key_of_ours_by_its_fingerprint_and_hashes_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ring, hashed = KeyRing("r", (book("release", b"a"), book("release", b"b"))), list[bytes]()

    def hashing(spki: bytes) -> str:
        hashed.append(spki)
        return spki.hex()

    monkeypatch.setattr("proxy.trust.keys.fingerprint", hashing)
    for _ in range(3):
        assert ring.find(b"b".hex()) is ring.ours[1]
    assert ring.find("c") is None
    assert ring.ours[0].described == f"key {ring.ours[0].short} of release"
    assert sorted(hashed) == [b"a", b"b"]
