"""The envelope of a Notary signature never chooses how it is verified (the JWS and COSE part)."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from proxy.formats import cose, jws
from proxy.formats.certificate import parse_certificate
from proxy.formats.notary import EXPIRY, PAYLOAD_TYPE, SCHEME, SIGNED_AT, render_payload
from proxy.formats.table import FORMATS
from proxy.oci.manifest import Descriptor
from proxy.oci.reference import digest_of
from proxy.trust.authority import Authority, Subject
from proxy.trust.evidence import Rejected, SignatureCheck, Verified
from proxy.trust.reason import Reason
from tests.attacks.test_a13_algorithms import EXPLICIT
from tests.worlds.certificates import certified, chain_of, rsa_key, trio
from tests.worlds.softkey import MADE, SoftKey, about, soft_key

IMAGE = digest_of(b"image")
PAYLOAD = render_payload(about(IMAGE), "r.example/app", {})
CURVE, WIDER, FACTORS = (certified(key) for key in (soft_key("p256"), soft_key("p384"), SoftKey(rsa_key(2048))))
FORMS = ["notation-jws", "notation-cose"]
HEADERS: Mapping[str, object] = {"crit": [SCHEME], "cty": PAYLOAD_TYPE, SCHEME: "notary.x509",
                                 SIGNED_AT: "2026-06-01T12:00:00Z"}  # fmt: skip
LABELS: Mapping[object, object] = {2: [SCHEME], 3: PAYLOAD_TYPE, SCHEME: "notary.x509",
                                   SIGNED_AT: cbor2.CBORTag(1, int(MADE.timestamp()))}  # fmt: skip


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def judged(form: str, data: bytes, key: SoftKey = CURVE) -> SignatureCheck:
    """What is said of these bytes where both the key itself and whoever certified it are trusted."""
    layer = replace(key.layer(form, IMAGE), data=data)
    anchor = Authority("ca", frozenset(key.chain[-1:]), (Subject("*", frozenset()),))
    findings = [FORMATS[form].examine(layer, IMAGE, [key.verifier]), FORMATS[form].examine(layer, IMAGE, [], [anchor])]
    kinds = {type(found) for [found] in findings}
    assert len(kinds) == 1, "by its key and by its authority it fares alike"
    return findings[0][0]


def jws_of(key: SoftKey, protected: object, signature: bytes | None = None, **changes: object) -> bytes:
    """A JWS with this protected header, properly signed unless a signature is given."""
    message = f"{b64(json.dumps(protected).encode())}.{b64(PAYLOAD)}".encode()
    made = key.sign(message, "jose") if signature is None else signature
    return json.dumps({**json.loads(jws.render(message, made, key.chain)), **changes}).encode()


def cose_of(
    key: SoftKey,
    protected: Mapping[Any, object],
    signature: bytes | None = None,
    more: Mapping[Any, object] | None = None,
) -> bytes:
    """A COSE_Sign1 with this protected header, properly signed unless a signature is given."""
    encoded = cbor2.dumps(dict(protected), canonical=True)
    message = cbor2.dumps(["Signature1", encoded, b"", PAYLOAD], canonical=True)
    made = key.sign(message, "jose") if signature is None else signature
    unprotected = {33: list(key.chain), **(more or {})}
    return bytes(cbor2.dumps(cbor2.CBORTag(18, [encoded, unprotected, PAYLOAD, made]), canonical=True))


def message_of(form: str, key: SoftKey) -> bytes:
    message = jws.message if form == "notation-jws" else cose.message
    return message(PAYLOAD, key.chain[0], MADE)


def with_signature(form: str, key: SoftKey, signature: bytes) -> bytes:
    render = jws.render if form == "notation-jws" else cose.render
    return render(message_of(form, key), signature, key.chain)


@pytest.mark.parametrize("key", [CURVE, WIDER, FACTORS])
def test_the_same_envelopes_with_nothing_wrong_are_accepted(key: SoftKey) -> None:
    name, number = {CURVE: ("ES256", -7), WIDER: ("ES384", -35), FACTORS: ("PS256", -37)}[key]
    assert isinstance(judged("notation-jws", jws_of(key, {"alg": name, **HEADERS}), key), Verified)
    assert isinstance(judged("notation-cose", cose_of(key, {1: number, **LABELS}), key), Verified)


@pytest.mark.parametrize("signature", [b"", None])
@pytest.mark.parametrize(
    "alg", ["none", "None", "NONE", "", None, 5, "HS256", "RS256", "EdDSA", "ES256K", "ES384", "PS256"]
)
def test_an_algorithm_that_is_not_that_of_the_key(alg: object, signature: bytes | None) -> None:
    assert isinstance(judged("notation-jws", jws_of(CURVE, {"alg": alg, **HEADERS}, signature)), Rejected)


@pytest.mark.parametrize("alg", [0, None, -8, 5, -257, -47, -35, -37, "ES256", True, -6])
def test_a_cose_algorithm_that_is_not_that_of_the_key(alg: object) -> None:
    assert isinstance(judged("notation-cose", cose_of(CURVE, {1: alg, **LABELS})), Rejected)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("bits", "name"), [(384, "PS384"), (512, "PS512")])
def test_another_hash_than_goes_with_the_key_is_named_and_not_called_broken(form: str, bits: int, name: str) -> None:
    private = FACTORS.private
    assert isinstance(private, rsa.RSAPrivateKey)
    digest = {384: SHA384(), 512: SHA512()}[bits]
    made = private.sign(message_of(form, FACTORS), padding.PSS(padding.MGF1(digest), bits // 8), digest)
    found = judged(form, with_signature(form, FACTORS, made), FACTORS)
    assert isinstance(found, Rejected)
    assert (found.reason, found.detail[:17]) == (Reason.OTHER_ALGORITHM, f"signed with {name}")


def test_hmac_with_the_public_key() -> None:
    pem = CURVE.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, CURVE.spki, CURVE.chain[0]):
        protected = {"alg": "HS256", **HEADERS}
        message = f"{b64(json.dumps(protected).encode())}.{b64(PAYLOAD)}".encode()
        forged = jws_of(CURVE, protected, hmac.digest(secret, message, "sha256"))
        assert isinstance(judged("notation-jws", forged), Rejected)


@pytest.mark.parametrize("form", FORMS)
def test_rsa_of_another_padding_hash_or_salt(form: str) -> None:
    assert isinstance(FACTORS.private, rsa.RSAPrivateKey)
    message = message_of(form, FACTORS)
    sha, wider = SHA256(), SHA384()
    forms = {
        "PKCS#1 v1.5": FACTORS.private.sign(message, padding.PKCS1v15(), sha),
        "another hash": FACTORS.private.sign(message, padding.PSS(padding.MGF1(wider), 48), wider),
        "another mask": FACTORS.private.sign(message, padding.PSS(padding.MGF1(wider), 32), sha),
        "no salt": FACTORS.private.sign(message, padding.PSS(padding.MGF1(sha), 0), sha),
        "long salt": FACTORS.private.sign(message, padding.PSS(padding.MGF1(sha), padding.PSS.MAX_LENGTH), sha),
    }
    good = FACTORS.sign(message, "jose")
    forms |= {"trailing byte": good + b"\0", "leading zero": b"\0" + good, "short": good[:-1], "zeros": bytes(256)}
    for what, signature in forms.items():
        assert isinstance(judged(form, with_signature(form, FACTORS, signature), FACTORS), Rejected), what
    assert isinstance(judged(form, with_signature(form, FACTORS, good), FACTORS), Verified)


@pytest.mark.parametrize("name", ["RS256", "PS384", "PS512", "ES256"])
def test_rsa_under_another_name(name: str) -> None:
    assert isinstance(judged("notation-jws", jws_of(FACTORS, {"alg": name, **HEADERS}), FACTORS), Rejected)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("key", [CURVE, WIDER])
def test_ecdsa_signatures_of_another_spelling(form: str, key: SoftKey) -> None:
    assert isinstance(key.private, ec.EllipticCurvePrivateKey)
    message, size = message_of(form, key), key.private.key_size // 8
    good = key.sign(message, "jose")
    r, s = good[:size], good[size:]
    der = encode_dss_signature(int.from_bytes(r), int.from_bytes(s))
    other = SHA384() if size == 32 else SHA256()
    halves = decode_dss_signature(key.private.sign(message, ec.ECDSA(other)))
    bad = {
        "DER where raw is due": der,
        "trailing byte": good + b"\0",
        "padded halves": b"\0" + r + b"\0" + s,
        "r zero": bytes(size) + s,
        "s zero": r + bytes(size),
        "both zero": bytes(2 * size),
        "swapped": s + r,
        "all ones": b"\xff" * 2 * size,
        "another hash": b"".join(half.to_bytes(size) for half in halves),
        "half": r,
    }
    for what, signature in bad.items():
        assert isinstance(judged(form, with_signature(form, key, signature), key), Rejected), what
    assert isinstance(judged(form, with_signature(form, key, good), key), Verified)


@pytest.mark.parametrize("form", FORMS)
def test_a_hash_that_does_not_match_the_curve_under_the_curves_own_name(form: str) -> None:
    assert isinstance(WIDER.private, ec.EllipticCurvePrivateKey)
    for digest in (SHA256(), SHA512()):
        halves = decode_dss_signature(WIDER.private.sign(message_of(form, WIDER), ec.ECDSA(digest)))
        raw = b"".join(half.to_bytes(48) for half in halves)
        assert isinstance(judged(form, with_signature(form, WIDER, raw), WIDER), Rejected)


@pytest.mark.parametrize(
    "changes",
    [
        {"crit": None}, {"crit": []}, {"crit": [SCHEME, "x"], "x": 1}, {"crit": ["x"], "x": 1},
        {"crit": [SCHEME, EXPIRY]},
        {"crit": [SCHEME, SCHEME]}, {"crit": SCHEME}, {"crit": [SCHEME, "b64"], "b64": False}, {"b64": False},
        {"crit": [SCHEME, "alg"]}, {EXPIRY: "2030-01-01T00:00:00Z"}, {"jwk": {"kty": "EC"}},
        {"jku": "https://x.example"},
        {"x5u": "https://x.example"}, {"x5c": []}, {"kid": "x"}, {"cty": "text/plain"}, {"cty": None},
        {SCHEME: "notary.x509.signingAuthority"}, {SCHEME: None}, {SIGNED_AT: None},
        {"alg": ["ES256"]}, {"alg": {}}, {"alg": 5}, {"cty": []}, {SCHEME: {}}, {"crit": [[]]}, {"crit": [{}, 1]},
        {SIGNED_AT: "0001-01-01T00:00:00+01:00"}, {SIGNED_AT: "9999-12-31T23:59:59-01:00"}, {SIGNED_AT: []},
        {"crit": [SCHEME, "io.cncf.notary.verificationPlugin"], "io.cncf.notary.verificationPlugin": "com.example"},
    ],
)  # fmt: skip
def test_headers_that_are_unknown_missing_or_point_at_another_key(changes: dict[str, object]) -> None:
    """All of them properly signed."""
    header = {k: v for k, v in {"alg": "ES256", **HEADERS, **changes}.items() if v is not None}
    assert isinstance(judged("notation-jws", jws_of(CURVE, header)), Rejected)


@pytest.mark.parametrize(
    "changes",
    [
        {2: None}, {2: []}, {2: [SCHEME, "x"], "x": 1}, {2: [SCHEME, 99], 99: 1}, {2: [1, SCHEME]},
        {2: [SCHEME, EXPIRY]},
        {2: SCHEME}, {EXPIRY: cbor2.CBORTag(1, 1893456000)}, {4: b"kid"}, {33: [CURVE.chain[0]]},
        {35: "https://x.example"},
        {34: [-16, b"x"]}, {3: "text/plain"}, {3: 0}, {3: None}, {SCHEME: "notary.x509.signingAuthority"},
        {SCHEME: None}, {SIGNED_AT: None}, {5: b"iv"}, {7: b"countersignature"},
    ],
)  # fmt: skip
def test_cose_headers_that_are_unknown_missing_or_point_at_another_key(changes: dict[object, object]) -> None:
    labels = {k: v for k, v in {1: -7, **LABELS, **changes}.items() if v is not None}
    assert isinstance(judged("notation-cose", cose_of(CURVE, labels)), Rejected)


def test_what_only_the_unprotected_header_says() -> None:
    """The algorithm, and everything else a signer must stand for, counts where it is signed or not at all."""
    assert isinstance(judged("notation-cose", cose_of(CURVE, LABELS, more={1: -7})), Rejected)
    for label in LABELS:
        rest = {1: -7, **{k: v for k, v in LABELS.items() if k != label}}
        assert isinstance(judged("notation-cose", cose_of(CURVE, rest, more={label: LABELS[label]})), Rejected)
    header = {"x5c": json.loads(CURVE.layer("notation-jws", IMAGE).data)["header"]["x5c"]}
    for name, value in {"alg": "ES256", **HEADERS}.items():
        rest = {k: v for k, v in {"alg": "ES256", **HEADERS}.items() if k != name}
        forged = jws_of(CURVE, rest, header={**header, name: value})
        assert isinstance(judged("notation-jws", forged), Rejected)


@pytest.mark.parametrize("form", FORMS)
def test_the_certificate_of_one_key_over_the_signature_of_another(form: str) -> None:
    stranger = soft_key()
    made = stranger.sign(message_of(form, CURVE), "jose")
    assert isinstance(judged(form, with_signature(form, CURVE, made)), Rejected)


@pytest.mark.parametrize("form", FORMS)
def test_certificates_in_another_order_choose_another_key(form: str) -> None:
    """The root is trusted, and its own key may sign no image."""
    leaf, middle, root = trio()
    chain = chain_of(leaf, middle, root)
    for key, order in (
        (SoftKey(root.key), chain[::-1]),
        (SoftKey(root.key), chain[2:]),
        (SoftKey(middle.key), chain[1:]),
    ):
        signer = replace(key, chain=order)
        layer = signer.layer(form, IMAGE)
        anchor = Authority("ca", frozenset(chain), (Subject("*", frozenset()),))
        assert isinstance(FORMATS[form].examine(layer, IMAGE, [], [anchor])[0], Rejected)


@pytest.mark.parametrize("form", FORMS)
def test_rsa_of_1024_bits(form: str) -> None:
    weak = certified(SoftKey(rsa_key(1024)))
    with pytest.raises(ValueError, match="without a signature algorithm"):
        weak.layer(form, IMAGE)
    if form == "notation-jws":
        message = f"{b64(json.dumps({'alg': 'PS256', **HEADERS}).encode())}.{b64(PAYLOAD)}".encode()
        data = jws.render(message, _pss(weak, message), weak.chain)
    else:
        encoded = cbor2.dumps({1: -37, **LABELS}, canonical=True)
        message = cbor2.dumps(["Signature1", encoded, b"", PAYLOAD], canonical=True)
        data = cose.render(message, _pss(weak, message), weak.chain)
    layer = replace(CURVE.layer(form, IMAGE), data=data)
    anchor = Authority("ca", frozenset(weak.chain[-1:]), (Subject("*", frozenset()),))
    assert isinstance(FORMATS[form].examine(layer, IMAGE, [weak.verifier], [anchor])[0], Rejected)


def _pss(key: SoftKey, message: bytes) -> bytes:
    assert isinstance(key.private, rsa.RSAPrivateKey)
    return key.private.sign(message, padding.PSS(padding.MGF1(SHA256()), 32), SHA256())


def test_explicit_curve_parameters_in_a_certificate() -> None:
    """The key's own SubjectPublicKeyInfo is replaced, so that the certificate is otherwise as it was."""
    der, tbs = CURVE.chain[0], parse_certificate(CURVE.chain[0]).tbs_certificate_bytes
    explicit = _sequence(tbs[4:].replace(CURVE.spki, EXPLICIT + CURVE.spki[-65:]))
    body = _sequence(explicit + der[4 + len(tbs) :])
    with pytest.raises(ValueError, match="named curve"):
        parse_certificate(body)
    for form in FORMS:
        forged = replace(CURVE, chain=(body, *CURVE.chain[1:]))
        data = (jws if form == "notation-jws" else cose).render(
            message_of(form, CURVE), CURVE.sign(message_of(form, CURVE), "jose"), forged.chain
        )
        assert isinstance(judged(form, data), Rejected)


def _sequence(content: bytes) -> bytes:
    return b"\x30\x82" + len(content).to_bytes(2) + content


@pytest.mark.parametrize("form", FORMS)
def test_trailing_bytes_and_a_second_envelope(form: str) -> None:
    good = CURVE.layer(form, IMAGE).data
    for data in (
        good + b"\0",
        good + b"\n",
        good + good,
        b" " + good if form == "notation-cose" else b"\xef\xbb\xbf" + good,
    ):
        accepted = isinstance(judged(form, data), Verified)
        assert accepted == (form == "notation-jws" and data == good + b"\n"), "white space after JSON is nothing"


def test_several_signatures_in_one_jws() -> None:
    value = json.loads(CURVE.layer("notation-jws", IMAGE).data)
    one = {k: value[k] for k in ("protected", "header", "signature")}
    general = {"payload": value["payload"], "signatures": [one]}
    for data in (general, {**general, "signatures": [one, one]}, {**value, "signatures": [one]}):
        assert isinstance(judged("notation-jws", json.dumps(data).encode()), Rejected)
    compact = f"{value['protected']}.{value['payload']}.{value['signature']}"
    assert isinstance(judged("notation-jws", compact.encode()), Rejected)


def test_a_detached_payload() -> None:
    value = json.loads(CURVE.layer("notation-jws", IMAGE).data)
    for data in ({k: v for k, v in value.items() if k != "payload"}, {**value, "payload": ""}):
        assert isinstance(judged("notation-jws", json.dumps(data).encode()), Rejected)
    parts = cbor2.loads(CURVE.layer("notation-cose", IMAGE).data).value
    for payload in (None, b""):
        data_ = cbor2.dumps(cbor2.CBORTag(18, [parts[0], parts[1], payload, parts[3]]), canonical=True)
        assert isinstance(judged("notation-cose", data_), Rejected)


def test_a_target_of_another_digest_algorithm() -> None:
    assert isinstance(about(IMAGE), Descriptor)
    other = IMAGE.replace("sha256:", "sha512:")
    payload = PAYLOAD.replace(IMAGE.encode(), other.encode())
    message = jws.message(payload, CURVE.chain[0], MADE)
    data = jws.render(message, CURVE.sign(message, "jose"), CURVE.chain)
    assert isinstance(judged("notation-jws", data), Rejected)


@pytest.mark.parametrize("form", ["notation-jws", "notation-cose"])
def test_of_a_thousand_certificates_none_is_looked_at(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred such signatures would keep the proxy from everything else for half a minute."""
    render = jws.render if form == "notation-jws" else cose.render
    data = render(message_of(form, CURVE), b"s" * 64, [*CURVE.chain, *([CURVE.chain[0]] * 1000)])
    layer = replace(CURVE.layer(form, IMAGE), data=data)

    def looked(_der: bytes) -> None:
        raise AssertionError("it was parsed")

    monkeypatch.setattr("proxy.formats.certificate.parse_certificate", looked)
    [found] = FORMATS[form].examine(layer, IMAGE, [CURVE.verifier])
    assert isinstance(found, Rejected)
    assert "at most 8" in found.detail
    assert not FORMATS[form].parses(layer)
