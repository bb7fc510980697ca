"""Certificate chains with one thing wrong: each breaks exactly the rule that is about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID as Eku

from proxy.formats.chain import RULES, problems
from tests.worlds.certificates import BEGIN, END, LEAF, Holder, authority, chain_of, issued, rsa_key, trio, usage

NOW = BEGIN + timedelta(days=30)
LEAF_, MIDDLE, ROOT = trio()
GOOD = chain_of(LEAF_, MIDDLE, ROOT)
CA = x509.BasicConstraints(ca=True, path_length=None)
CERT_SIGN = (usage("key_cert_sign"), True)


def purpose(oid: x509.ObjectIdentifier) -> tuple[bytes, ...]:
    return chain_of(LEAF_.with_(*LEAF, (x509.ExtendedKeyUsage([oid]), False)), MIDDLE, ROOT)


def middle(*extensions: tuple[x509.ExtensionType, bool]) -> tuple[bytes, ...]:
    return chain_of(LEAF_, MIDDLE.with_(*extensions), ROOT)


def leaf(*extensions: tuple[x509.ExtensionType, bool]) -> tuple[bytes, ...]:
    return chain_of(LEAF_.with_(*extensions), MIDDLE, ROOT)


def sha1() -> tuple[bytes, ...]:
    """The library no longer signs with SHA-1: the identifier of SHA-256 is rewritten, which breaks the signature."""
    changed = GOOD[0].replace(bytes.fromhex("2a8648ce3d040302"), bytes.fromhex("2a8648ce3d040301"))
    return (changed.replace(b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x01", b"\x30\x0a\x06\x08" + SHA1), *GOOD[1:])


SHA1 = bytes.fromhex("2a8648ce3d040301")  # ecdsa-with-SHA224: as old, and as long
EARLY, LATE = BEGIN - timedelta(days=9), BEGIN - timedelta(days=1)
NOT_YET = NOW + timedelta(days=1)
FORGED = Holder(MIDDLE.name, authority(0))  # the intermediate's name with another key

CASES: dict[str, tuple[Callable[[], tuple[bytes, ...]], set[str]]] = {
    "expired leaf": (lambda: chain_of(replace(LEAF_, first=EARLY, last=LATE), MIDDLE, ROOT), {"expired"}),
    "expired intermediate": (lambda: chain_of(LEAF_, replace(MIDDLE, first=EARLY, last=LATE), ROOT), {"expired"}),
    "expired root": (lambda: chain_of(LEAF_, MIDDLE, replace(ROOT, first=EARLY, last=LATE)), {"expired"}),
    "leaf of tomorrow": (lambda: chain_of(replace(LEAF_, first=NOT_YET), MIDDLE, ROOT), {"not-yet-valid"}),
    "root of tomorrow": (lambda: chain_of(LEAF_, MIDDLE, replace(ROOT, first=NOT_YET)), {"not-yet-valid"}),
    "for a server": (lambda: purpose(Eku.SERVER_AUTH), {"leaf-purpose"}),
    "for a client": (lambda: purpose(Eku.CLIENT_AUTH), {"leaf-purpose"}),
    "for mail": (lambda: purpose(Eku.EMAIL_PROTECTION), {"leaf-purpose"}),
    "for timestamps": (lambda: purpose(Eku.TIME_STAMPING), {"leaf-purpose"}),
    "for OCSP": (lambda: purpose(Eku.OCSP_SIGNING), {"leaf-purpose"}),
    "no key usage": (leaf, {"leaf-usage"}),
    "key usage not critical": (lambda: leaf((usage("digital_signature"), False)), {"leaf-usage"}),
    "may not sign": (lambda: leaf((usage("key_encipherment"), True)), {"leaf-usage"}),
    "may sign and decrypt": (lambda: leaf((usage("digital_signature", "key_encipherment"), True)), {"leaf-usage"}),
    "may sign certificates": (lambda: leaf((usage("digital_signature", "key_cert_sign"), True)), {"leaf-usage"}),
    "leaf is a CA": (lambda: leaf(*LEAF, (CA, True)), {"leaf-is-a-ca"}),
    "CA false intermediate": (lambda: middle((x509.BasicConstraints(False, None), True), CERT_SIGN), {"not-a-ca"}),
    "leaf as intermediate": (lambda: middle(*LEAF), {"not-a-ca", "ca-usage"}),
    "no basic constraints": (lambda: middle(CERT_SIGN), {"not-a-ca"}),
    "basic constraints not critical": (lambda: middle((CA, False), CERT_SIGN), {"not-a-ca"}),
    "CA without keyCertSign": (lambda: middle((CA, True), (usage("crl_sign"), True)), {"ca-usage"}),
    "CA without key usage": (lambda: middle((CA, True)), {"ca-usage"}),
    "path too long": (
        lambda: chain_of(LEAF_, MIDDLE, Holder("above", authority(0)), ROOT), {"path-length"}
    ),
    "path too long for the root": (lambda: chain_of(LEAF_, MIDDLE, replace(ROOT, extensions=authority(0))),
                                   {"path-length"}),
    "root first": (lambda: GOOD[::-1], {"early-root", "order", "no-root", "leaf-is-a-ca", "leaf-usage", "not-a-ca",
                                        "ca-usage"}),
    "intermediates swapped": (lambda: (GOOD[0], GOOD[2], GOOD[1]), {"order", "early-root", "no-root", "path-length"}),
    "missing root": (lambda: GOOD[:2], {"no-root"}),
    "missing intermediate": (lambda: (GOOD[0], GOOD[2]), {"order"}),
    "root twice": (lambda: (*GOOD, GOOD[2]), {"early-root"}),
    "a stranger as root": (lambda: (*GOOD[:2], chain_of(*trio())[2]), {"order"}),
    "the intermediate's name, another key": (lambda: (issued(LEAF_, FORGED), *GOOD[1:]), {"order"}),
    "the name of another issuer, the right key": (
        lambda: (issued(LEAF_, replace(MIDDLE, name="other")), *GOOD[1:]), {"order"}
    ),
    "RSA of 1024 bits": (lambda: chain_of(replace(LEAF_, key=rsa_key(1024)), MIDDLE, ROOT), {"weak-key"}),
    "a CA with RSA of 1024 bits": (lambda: chain_of(LEAF_, MIDDLE, replace(ROOT, key=rsa_key(1024))), {"weak-key"}),
    "secp256k1": (
        lambda: chain_of(replace(LEAF_, key=ec.generate_private_key(ec.SECP256K1())), MIDDLE, ROOT), {"weak-key"}
    ),
    "a weak hash": (sha1, {"weak-hash", "order"}),
    "an unknown critical extension": (
        lambda: leaf(*LEAF, (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0"), True)),
        {"critical-extension"},
    ),
    "critical name constraints": (
        lambda: middle(*authority(0), (x509.NameConstraints([x509.DNSName("example.com")], None), True)),
        {"critical-extension"},
    ),
    "self-signed and a CA": (lambda: chain_of(ROOT), {"leaf-is-a-ca", "leaf-usage"}),
    "a lone leaf": (lambda: GOOD[:1], {"no-root"}),
    "trailing bytes": (lambda: (GOOD[0] + b"\0", *GOOD[1:]), {"encoding"}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_chain_with_one_thing_wrong_breaks_the_rule_about_it(case: str) -> None:
    make, broken = CASES[case]
    assert {problem.rule for problem in problems(make(), NOW)} == broken


def test_every_rule_is_broken_by_some_case() -> None:
    assert {rule.name for rule in RULES} <= set().union(*(broken for _, broken in CASES.values()))


def test_the_chain_they_are_made_from_is_good() -> None:
    assert problems(GOOD, NOW) == ()
    assert problems(GOOD, END) == ()
    assert problems(purpose(Eku.CODE_SIGNING), NOW) == ()
    assert problems(leaf((usage("digital_signature", "content_commitment"), True)), NOW) == ()
