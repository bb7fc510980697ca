"""Certificates that make each look dear: with RSA keys out of all proportion, or too many of them. ATTACKS 38."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from proxy.formats import chain as chains
from proxy.formats import der, timestamp
from proxy.formats.certificate import issued_by
from proxy.formats.chain import CERTIFICATES, EXPONENT_BITS, problems
from proxy.oci.limits import Limits
from proxy.oci.manifest import Descriptor
from proxy.trust.policy import Policy
from tests.attacks.test_a17_through_the_proxy import ca
from tests.vectors.stamps import SIGNATURE, load
from tests.worlds.certificates import Holder, authority, chain_of, issued, rsa_key, trio
from tests.worlds.conversation import signed_by, world
from tests.worlds.denials import denied
from tests.worlds.foreign import put_bundle
from tests.worlds.images import image
from tests.worlds.softkey import soft_key

LEAF, MIDDLE, ROOT = trio()
GOOD = chain_of(LEAF, MIDDLE, ROOT)
APP = image("app")


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the keys that certificates were verified with."""
    sizes: list[int] = []

    def counted(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
        key = issuer.public_key()
        sizes.append(key.key_size if isinstance(key, rsa.RSAPublicKey) else 0)
        return issued_by(certificate, issuer)

    monkeypatch.setattr(chains, "issued_by", counted)
    monkeypatch.setattr(timestamp, "issued_by", counted)
    return sizes


def modulus(bits: int) -> int:
    """A number of so many bits that nobody can tell from a modulus without trying for years."""
    return secrets.randbits(bits) | 1 << bits - 1 | 1


def rsa_public(exponent: int, bits: int = 2048) -> rsa.RSAPublicKey:
    return rsa.RSAPublicNumbers(exponent, modulus(bits)).public_key()


DEAR: dict[str, CertificatePublicKeyTypes] = {
    "an exponent as long as the modulus": rsa_public(secrets.randbits(2040) | 1 << 2039 | 1),
    "an exponent one bit too long": rsa_public((1 << EXPONENT_BITS) + 1),
    "a modulus of 16384 bits": rsa_public(65537, 16384),
    "both": rsa_public(secrets.randbits(3000) | 1, 3072),
    "DSA": dsa.generate_private_key(2048).public_key(),
}


@pytest.mark.parametrize("at", [0, 1, 2], ids=["leaf", "intermediate", "root"])
@pytest.mark.parametrize("key", DEAR)
def test_nothing_is_verified_in_a_chain_with_a_dear_key(key: str, at: int, verified: list[int]) -> None:
    holders = LEAF, MIDDLE, ROOT
    issuers = MIDDLE, ROOT, ROOT
    dear = issued(holders[at], issuers[at], DEAR[key])
    (problem,) = problems((*GOOD[:at], dear, *GOOD[at + 1 :]))
    assert problem.rule == "weak-key"
    assert "exponent 65537" in problem.text
    assert verified == []


def test_the_exponents_that_authorities_use_are_used(verified: list[int]) -> None:
    three = rsa.generate_private_key(3, 2048)
    for root in (replace(ROOT, key=three), replace(ROOT, key=rsa_key(4096))):
        assert problems(chain_of(LEAF, MIDDLE, root)) == ()
    largest = issued(ROOT, ROOT, rsa_public((1 << EXPONENT_BITS) - 1, 8192))
    assert {p.rule for p in problems((*GOOD[:2], largest))} == {"order", "no-root"}, "looked at like any other"
    assert 8192 in verified


def test_the_longest_chain_is_verified_twice_a_certificate_at_most(verified: list[int]) -> None:
    """All of one name, so that each may be anybody's, also its own."""
    one = [Holder("same", authority()) for _ in range(CERTIFICATES)]
    assert problems(chain_of(*one))
    assert len(verified) <= 2 * CERTIFICATES
    verified.clear()
    assert [p.rule for p in problems(chain_of(*one, one[0]))] == ["length"]
    assert verified == []


@pytest.mark.parametrize("form", ["notation-jws", "notation-cose"])
async def test_a_hundred_signatures_with_dear_chains_cost_no_look_and_the_good_one_counts(
    form: str, verified: list[int]
) -> None:
    key = soft_key()
    good = replace(key, chain=chain_of(*trio(key.private)))
    w = await world(Policy(("**",), pull=signed_by("vendor")), trusted=(ca(*good.chain[-1:]),))
    w.put_behind(APP, "team/app", "v1")
    about = Descriptor(APP.media_type, APP.digest, len(APP.body))
    dear = issued(MIDDLE, ROOT, DEAR["an exponent as long as the modulus"])
    for _ in range(Limits.signatures_per_digest - 1):
        bad = soft_key()
        chain = (issued(replace(LEAF, key=bad.private), MIDDLE), dear, GOOD[2])
        put_bundle(w, "team/app", about, replace(bad, chain=chain).layer(form, APP.digest))
    await denied(w, lambda: w.pull("team/app", "v1"), "untrusted_key")
    assert verified == []
    put_bundle(w, "team/app", about, good.layer(form, APP.digest))
    w.store.clock.advance(60)
    assert (await w.pull("team/app", "v1")).status == 200


def with_certificates(reply: bytes, *more: bytes) -> bytes:
    """The token of an authority's reply with more certificates, which nobody has signed that they are there."""
    _, token = der.elements(der.inside(reply, 0x30))
    kind, content = der.elements(der.inside(token, 0x30))
    parts = [
        der.wrapped(0xA0, *sorted([*der.elements(der.inside(part, 0xA0)), *more])) if part[0] == 0xA0 else part
        for part in der.elements(der.inside(der.inside(content, 0xA0), 0x30))
    ]
    return der.wrapped(0x30, kind, der.wrapped(0xA0, der.wrapped(0x30, *parts)))


def test_certificates_added_to_a_timestamp_cost_few_looks_and_none_with_a_dear_key(verified: list[int]) -> None:
    stamped = load("openssl")
    few = [issued(replace(ROOT, key=soft_key().private), ROOT, DEAR["a modulus of 16384 bits"]) for _ in range(3)]
    genuine = timestamp.verify(with_certificates(stamped.reply), SIGNATURE, stamped.roots)
    alone = len(verified)
    verified.clear()
    assert timestamp.verify(with_certificates(stamped.reply, *few), SIGNATURE, stamped.roots) == genuine
    assert len(verified) == alone
    verified.clear()
    many = chain_of(*(Holder("same", authority()) for _ in range(CERTIFICATES)))
    with pytest.raises(ValueError, match="with more than 8 certificates"):
        timestamp.verify(with_certificates(stamped.reply, *many), SIGNATURE, stamped.roots)
    assert verified == []
