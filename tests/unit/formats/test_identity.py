import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from proxy.formats.identity import parse_subject, vouching
from proxy.trust.authority import Authority
from tests.worlds.certificates import Holder, chain_of, trio

CHAIN = chain_of(*trio())
OTHER = chain_of(*trio())


def ca(*identities: str, roots: tuple[bytes, ...] = CHAIN[2:]) -> Authority:
    return Authority("partner", frozenset(roots), tuple(map(parse_subject, identities)))


@pytest.mark.parametrize(
    "identity",
    ["x509.subject: C=DE, ST=Berlin, O=Example", "C=DE,S=Berlin,O=Example,CN=images", "O=Example", "CN=images", " * "],
)
def test_every_attribute_that_is_written_must_be_there(identity: str) -> None:
    assert vouching(CHAIN, [ca(identity)]) == (ca(identity),)


@pytest.mark.parametrize("identity", ["O=example", "O=Example ltd", "C=DE, O=Example, OU=x", "CN=image", "CN=image*"])
def test_a_value_that_is_nearly_right_is_wrong(identity: str) -> None:
    assert vouching(CHAIN, [ca(identity)]) == ()


@pytest.mark.parametrize(
    "text", ["", "x509.subject:", "C=DE, C=DE", "O=Example+OU=x", "O=", "Example", "O=a*, X", "O=#0403020100", "C=D"]
)
def test_what_is_no_list_of_attributes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="allowed: attributes of a subject"):
        parse_subject(text)


def test_only_chains_of_its_own_certificates() -> None:
    assert vouching(OTHER, [ca("*")]) == ()
    assert vouching(CHAIN, [ca("*", roots=CHAIN[1:2])]) != (), "an intermediate can be the one that is trusted"


def test_no_identity_is_nobody() -> None:
    assert vouching(CHAIN, [ca()]) == ()


def test_a_subject_that_says_a_thing_twice_is_nobody_by_name() -> None:
    class Double(Holder):
        @property
        def subject(self) -> x509.Name:
            return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, v) for v in ("Example", "Evil")])

    leaf, middle, root = trio()
    chain = chain_of(Double("x", leaf.extensions), middle, root)
    assert vouching(chain, [ca("O=Example", roots=chain[2:]), ca("O=Evil", roots=chain[2:])]) == ()
    assert vouching(chain, [ca("*", roots=chain[2:])]) != ()
