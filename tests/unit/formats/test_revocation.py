from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from proxy.formats.revocation import last_update, listed, next_update, parse_crl
from proxy.trust import revocation as trust
from proxy.trust.revocation import NotKnown, Revoked
from tests.worlds.certificates import BEGIN, LEAF, Extensions, Holder, authority, chain_of, trio, usage
from tests.worlds.revocations import WEEK, Entry, clean, crl

HOLDERS = LEAF_, MIDDLE, ROOT = trio()
CHAIN = chain_of(*HOLDERS)
NOW = BEGIN + timedelta(days=1)
POINT = [x509.UniformResourceIdentifier("http://ca.example/1.crl")]


def revocation(
    chain: Sequence[bytes], crls: Sequence[bytes], now: datetime, signed: datetime | None = None
) -> Revoked | NotKnown | None:
    return trust.revocation(listed(chain, crls), now, signed)


def distribution(**said: object) -> Extensions:
    nothing = dict.fromkeys(("full_name", "relative_name", "only_some_reasons"))
    flags = dict.fromkeys(
        ("only_contains_user_certs", "only_contains_ca_certs", "indirect_crl", "only_contains_attribute_certs"), False
    )
    return ((x509.IssuingDistributionPoint(**{**nothing, **flags, **said}), True),)  # type: ignore[arg-type]


def test_a_chain_that_is_on_no_list_is_not_revoked() -> None:
    assert revocation(CHAIN, clean(HOLDERS), NOW) is None
    assert revocation(CHAIN[2:], (), NOW) is None, "a root alone has nobody who could revoke it"


@pytest.mark.parametrize(("at", "name"), [(0, "CN=images"), (1, "CN=issuing")])
def test_leaf_and_intermediate_are_looked_for(at: int, name: str) -> None:
    lists = [crl(MIDDLE), crl(ROOT)]
    lists[at] = crl(HOLDERS[at + 1], Entry(CHAIN[at]))
    said = revocation(CHAIN, lists, NOW)
    assert isinstance(said, Revoked)
    assert said.text.startswith(f"the certificate of {name},O=Example")
    assert said.text.endswith("was revoked at 2026-01-01T00:00:00Z")


def test_one_that_is_revoked_outweighs_one_that_could_not_be_looked_up() -> None:
    assert isinstance(revocation(CHAIN, [crl(ROOT, Entry(CHAIN[1]))], NOW), Revoked)


def test_no_list_is_not_the_same_as_an_empty_list() -> None:
    said = revocation(CHAIN, [crl(ROOT)], NOW)
    assert said == NotKnown(
        "whether the certificate of CN=images,O=Example,ST=Berlin,C=DE is revoked could not be seen: "
        "no configured list is its issuer's"
    )
    assert isinstance(revocation(CHAIN, [crl(MIDDLE)], NOW), NotKnown)


def test_both_ends_of_a_list_count() -> None:
    lists = clean(HOLDERS)
    second = timedelta(seconds=1)
    assert revocation(CHAIN, lists, BEGIN) is None
    assert revocation(CHAIN, lists, BEGIN + WEEK) is None
    early, late = revocation(CHAIN, lists, BEGIN - second), revocation(CHAIN, lists, BEGIN + WEEK + second)
    assert isinstance(early, NotKnown)
    assert early.text.endswith("its issuer's list begins at 2026-01-01T00:00:00Z")
    assert isinstance(late, NotKnown)
    assert late.text.endswith("its issuer's list ended at 2026-01-08T00:00:00Z")


def test_a_newer_list_beside_an_old_one_is_enough_and_any_entry_counts() -> None:
    old = crl(MIDDLE, at=BEGIN - 2 * WEEK)
    assert revocation(CHAIN, [old, *clean(HOLDERS)], NOW) is None
    assert isinstance(revocation(CHAIN, [*clean(HOLDERS), crl(MIDDLE, Entry(CHAIN[0]))], NOW), Revoked)


SOMEBODY = Holder("somebody", authority())
SILENT: dict[str, bytes] = {
    "signed by somebody else": crl(MIDDLE, signer=SOMEBODY),
    "somebody else's": crl(SOMEBODY),
    "a delta": crl(MIDDLE, extensions=((x509.DeltaCRLIndicator(1), True),)),
    "unknown and critical": crl(
        MIDDLE, extensions=((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\5\0"), True),)
    ),
    "indirect": crl(MIDDLE, extensions=distribution(indirect_crl=True)),
    "for CAs": crl(MIDDLE, extensions=distribution(only_contains_ca_certs=True)),
    "for attribute certificates": crl(MIDDLE, extensions=distribution(only_contains_attribute_certs=True)),
    "for some reasons": crl(
        MIDDLE, extensions=distribution(only_some_reasons=frozenset({x509.ReasonFlags.key_compromise}))
    ),
    "a part of the issuer's": crl(MIDDLE, extensions=distribution(full_name=POINT)),
    "with others' entries": crl(
        MIDDLE,
        Entry(CHAIN[1], extensions=((x509.CertificateIssuer([x509.DirectoryName(ROOT.subject)]), True),)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SILENT)
def test_a_list_that_does_not_speak_for_the_leaf_says_nothing(case: str) -> None:
    assert isinstance(revocation(CHAIN, [SILENT[case], crl(ROOT)], NOW), NotKnown)


def test_a_list_for_the_kind_of_certificate_at_hand_speaks() -> None:
    users = crl(MIDDLE, extensions=distribution(only_contains_user_certs=True))
    authorities = crl(ROOT, extensions=distribution(only_contains_ca_certs=True))
    assert revocation(CHAIN, [users, authorities], NOW) is None


def test_a_part_of_a_list_speaks_for_those_that_name_it() -> None:
    part = crl(MIDDLE, extensions=distribution(full_name=POINT))
    point = x509.DistributionPoint(POINT, None, None, None)
    leaf = LEAF_.with_(*LEAF, (x509.CRLDistributionPoints([point]), False))
    assert revocation(chain_of(leaf, MIDDLE, ROOT), [part, crl(ROOT)], NOW) is None


def test_who_may_not_sign_lists_signs_none() -> None:
    middle = MIDDLE.with_((x509.BasicConstraints(ca=True, path_length=0), True), (usage("key_cert_sign"), True))
    said = revocation(chain_of(LEAF_, middle, ROOT), clean((LEAF_, middle, ROOT)), NOW)
    assert isinstance(said, NotKnown)
    assert "may not sign lists" in said.text


def test_a_signature_proven_older_than_the_theft_stays_good_and_no_other() -> None:
    stolen = (x509.InvalidityDate(NOW.replace(tzinfo=None)), False)
    lists = [crl(MIDDLE, Entry(CHAIN[0], extensions=(stolen,))), crl(ROOT)]
    second = timedelta(seconds=1)
    assert revocation(CHAIN, lists, NOW, NOW - second) is None
    assert isinstance(revocation(CHAIN, lists, NOW, NOW), Revoked)
    assert isinstance(revocation(CHAIN, lists, NOW), Revoked), "no time is believed that nobody we trust says"
    plain = [crl(MIDDLE, Entry(CHAIN[0], NOW)), crl(ROOT)]
    assert isinstance(revocation(CHAIN, plain, NOW, NOW - second), Revoked), "nobody says since when it was stolen"


def test_lists_are_read_as_der_and_as_pem() -> None:
    der = crl(MIDDLE)
    pem = x509.load_der_x509_crl(der).public_bytes(Encoding.PEM)
    assert parse_crl(der) == parse_crl(pem) == der
    assert (last_update(der), next_update(der)) == (BEGIN, BEGIN + WEEK)


@pytest.mark.parametrize("junk", [b"", b"junk", CHAIN[0], crl(MIDDLE)[:-1], b"-----BEGIN X509 CRL-----\nAA\n"])
def test_what_is_no_list_is_said_so(junk: bytes) -> None:
    with pytest.raises(ValueError, match="not a certificate revocation list"):
        parse_crl(junk)


def test_a_forged_list_of_the_same_name_hides_no_genuine_one() -> None:
    forger = replace(SOMEBODY, name=MIDDLE.name)
    assert isinstance(revocation(CHAIN, [crl(forger), crl(MIDDLE, Entry(CHAIN[0])), crl(ROOT)], NOW), Revoked)


def test_a_revocation_outlasts_the_list_it_stands_on() -> None:
    old = [crl(MIDDLE, Entry(CHAIN[0]), at=BEGIN), crl(ROOT, at=BEGIN + 9 * WEEK)]
    assert isinstance(revocation(CHAIN, old, BEGIN + 9 * WEEK), Revoked)
