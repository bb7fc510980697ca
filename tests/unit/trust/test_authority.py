from dataclasses import replace

from proxy.keys.ring import ring_of
from proxy.trust.authority import Authority, KeylessSigner


def test_the_same_certificates_under_two_names_are_one_authority() -> None:
    one, two = Authority("a", frozenset({b"1", b"2"}), ()), Authority("b", frozenset({b"2", b"1"}), ())
    assert one.fingerprint == two.fingerprint
    assert Authority("a", frozenset({b"1"}), ()).fingerprint != one.fingerprint


CI = KeylessSigner("ci", "https://issuer.example", ("a@example.com", "b@example.com"), b"root")


def test_root_issuer_and_identity_all_tell_signers_apart() -> None:
    others = [replace(CI, issuer="https://other.example"), replace(CI, trusted_root=b"other")]
    every = [*CI.fingerprints, *(each for other in others for each in other.fingerprints)]
    assert len(set(every)) == 6
    assert replace(CI, name="renamed").fingerprints == CI.fingerprints


def test_a_name_has_its_own_identities_and_no_others() -> None:
    other = replace(CI, name="other", trusted_root=b"other")
    ring = ring_of((), (CI, other))
    assert [v.fingerprint for v in ring.verifiers("ci")] == list(CI.fingerprints)
    assert not set(CI.fingerprints) & {v.fingerprint for v in ring.verifiers("other")}
    assert ring.all_verifiers() == ()  # nothing that a key could be tried with


def test_another_list_is_another_revision() -> None:
    rings = [ring_of((), (each,)) for each in (CI, replace(CI, identities=("a@example.com",)), replace(CI, issuer="x"))]
    assert len({ring.revision for ring in rings}) == 3
