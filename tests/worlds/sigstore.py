"""A sigstore of our own: a CA that certifies identities, a log of certificates, a log of signatures, a trusted root.

Everything is signed for real. That it is what the real services make is for cosign to say: it verifies these bundles in
tests/interop/test_keyless.py.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import rfc8785
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from proxy.formats import dsse
from proxy.formats.format import Blob, Layer
from proxy.formats.statement import IMAGE_SIGNATURE, V1
from proxy.oci.reference import Digest
from proxy.trust.authority import KeylessSigner
from tests.worlds.softkey import layer_of

ISSUER, IDENTITY = "https://accounts.example.com", "release@example.com"
AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
LIFE = timedelta(minutes=10)  # of a certificate
_ISSUER_V1, _ISSUER_V2 = ObjectIdentifier("1.3.6.1.4.1.57264.1.1"), ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_SCTS = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
ORIGIN = "rekor.example.com - 1"
Private = ec.EllipticCurvePrivateKey


def _key() -> Private:
    return ec.generate_private_key(ec.SECP256R1())


def _spki(key: Private) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _sign(key: Private, message: bytes) -> bytes:
    return key.sign(message, ec.ECDSA(SHA256()))


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _name(text: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "example"), x509.NameAttribute(NameOID.COMMON_NAME, text)]
    )


def _der_utf8(text: str) -> bytes:
    data = text.encode()
    assert len(data) < 128
    return bytes([0x0C, len(data)]) + data


def _octets(data: bytes) -> bytes:
    return bytes([0x04, len(data)]) + data if len(data) < 128 else bytes([0x04, 0x81, len(data)]) + data


@dataclass
class Sigstore:
    """One world; nothing of it verifies in another."""

    root_key: Private = field(default_factory=_key)
    log_key: Private = field(default_factory=_key)
    certificates_key: Private = field(default_factory=_key)
    stampers: tuple[bytes, ...] = ()  # the chain of a timestamp authority, DER, signer to root

    def __post_init__(self) -> None:
        """The CA has its own certificate."""
        self.root = (
            self._builder(
                _name("root"), _name("root"), self.root_key, AT - timedelta(days=1), AT + timedelta(days=3650)
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(ca=True), critical=True)
            .sign(self.root_key, SHA256())
        )

    def _builder(
        self, subject: x509.Name, issuer: x509.Name, key: Private, begin: datetime, end: datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.root_key.public_key()), critical=False
            )
        )

    def certify(
        self, key: Private, identity: str, issuer: str, at: datetime, *, logged: bool = True
    ) -> x509.Certificate:
        """A certificate for ten minutes from then, with the log's word that it was seen (RFC 6962 section 3.2)."""
        who: x509.GeneralName = (
            x509.UniformResourceIdentifier(identity) if "://" in identity else x509.RFC822Name(identity)
        )
        builder = (
            self._builder(x509.Name([]), self.root.subject, key, at, at + LIFE)
            .add_extension(_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.SubjectAlternativeName([who]), critical=True)
            .add_extension(x509.UnrecognizedExtension(_ISSUER_V1, issuer.encode()), critical=False)
            .add_extension(x509.UnrecognizedExtension(_ISSUER_V2, _der_utf8(issuer)), critical=False)
        )
        if not logged:
            return builder.sign(self.root_key, SHA256())
        tbs = builder.sign(self.root_key, SHA256()).tbs_certificate_bytes
        moment = int(at.timestamp() * 1000).to_bytes(8, "big")
        issuer_hash = hashlib.sha256(_spki(self.root_key)).digest()
        signed = b"\0\0" + moment + b"\0\1" + issuer_hash + len(tbs).to_bytes(3, "big") + tbs + b"\0\0"
        signature = _sign(self.certificates_key, signed)
        log = hashlib.sha256(_spki(self.certificates_key)).digest()
        sct = b"\0" + log + moment + b"\0\0" + b"\4\3" + len(signature).to_bytes(2, "big") + signature
        listed = len(sct).to_bytes(2, "big") + sct
        scts = _octets(len(listed).to_bytes(2, "big") + listed)
        return builder.add_extension(x509.UnrecognizedExtension(_SCTS, scts), critical=False).sign(
            self.root_key, SHA256()
        )

    def bundle(
        self,
        subject: Digest,
        identity: str = IDENTITY,
        issuer: str = ISSUER,
        *,
        at: datetime = AT,
        logged_at: datetime | None = None,
        payload: bytes | None = None,
        logged: bool = True,
        stamp: Callable[[bytes], bytes] | None = None,
    ) -> dict[str, Any]:
        """What cosign 3 attaches: the statement signed by a key certified then, and the log's entry of it.

        With `stamp`, which answers to a signature with a timestamp, the log is of the second generation: it says no
        time itself.
        """
        key = _key()
        leaf = self.certify(key, identity, issuer, at, logged=logged)
        said = statement_of(subject) if payload is None else payload
        signature = _sign(key, dsse.pae(dsse.IN_TOTO, said))
        entry = self._entry(leaf, said, signature, logged_at or at + timedelta(seconds=5))
        stamps = {}
        if stamp is not None:
            entry = self._second(leaf, said, signature)
            stamps = {"timestampVerificationData": {"rfc3161Timestamps": [{"signedTimestamp": _b64(stamp(signature))}]}}
        return {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": _b64(leaf.public_bytes(Encoding.DER))},
                "tlogEntries": [entry],
                **stamps,
            },
            "dsseEnvelope": {
                "payload": _b64(said),
                "payloadType": dsse.IN_TOTO,
                "signatures": [{"sig": _b64(signature)}],
            },
        }

    def _entry(self, leaf: x509.Certificate, said: bytes, signature: bytes, at: datetime) -> Mapping[str, Any]:
        """An entry of kind dsse in a log that holds nothing else: hash, checkpoint, and the promise with the time."""
        envelope = {
            "payload": _b64(said),
            "payloadType": dsse.IN_TOTO,
            "signatures": [{"sig": _b64(signature)}],
        }
        verifier = _b64(leaf.public_bytes(Encoding.PEM))
        body = rfc8785.dumps(
            {
                "apiVersion": "0.0.1",
                "kind": "dsse",
                "spec": {
                    "envelopeHash": {
                        "algorithm": "sha256",
                        "value": hashlib.sha256(json.dumps(envelope).encode()).hexdigest(),
                    },
                    "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(said).hexdigest()},
                    "signatures": [{"signature": _b64(signature), "verifier": verifier}],
                },
            }
        )
        name, moment = hashlib.sha256(_spki(self.log_key)).digest(), int(at.timestamp())
        promised: dict[str, Any] = {"body": _b64(body), "integratedTime": moment, "logID": name.hex(), "logIndex": 0}
        return {
            **self._included(body, ORIGIN),
            "kindVersion": {"kind": "dsse", "version": "0.0.1"},
            "integratedTime": str(moment),
            "inclusionPromise": {"signedEntryTimestamp": _b64(_sign(self.log_key, rfc8785.dumps(promised)))},
        }

    def _second(self, leaf: x509.Certificate, said: bytes, signature: bytes) -> Mapping[str, Any]:
        """The entry as rekor's second version makes it: the hash of what was signed, and no time."""
        verifier = {
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "x509Certificate": {"rawBytes": _b64(leaf.public_bytes(Encoding.DER))},
        }
        digest = hashlib.sha256(dsse.pae(dsse.IN_TOTO, said)).digest()
        signed = {"content": _b64(signature), "verifier": verifier}
        spec: dict[str, Any] = {"data": {"algorithm": "SHA2_256", "digest": _b64(digest)}, "signature": signed}
        body = rfc8785.dumps({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": spec}})
        kind = {"kind": "hashedrekord", "version": "0.0.2"}
        return {**self._included(body, ORIGIN.partition(" ")[0]), "kindVersion": kind}

    def _included(self, body: bytes, origin: str) -> Mapping[str, Any]:
        """The proof that a log which holds nothing else includes this, with its signed checkpoint."""
        name, root = hashlib.sha256(_spki(self.log_key)).digest(), hashlib.sha256(b"\0" + body).digest()
        note = f"{origin}\n1\n{_b64(root)}\n"
        mark = _b64(name[:4] + _sign(self.log_key, note.encode()))
        return {
            "logIndex": "0",
            "logId": {"keyId": _b64(name)},
            "inclusionProof": {
                "logIndex": "0",
                "rootHash": _b64(root),
                "treeSize": "1",
                "hashes": [],
                "checkpoint": {"envelope": f"{note}\n\u2014 {origin.partition(' ')[0]} {mark}\n"},
            },
            "canonicalizedBody": _b64(body),
        }

    def trusted_root(self) -> bytes:
        """The file that says whom of this world to believe."""
        always = {"start": "2020-01-01T00:00:00Z"}

        def log(key: Private, url: str) -> dict[str, Any]:
            spki = _spki(key)
            return {
                "baseUrl": url,
                "hashAlgorithm": "SHA2_256",
                "publicKey": {"rawBytes": _b64(spki), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": always},
                "logId": {"keyId": _b64(hashlib.sha256(spki).digest())},
            }

        root: dict[str, Any] = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(self.log_key, "https://rekor.example.com")],
            "certificateAuthorities": [
                {
                    "subject": {"organization": "example", "commonName": "root"},
                    "uri": "https://fulcio.example.com",
                    "certChain": {"certificates": [{"rawBytes": _b64(self.root.public_bytes(Encoding.DER))}]},
                    "validFor": always,
                }
            ],
            "ctlogs": [log(self.certificates_key, "https://ctfe.example.com")],
            "timestampAuthorities": [
                {
                    "subject": {"organization": "example", "commonName": "tsa"},
                    "uri": "https://tsa.example.com",
                    "certChain": {"certificates": [{"rawBytes": _b64(der)} for der in self.stampers]},
                    "validFor": always,
                }
            ]
            if self.stampers
            else [],
        }
        return json.dumps(root).encode()


def statement_of(subject: Digest, predicate_type: str = IMAGE_SIGNATURE) -> bytes:
    """A statement as cosign 3 makes it."""
    named = [{"digest": {"sha256": subject.partition(":")[2]}}]
    said = {"_type": V1, "subject": named, "predicateType": predicate_type, "predicate": {}}
    return json.dumps(said, separators=(",", ":")).encode()


def attested(subject: Digest) -> bytes:
    """A statement about this digest that is no signature."""
    return statement_of(subject, "https://example.com/tested")


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False)


def layer_of_bundle(bundle: Mapping[str, Any]) -> Layer:
    """The bundle as it comes from a registry."""
    return layer_of(Blob(str(bundle["mediaType"]), json.dumps(bundle).encode(), {}))


def signer_of(world: Sigstore, name: str = "ci", issuer: str = ISSUER, *identities: str) -> KeylessSigner:
    """The `trust` entry that believes this world."""
    return KeylessSigner(name, issuer, identities or (IDENTITY,), world.trusted_root())
