from proxy.trust.authority import Authority


def test_the_same_certificates_under_two_names_are_one_authority() -> None:
    one, two = Authority("a", frozenset({b"1", b"2"}), ()), Authority("b", frozenset({b"2", b"1"}), ())
    assert one.fingerprint == two.fingerprint
    assert Authority("a", frozenset({b"1"}), ()).fingerprint != one.fingerprint
