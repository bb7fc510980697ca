"""The artifact never chooses how it is verified, and one signature is one string of bytes (the ECDSA and RSA part)."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from proxy.formats.algorithms import ORDERS, algorithm_of, to_base64, verifies
from proxy.formats.format import Layer
from proxy.formats.simple_signing import SIGNATURE
from proxy.formats.table import FORMATS
from proxy.oci.reference import digest_of
from proxy.trust.evidence import Rejected, Verified
from proxy.trust.keys import Verifier, fingerprint
from tests.worlds.softkey import SoftKey, annotated, rewritten, soft_key

IMAGE = digest_of(b"image")
MESSAGE = b"message"
# A key on P-256 whose curve is written out in place of its name (made by `openssl ec -param_enc explicit`), up to the
# point: with such keys one can choose the base point, and with it a private key for anybody's public key.
EXPLICIT = bytes.fromhex(
    "3082014b3082010306072a8648ce3d02013081f7020101302c06072a8648ce3d0101022100ffffffff000000010000000000000000000000"
    "00ffffffffffffffffffffffff305b0420ffffffff00000001000000000000000000000000fffffffffffffffffffffffc04205ac635d8aa"
    "3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b031500c49d360886e704936a6678e1139d26b7819f7e900441046b17d1"
    "f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb640"
    "6837bf51f5022100ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551020101034200"
)


def with_signature(form: str, layer: Layer, signature: bytes) -> Layer:
    if form == "cosign-simple":
        return annotated(layer, {SIGNATURE: to_base64(signature)})
    bundle = json.loads(layer.data)
    bundle["dsseEnvelope"]["signatures"] = [{"sig": to_base64(signature)}]
    return rewritten(layer, json.dumps(bundle).encode())


def accepts(form: str, key: SoftKey, signature: bytes) -> bool:
    layer = with_signature(form, key.layer(form, IMAGE), signature)
    return isinstance(FORMATS[form].examine(layer, IMAGE, [key.verifier])[0], Verified)


@pytest.mark.parametrize("form", ["cosign-simple", "sigstore-bundle"])
@pytest.mark.parametrize("kind", ["p256", "p384"])
def test_ecdsa_signatures_of_another_spelling(form: str, kind: str) -> None:
    key = soft_key(kind)
    assert isinstance(key.private, ec.EllipticCurvePrivateKey)
    message = key.draft(form, IMAGE)
    good = key.sign(message)
    r, s = decode_dss_signature(good)
    size = (key.private.key_size + 7) // 8
    order = ORDERS[key.private.curve.name]
    assert accepts(form, key, good)
    bad = {
        "raw where DER is due": r.to_bytes(size, "big") + s.to_bytes(size, "big"),
        "trailing byte": good + b"\0",
        "trailing byte inside": good[:1] + bytes([good[1] + 1]) + good[2:] + b"\0",
        "long form length": good[:1] + b"\x81" + good[1:],
        "indefinite length": b"\x30\x80" + good[2:] + b"\0\0",
        "padded integer": b"\x30" + bytes([good[1] + 1]) + b"\x02" + bytes([good[3] + 1]) + b"\0" + good[4:],
        "r zero": encode_dss_signature(0, s),
        "s zero": encode_dss_signature(r, 0),
        "both zero": encode_dss_signature(0, 0),
        "r is the order": encode_dss_signature(order, s),
        "r + order": encode_dss_signature(r + order, s),
        "s + order": encode_dss_signature(r, s + order),
        "swapped": encode_dss_signature(s, r),
        "truncated": good[:-1],
        "empty": b"",
        "zeros": bytes(len(good)),
    }
    assert [what for what, signature in bad.items() if accepts(form, key, signature)] == []


@pytest.mark.parametrize("digest", [SHA1(), SHA384(), SHA512()])  # noqa: S303 - refused, as it should be
def test_hashes_that_do_not_go_with_the_key(digest: HashAlgorithm) -> None:
    for kind in ("p256", "p384", "rsa"):
        if kind == "p384" and isinstance(digest, SHA384):
            continue  # the hash that goes with that curve
        key = soft_key(kind)
        if isinstance(key.private, rsa.RSAPrivateKey):
            signature = key.private.sign(MESSAGE, padding.PKCS1v15(), digest)
        else:
            signature = key.private.sign(MESSAGE, ec.ECDSA(digest))
        assert not verifies(key.spki, signature, MESSAGE)


def test_pss_where_pkcs1_is_due() -> None:
    key = soft_key("rsa")
    assert isinstance(key.private, rsa.RSAPrivateKey)
    signature = key.private.sign(MESSAGE, padding.PSS(padding.MGF1(SHA256()), 32), SHA256())
    assert not verifies(key.spki, signature, MESSAGE)


def test_rsa_signatures_of_another_length() -> None:
    key = soft_key("rsa")
    good = key.sign(MESSAGE)
    assert verifies(key.spki, good, MESSAGE)
    for bad in (good + b"\0", b"\0" + good, good[:-1], b"", bytes(256), b"\xff" * 256):
        assert not verifies(key.spki, bad, MESSAGE)


@pytest.mark.parametrize("bits", [1024, 2047])
def test_short_rsa(bits: int) -> None:
    private = rsa.generate_private_key(65537, bits)
    spki = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert not verifies(spki, private.sign(MESSAGE, padding.PKCS1v15(), SHA256()), MESSAGE)
    with pytest.raises(ValueError, match=str(bits)):
        algorithm_of(spki)


def test_explicit_curve_parameters() -> None:
    key = soft_key()
    spki = EXPLICIT + key.spki[-65:]
    assert not verifies(spki, key.sign(MESSAGE), MESSAGE)
    with pytest.raises(ValueError, match="named curve"):
        algorithm_of(spki)


def test_a_key_of_one_kind_and_a_signature_of_another() -> None:
    curve, factors = soft_key("p256"), soft_key("rsa")
    assert not verifies(curve.spki, factors.sign(MESSAGE), MESSAGE)
    assert not verifies(factors.spki, curve.sign(MESSAGE), MESSAGE)


@pytest.mark.parametrize("form", FORMATS)
def test_a_key_we_cannot_use_verifies_nothing_and_stops_nobody(form: str) -> None:
    broken = Verifier(fingerprint(b"junk"), b"junk", "broken", "any", False)
    key = soft_key()
    layer = key.layer(form, IMAGE)
    assert isinstance(FORMATS[form].examine(layer, IMAGE, [broken])[0], Rejected)
    assert isinstance(FORMATS[form].examine(layer, IMAGE, [broken, key.verifier])[0], Verified)


def test_two_signatures_in_one_envelope() -> None:
    key, other = soft_key(), soft_key()
    layer = key.layer("sigstore-bundle", IMAGE)
    bundle = json.loads(layer.data)
    [one] = bundle["dsseEnvelope"]["signatures"]
    two = {"sig": to_base64(other.sign(b"anything"))}
    for signatures in ([one, two], [two, one], [one, one], []):
        bundle["dsseEnvelope"]["signatures"] = signatures
        several = rewritten(layer, json.dumps(bundle).encode())
        assert isinstance(FORMATS["sigstore-bundle"].examine(several, IMAGE, [key.verifier])[0], Rejected)
        assert not FORMATS["sigstore-bundle"].parses(several)


def test_a_key_inside_the_bundle_is_never_used() -> None:
    stranger, ours = soft_key(), soft_key()
    layer = stranger.layer("sigstore-bundle", IMAGE)
    bundle = json.loads(layer.data)
    bundle["verificationMaterial"]["publicKey"]["rawBytes"] = to_base64(stranger.spki)
    embedded = rewritten(layer, json.dumps(bundle).encode())
    assert isinstance(FORMATS["sigstore-bundle"].examine(embedded, IMAGE, [ours.verifier])[0], Rejected)
