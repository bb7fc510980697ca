"""Certificate chains in software: proper ones, and ones with a single thing wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from proxy.trust.keys import fingerprint
from tests.worlds.conversation import World
from tests.worlds.softkey import PrivateKey, SoftKey, soft_key

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2027, 1, 1, tzinfo=UTC)
Extensions = tuple[tuple[x509.ExtensionType, bool], ...]


def usage(*names: str) -> x509.KeyUsage:
    """A key usage with exactly these bits."""
    known = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: name in names for name in known})


LEAF: Extensions = ((usage("digital_signature"), True),)


def authority(path_length: int | None = None) -> Extensions:
    """The extensions of a CA."""
    return ((x509.BasicConstraints(True, path_length), True), (usage("key_cert_sign", "crl_sign"), True))


@dataclass(frozen=True)
class Holder:
    """Whoever a certificate is for: a name, a key, and what is said of it."""

    name: str
    extensions: Extensions
    key: PrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    first: datetime = BEGIN
    last: datetime = END

    @property
    def subject(self) -> x509.Name:
        """C, ST and O as Notary wants them, and the name."""
        pairs = (
            (NameOID.COUNTRY_NAME, "DE"), (NameOID.STATE_OR_PROVINCE_NAME, "Berlin"),
            (NameOID.ORGANIZATION_NAME, "Example"), (NameOID.COMMON_NAME, self.name),
        )  # fmt: skip
        return x509.Name([x509.NameAttribute(oid, value) for oid, value in pairs])

    def with_(self, *extensions: tuple[x509.ExtensionType, bool]) -> Holder:
        """The same with exactly these extensions."""
        return replace(self, extensions=extensions)


def issued(holder: Holder, issuer: Holder, public: CertificatePublicKeyTypes | None = None) -> bytes:
    """The certificate (DER) the issuer gives the holder, whether it should or not; for that key where one is given."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(holder.subject)
        .issuer_name(issuer.subject)
        .public_key(public or holder.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(holder.first)
        .not_valid_after(holder.last)
    )
    for extension, critical in holder.extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def chain_of(*holders: Holder) -> tuple[bytes, ...]:
    """The chain of these, leaf to root; each is issued by the next, the last by itself."""
    issuers = (*holders[1:], holders[-1])
    return tuple(issued(holder, issuer) for holder, issuer in zip(holders, issuers, strict=True))


def trio(key: PrivateKey | None = None) -> tuple[Holder, Holder, Holder]:
    """A leaf (with this key), an intermediate and a root that satisfy every rule."""
    leaf = Holder("images", LEAF)
    if key is not None:
        leaf = replace(leaf, key=key)
    return leaf, Holder("issuing", authority(0)), Holder("root", authority(), last=END + timedelta(days=3650))


def certified(key: SoftKey | None = None, *, self_signed: bool = False) -> SoftKey:
    """The key (a new one) with a proper chain, or certified by itself alone."""
    given = key or soft_key()
    holders = trio(given.private)
    return replace(given, chain=chain_of(*(holders[:1] if self_signed else holders)))


async def certify(w: World, profile: str = "release", chain: Sequence[bytes] | None = None) -> tuple[bytes, ...]:
    """The active key of this profile has a proper chain, or the one given; that is returned."""
    key = w.store.keybook.ring().active(profile)
    assert key is not None
    made = tuple(chain) if chain else chain_of(*trio(w.signer.private(key)))
    await w.store.keybook.amend(fingerprint(key.spki), {"chain": made})
    return made


def pem(chain: Sequence[bytes]) -> str:
    """The certificates as PEM text."""
    return "".join(x509.load_der_x509_certificate(c).public_bytes(Encoding.PEM).decode() for c in chain)


def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    """An RSA key of that size."""
    return rsa.generate_private_key(65537, bits)  # also too small ones: they must be refused
