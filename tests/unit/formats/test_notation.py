from dataclasses import replace
from datetime import UTC, datetime

import pytest

from proxy.formats.format import Layer, Signing
from proxy.formats.identity import parse_subject
from proxy.formats.notation import NOTATION_COSE, NOTATION_JWS, Notation
from proxy.formats.table import FORMATS, announces_signatures, claimed_by
from proxy.oci.reference import digest_of
from proxy.trust.authority import Authority
from proxy.trust.evidence import Rejected, Verified
from proxy.trust.reason import Reason
from tests.worlds.certificates import BEGIN, END, certified, chain_of, rsa_key, trio
from tests.worlds.softkey import MADE, SoftKey, about, layer_of, rewritten, soft_key

IMAGE, OTHER = digest_of(b"image"), digest_of(b"other")
KEY = certified()
FORMS = pytest.mark.parametrize("form", [NOTATION_JWS, NOTATION_COSE], ids=lambda form: form.name)


def ca(key: SoftKey = KEY, *identities: str, name: str = "partner") -> Authority:
    return Authority(name, frozenset(key.chain[-1:]), tuple(map(parse_subject, identities or ("O=Example",))))


def rejected(form: Notation, layer: Layer, *authorities: Authority) -> Rejected:
    [finding] = form.examine(layer, IMAGE, [], authorities)
    assert isinstance(finding, Rejected)
    return finding


@FORMS
@pytest.mark.parametrize("key", [soft_key("p256"), soft_key("p384"), SoftKey(rsa_key(2048)), SoftKey(rsa_key(3072))])
def test_a_key_we_know_vouches_whatever_its_certificates(form: Notation, key: SoftKey) -> None:
    given = certified(key, self_signed=True)
    layer = given.layer(form.name, IMAGE, "r.example/app", pusher="alice")
    [finding] = form.examine(layer, IMAGE, [soft_key().verifier, given.verifier])
    assert isinstance(finding, Verified)
    assert (finding.fingerprint, finding.format) == (given.verifier.fingerprint, form.name)
    assert (finding.bound, finding.claims) == ("r.example/app", {"pusher": "alice"})
    assert form.parses(layer)
    assert form.subject_of(layer) == IMAGE


@FORMS
def test_an_authority_vouches_for_whom_it_certifies(form: Notation) -> None:
    [finding] = form.examine(KEY.layer(form.name, IMAGE), IMAGE, [], [ca(), ca(certified(), name="other")])
    assert isinstance(finding, Verified)
    assert finding.certified is not None
    assert (finding.certified.authorities, finding.certified.chain) == (("partner",), KEY.chain)
    assert (finding.certified.valid, finding.certified.signed_at) == ((BEGIN, END), MADE)
    assert finding.fingerprint == KEY.verifier.fingerprint


@FORMS
def test_an_expired_chain_is_found_and_its_time_is_for_the_decision(form: Notation) -> None:
    leaf, middle, root = trio(KEY.private)
    past = replace(KEY, chain=chain_of(replace(leaf, last=datetime(2026, 2, 1, tzinfo=UTC)), middle, root))
    [finding] = form.examine(past.layer(form.name, IMAGE), IMAGE, [], [ca(past)])
    assert isinstance(finding, Verified)
    assert finding.certified is not None
    assert finding.certified.valid == (BEGIN, datetime(2026, 2, 1, tzinfo=UTC))


@FORMS
def test_reasons(form: Notation) -> None:
    layer = KEY.layer(form.name, IMAGE)
    assert rejected(form, layer).reason is Reason.UNTRUSTED_KEY
    assert rejected(form, layer, ca(certified())).reason is Reason.UNTRUSTED_KEY
    assert rejected(form, layer, ca(KEY, "O=Somebody else")).reason is Reason.UNTRUSTED_KEY
    assert rejected(form, KEY.layer(form.name, OTHER), ca()).reason is Reason.WRONG_SUBJECT
    message = KEY.draft(form.name, IMAGE)
    forged = layer_of(KEY.blob(form.name, message, soft_key().sign(message, "jose")))
    assert rejected(form, forged, ca()).reason is Reason.BAD_SIGNATURE
    assert rejected(form, rewritten(layer, b"junk"), ca()).reason is Reason.BAD_SIGNATURE
    unissued = replace(KEY, chain=KEY.chain[:2])
    said = rejected(form, unissued.layer(form.name, IMAGE), Authority("m", frozenset(KEY.chain), ca().identities))
    assert said.reason is Reason.UNTRUSTED_KEY
    assert "is the last one and not self-signed" in said.detail


@FORMS
def test_the_timestamp_and_the_signature_are_handed_on(form: Notation) -> None:
    message = KEY.draft(form.name, IMAGE)
    made = KEY.sign(message, "jose")
    layer = layer_of(form.blob(message, made, Signing(KEY.spki, KEY.chain, b"token")))
    [finding] = form.examine(layer, IMAGE, [KEY.verifier])
    assert isinstance(finding, Verified)
    assert finding.certified is not None
    assert (finding.certified.timestamp, finding.certified.signature) == (b"token", made)


@FORMS
def test_a_key_without_certificates_of_its_own_signs_nothing(form: Notation) -> None:
    for by in (Signing(KEY.spki), Signing(soft_key().spki, KEY.chain)):
        with pytest.raises(ValueError, match="no certificate chain of its own"):
            form.draft(about(IMAGE), "r.example/app", {}, by, MADE)
        with pytest.raises(ValueError, match="no certificate chain of its own"):
            form.blob(KEY.draft(form.name, IMAGE), b"s", by)
    with pytest.raises(ValueError, match="docker-reference"):
        form.draft(about(IMAGE), "r.example/app", {"docker-reference": "x"}, KEY.by, MADE)


@FORMS
def test_what_the_table_says_of_it(form: Notation) -> None:
    assert FORMATS[form.name] is form
    assert [claimed_by(kind) for kind in form.media_types] == [form]
    assert announces_signatures("application/vnd.cncf.notary.signature")
    assert not announces_signatures("application/jose+json")
    assert (form.scheme, form.certified) == ("jose", True)


def test_the_manifest_lists_the_certificates_by_their_hashes() -> None:
    blob = KEY.blob("notation-jws", KEY.draft("notation-jws", IMAGE))
    assert blob.artifact_type == "application/vnd.cncf.notary.signature"
    hashes = ",".join(f'"{digest_of(der).partition(":")[2]}"' for der in KEY.chain)
    assert blob.about == {"io.cncf.notary.x509chain.thumbprint#S256": f"[{hashes}]"}
