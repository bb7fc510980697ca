"""Certificate requests and self-signed certificates for a key on a token (RFC 2986, RFC 5280).

`cryptography` writes the ASN.1 and asks a private key of its own kind to sign; here that key passes the bytes on to the
token. The builders wait for the signature, so they run in the child process; the parent checks the result.
"""

from collections.abc import Callable
from datetime import datetime
from typing import NoReturn

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID

Sign = Callable[[bytes], bytes]  # a message to its finished signature over SHA-256: DER for ECDSA, PKCS#1 v1.5 for RSA
# Only digital signature: the Notary Project requires it of a chain's leaf, also in a chain of one certificate.
_USAGE = x509.KeyUsage(
    digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
    key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
)  # fmt: skip
_PURPOSE = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])


def name_of(subject: str) -> x509.Name:
    """Return the name in an RFC 4514 string such as `CN=release,O=Example,C=DE`. Raises ValueError if it is invalid."""
    name = x509.Name.from_rfc4514_string(subject)
    if not list(name):
        raise ValueError("the subject is empty; write one as CN=release,O=Example,C=DE")
    return name


def make_csr(spki: bytes, sign: Sign, subject: str) -> bytes:
    """Return a certificate request for this key, DER, signed by it."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(name_of(subject))
    builder = builder.add_extension(_USAGE, critical=True).add_extension(_PURPOSE, critical=False)
    return builder.sign(_held(spki, sign), SHA256()).public_bytes(Encoding.DER)


def make_self_signed(spki: bytes, sign: Sign, subject: str, not_before: datetime, not_after: datetime) -> bytes:
    """Return a self-signed certificate of this key, DER: a leaf that may sign and is not a CA."""
    key, name = _held(spki, sign), name_of(subject)
    public = key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_USAGE, critical=True)
        .add_extension(_PURPOSE, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    return builder.sign(key, SHA256()).public_bytes(Encoding.DER)


def check_csr(der: bytes, spki: bytes, subject: str) -> None:
    """Return if this is a request for exactly this key and subject, signed by the key; else raise ValueError."""
    csr = x509.load_der_x509_csr(der)
    if csr.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != spki:
        raise ValueError("the request is for another key")
    if not csr.is_signature_valid:
        raise ValueError("the request's signature does not verify with its key")
    if csr.subject != name_of(subject):
        raise ValueError("the request has another subject")


def check_self_signed(der: bytes, spki: bytes, subject: str) -> None:
    """Return if this certifies exactly this key and subject, signed by the key; else raise ValueError."""
    certificate = x509.load_der_x509_certificate(der)
    if certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != spki:
        raise ValueError("the certificate is of another key")
    if certificate.subject != name_of(subject):
        raise ValueError("the certificate has another subject")
    try:
        certificate.verify_directly_issued_by(certificate)
    except (InvalidSignature, TypeError) as error:
        raise ValueError("the certificate's signature does not verify with its key") from error


def _held(spki: bytes, sign: Sign) -> "_HeldEc | _HeldRsa":
    public = load_der_public_key(spki)
    if isinstance(public, ec.EllipticCurvePublicKey):
        return _HeldEc(public, sign)
    if isinstance(public, rsa.RSAPublicKey):
        return _HeldRsa(public, sign)
    raise ValueError("no certificates are made for keys of this kind")


def _never(self: object, *_: object) -> NoReturn:
    raise ValueError(f"{type(self).__name__}: the key is in its token, and only signs")


class _HeldEc(ec.EllipticCurvePrivateKey):
    """A private key held elsewhere."""

    def __init__(self, public: ec.EllipticCurvePublicKey, sign: Sign) -> None:
        self._public, self._sign = public, sign

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public

    def sign(self, data: bytes, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:  # type: ignore[override]  # no buffers
        _only_sha256(signature_algorithm.algorithm)
        return self._sign(data)

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._public.curve

    @property
    def key_size(self) -> int:
        return self._public.key_size

    exchange = private_numbers = private_bytes = __copy__ = __deepcopy__ = _never  # type: ignore[assignment]


class _HeldRsa(rsa.RSAPrivateKey):
    """A private key held elsewhere."""

    def __init__(self, public: rsa.RSAPublicKey, sign: Sign) -> None:
        self._public, self._sign = public, sign

    def public_key(self) -> rsa.RSAPublicKey:
        return self._public

    def sign(self, data: bytes, padding: object, algorithm: HashAlgorithm | Prehashed) -> bytes:  # type: ignore[override]  # no buffers
        _only_v15(padding)
        _only_sha256(algorithm)
        return self._sign(data)

    @property
    def key_size(self) -> int:
        return self._public.key_size

    decrypt = private_numbers = private_bytes = __copy__ = __deepcopy__ = _never  # type: ignore[assignment]


def _only_sha256(algorithm: object) -> None:
    if not isinstance(algorithm, SHA256):
        raise ValueError("certificates are signed over SHA-256")


def _only_v15(scheme: object) -> None:
    if not isinstance(scheme, padding.PKCS1v15):
        raise ValueError("certificates of RSA keys are signed with PKCS#1 v1.5")
