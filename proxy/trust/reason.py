"""The reasons for a refusal, one row each: the code, all that is said about it, and the next step.

Error texts, pages, docs and the journal are made of these rows (WIRE: reason codes).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


@dataclass(frozen=True)
class Lesson:
    """The page: what happened, why it matters, and the next step for those who pull, push or own the policy."""

    happened: str
    matters: str
    puller: str
    pusher: str
    owner: str


@dataclass(frozen=True)
class Row:
    """All that is said about one reason.

    `what` happened in a few words, and the next step for the puller and the pusher. Of several signatures that fail
    differently, the lowest `severity` is reported, as a check that `says` it.
    """

    what: str
    pull_fix: str
    push_fix: str
    lesson: Lesson
    severity: int
    says: str


_ASK = "ask {contact}"
_LATER = f"try again in some minutes, or {_ASK}"
_PUSH_AGAIN = "push it again through {host}"
_FIND_OUT = "Run `countersign why DECISION` with the id from the error to see every check."


def _row(
    code: str,
    what: str,
    *lesson: str,
    pull_fix: str = _ASK,
    push_fix: str = _PUSH_AGAIN,
    check: tuple[int, str] | None = None,
) -> tuple[str, Row]:
    return code, Row(what, pull_fix, push_fix, Lesson(*lesson), *(check or (99, code)))


class Reason(StrEnum):
    """Why something was blocked; clients, journal, metrics and pages show the value."""

    _value_: str
    row: Row

    def __new__(cls, code: str, *row: Row) -> Self:
        """Make the reason of this row."""
        reason = str.__new__(cls, code)
        reason._value_, (reason.row,) = code, row
        return reason

    UNSIGNED = _row(
        "unsigned",
        "it is not signed",
        "Every place for signatures in the registry was searched, and this image has none.",
        "Nobody vouches for it: it may have been pushed around the proxy, or before signing began here.",
        "Do not copy it from elsewhere to get around this. Send the link from the error to the contact it names.",
        "Push it again through the proxy: that signs it. Nothing has to be rebuilt, and layers are not sent again.",
        "Sign existing images with `countersign sign REPO:TAG --reason TEXT`. If whole repositories are "
        "unsigned, set `mode: warn` for them until they are done, and read `countersign report would-block`.",
    )
    UNTRUSTED_KEY = _row(
        "untrusted_key",
        "no key this repository trusts signed it",
        "The image is signed, but not by a key that the policy of this repository names.",
        "A signature says who vouches for an image, and this signer may not vouch for images here.",
        "Ask the contact whether the image is in the right repository.",
        "Push it through the proxy, which signs with the key this repository requires.",
        "If the signer should count, add the public key under `trust` and its name to `signed_by`. " + _FIND_OUT,
        check=(10, "signed, but not by a key this policy trusts"),
    )
    BAD_SIGNATURE = _row(
        "bad_signature",
        "its signature does not verify",
        "A signature is attached to this image, but it does not verify: it was changed, cut short or made wrongly.",
        "Tampering looks like this, and so does a broken signing tool.",
        "Do not run the image. Tell the contact.",
        "Push it again through the proxy. If you sign with a tool of your own, check its version and its key.",
        "Inspect the signatures with `cosign tree`. A bad signature never hides a good one: there is no good one.",
        pull_fix=f"do not run it; {_ASK}",
        check=(9, "a signature is here, but it does not verify"),
    )
    OTHER_ALGORITHM = _row(
        "other_algorithm",
        "a trusted key signed it, with an algorithm that does not count here",
        "A key that this repository trusts did sign this image, with an algorithm that does not count here: RSA-PSS, "
        "another hash than SHA-256 (for P-384, SHA-384 counts too), or r||s in place of DER.",
        "The signature itself is correct. The key determines which algorithms count, so no signature chooses how it is "
        "verified; they are those that every version of cosign can verify.",
        "Ask the contact; the image itself is not under suspicion.",
        "Push it through the proxy, or sign it with SHA-256 (ECDSA in DER, RSA as PKCS#1 v1.5).",
        "Cloud KMS: for RSA take RSA_SIGN_PKCS1_*_SHA256 or RSASSA_PKCS1_V1_5_SHA_256, for P-384 the usual SHA-384. "
        + _FIND_OUT,
        push_fix=f"sign it with SHA-256, or {_PUSH_AGAIN}",
        check=(7, "signed by a trusted key, with an algorithm that does not count here"),
    )
    UNREAD_PAYLOAD = _row(
        "unread_payload",
        "a trusted key signed it, but not as an image signature that is read here",
        "A key that this repository trusts signed a statement about this image that does not count as an image "
        "signature here: one of another tool, such as Tekton Chains, or an attestation.",
        "The signature itself is correct. The meaning of another tool's statement is not guessed here, and a "
        "vulnerability report signed by the release key is not a release.",
        "Ask the contact; the image itself is not under suspicion.",
        "Push it through the proxy, or sign it with `cosign sign`.",
        "Have the pipeline push through the proxy, or add a `cosign sign` step with a key of `trust`. " + _FIND_OUT,
        push_fix=f"sign it with cosign, or {_PUSH_AGAIN}",
        check=(8, "signed by a trusted key, but not as an image signature that is read here"),
    )
    WRONG_SUBJECT = _row(
        "wrong_subject",
        "its signature is about another image",
        "A signature is attached to this image, but it signs the digest of another image.",
        "Moving a good signature to other content is the simplest forgery there is.",
        "Do not run the image. Tell the contact.",
        "Push it again through the proxy. Scripts that copy signatures must copy the image with them, by digest.",
        "Find out who attached it: the journal has every push that went through the proxy.",
        pull_fix=f"do not run it; {_ASK}",
        check=(6, "the signature here is about another image"),
    )
    WRONG_IDENTITY = _row(
        "wrong_identity",
        "its signature is for another repository or tag",
        "The image is signed, but for another repository or another tag.",
        "An image approved for one place is not approved for all: a test build must not become a release by a copy.",
        "Ask the contact for the name under which to pull the image.",
        "Push or copy it through the proxy under the intended name: that signs it for this name.",
        "If signatures by this key should count under any name, say `identity: any` (or `repository`) for it.",
        check=(4, "signed, but for another repository or tag"),
    )
    KEY_RETIRED = _row(
        "key_retired",
        "the key that signed it is retired",
        "The image is signed with a key of ours that has been retired.",
        "A retired key no longer counts, so that nobody has to protect it for ever.",
        "Ask the contact for a newer build, or for this one to be signed again.",
        "Push it again through the proxy: that signs it with the key in use now.",
        "Sign images that must stay with `countersign sign REF --reason TEXT`, which uses the active key; `countersign "
        "keys images KEY --only` lists those that need it. A retired key never becomes active again.",
        check=(3, "signed with a key that is retired"),
    )
    KEY_COMPROMISED = _row(
        "key_compromised",
        "the key that signed it is compromised",
        "The image is signed with a key that was declared compromised.",
        "Somebody else may have made such signatures, so they prove nothing any more.",
        "Do not run the image, and report it if you have run it. Tell the contact.",
        "Rebuild it from sources you trust, then push it through the proxy.",
        "Do not sign again what you cannot trace: `countersign keys images KEY` lists what the key signed, and when.",
        pull_fix=f"do not run it; {_ASK}",
        push_fix="rebuild, then push",
        check=(1, "signed with a key that was declared compromised"),
    )
    CERTIFICATE_EXPIRED = _row(
        "certificate_expired",
        "the certificate it was signed with has expired",
        "The certificate this image was signed with has expired, and nothing proves that it was signed before.",
        "An expired certificate is no longer revoked when its key leaks, so signatures with it prove nothing.",
        "Ask the contact to have it signed again.",
        "Push it again through the proxy, or sign it with a current certificate.",
        "Signatures with a trusted timestamp outlive their certificate; ask signers to add one.",
        check=(5, "signed, but the certificate or the signature is no longer, or not yet, valid"),
    )
    CERTIFICATE_REVOKED = _row(
        "certificate_revoked",
        "the certificate it was signed with was revoked",
        "The authority that issued the certificate of the signer has taken it back.",
        "Others may have the signer's key, and can sign anything with it, under any date.",
        "Do not run the image. Tell the contact.",
        "Have it signed with a certificate that is valid, or push it through the proxy, which signs with its own key.",
        "Only where the authority says since when the key was in other hands (invalidityDate), and a timestamp proves "
        "that the image was signed before, does an older signature count. The lists are in `trust.NAME.crl`.",
        pull_fix=f"do not run it; {_ASK}",
        push_fix="sign it with another certificate",
        check=(2, "signed, but the signer's certificate was revoked"),
    )
    TOO_FEW_SIGNATURES = _row(
        "too_few_signatures",
        "it has too few signatures",
        "The image has good signatures, but fewer than the policy requires, counted by distinct keys.",
        "The policy requires several signers so that no single one can approve an image.",
        "Ask the contact which signer is missing.",
        "Have the other signers sign this digest. The same key twice counts once.",
        _FIND_OUT + " It names the keys that count and those that signed.",
        push_fix="have the other signers sign it",
    )
    NOT_VERIFIABLE = _row(
        "not_verifiable",
        "it could not be verified just now",
        "A source of signatures did not answer, most likely the registry.",
        '"No signature" and "could not look" are different results. Only the first is an answer.',
        "Try again in a few seconds. If it persists, tell the contact.",
        "Try again in a few seconds. The image need not change.",
        "See `countersign status` and `countersign doctor`: they name what does not answer and since when. If "
        "a bound was reached, the decision says how many signatures were not examined.",
        pull_fix=f"retry; if it stays, {_ASK}",
        push_fix="retry",
    )
    UNLISTED_BLOB = _row(
        "unlisted_blob",
        "no allowed image of this repository lists this blob",
        "The requested layer or config is not listed by any image that is allowed here.",
        "Serving layers by digest alone would let blocked images through piece by piece.",
        "Pull the image by its name: that shows which one is blocked and why.",
        "Push the manifest that lists it through the proxy.",
        "`blobs: open` in the policy serves every blob. Choose it only where pulls are not enforced.",
        pull_fix="pull the image by its name",
        push_fix="push the manifest that lists it first",
    )
    TAG_IMMUTABLE = _row(
        "tag_immutable",
        "this tag is immutable: it may not move or be deleted",
        "This tag exists, points to other content, and the policy says that it never moves.",
        "A release tag must give the same bytes on every pull.",
        "The existing image is not affected; pull it as before.",
        "Push under a new tag. Pushing the same content again is always accepted. To delete the tag, ask the contact.",
        "The patterns are in `push.immutable_tags`.",
        push_fix="push under a new tag",
    )
    PUSH_NOT_ALLOWED = _row(
        "push_not_allowed",
        "you are not on this repository's push list",
        "You may write to the registry, but you are not on the policy's list of who may push here.",
        "What is pushed here gets signed, so the list says who may have images signed.",
        "Nothing to do: pulling is not affected.",
        "Ask the contact to be added, or push from the pipeline that is on the list. A name counts only when it is "
        "proven: log in, rather than pushing anonymously.",
        "The list is `push.allow`. `countersign doctor` says whether names can be proven with this registry.",
        push_fix=_ASK,
    )
    AMBIGUOUS_MANIFEST = _row(
        "ambiguous_manifest",
        "its manifest can be read in two ways",
        "The manifest can be read in two ways: keys that appear twice, or fields that contradict each other.",
        "Two programs would see two different images, and only one of them would have been checked.",
        "Do not run the image. Tell the contact.",
        "Build it again with a current tool. If one of your own writes manifests, the error says what is ambiguous.",
        "No setting allows these.",
        pull_fix=f"do not run it; {_ASK}",
        push_fix="rebuild it with a current tool, then push",
    )
    NO_POLICY = _row(
        "no_policy",
        "no policy covers this repository",
        "No policy covers this repository, and what no policy covers is not served.",
        "A forgotten repository must not be an open door.",
        "Check the spelling of the name first. Then ask for a policy.",
        "Check the spelling of the name first: a repository that is new to the registry may be new to the policy.",
        'Add a policy whose `repositories` match it; `["**"]` matches all that have no better one.',
        push_fix=f"{_ASK} to add a policy for it",
    )
    NOT_JUDGED = _row(
        "not_judged",
        "this kind of manifest has no rule",
        "This kind of manifest has no rule: an old Docker schema 1, a media type that is not known "
        "here, or one that is named by another digest than its sha256.",
        "What cannot be read cannot be judged, and what cannot be judged is not served.",
        "Ask the contact for the image in a current format.",
        "Convert it: pull it with a current docker or skopeo and push it again as an OCI image. Name it by its sha256 "
        "digest, or by a tag.",
        "No setting allows these.",
        push_fix="convert it to an OCI image, named by tag or sha256, then push",
    )
    TOO_LARGE = _row(
        "too_large",
        "it is larger than what is inspected",
        "The manifest or a signature is larger than what is inspected here.",
        "What is not read to its end is not judged, and half an inspection would be worse than none.",
        "Ask the contact for an image with a smaller manifest.",
        "Make it smaller: put large data in layers, not in annotations.",
        "The bounds are in `limits`, each with its name.",
        push_fix="make it smaller, then push",
    )
    DENIED_DIGEST = _row(
        "denied_digest",
        "it was denied by an operator",
        "An operator denied this content, or everything in this repository, whatever its signatures say.",
        "It is known to be bad: this is how a recall reaches everybody at once.",
        "Do not run it, and report it if you have run it. Tell the contact.",
        "If only this content is denied, rebuild it without what it was recalled for. If the repository is denied, "
        "nothing pushed there is served: ask the contact.",
        "`countersign deny list` says who denied it, why and until when; "
        "`countersign deny remove ID --reason TEXT` takes it back.",
        pull_fix=f"do not run it; {_ASK}",
        push_fix=f"if it alone is denied, rebuild, then push; if its repository is, {_ASK}",
    )
    NOT_SIGNED = _row(
        "not_signed",
        "it could not be signed; the tag was not moved",
        "The push could not be signed, so the tag was not moved and nothing unsigned was acknowledged.",
        "An unsigned image would be blocked for everybody later, at a worse moment.",
        "Nothing to do: pulls are not affected, the tag still points to what it did.",
        "Your image is fine: push it again in some minutes. What was uploaded is kept, so it is quick.",
        "See `countersign status` for what is wrong with the token: its PIN, its module, or its load.",
        pull_fix=_LATER,
        push_fix=_LATER,
    )
    TAG_RESERVED = _row(
        "tag_reserved",
        "this tag is kept for lists of signatures",
        "An image, or other content that is not a list of signatures, was pushed under a tag for signatures: "
        "`sha256-<hex>.sig`, or `sha256-<hex>` which holds our list of referrers of that digest.",
        "Signatures of a digest are found by that name. Other content under it would remove them.",
        "Nothing to do: pulling is not affected.",
        "Push it under another tag. Signature lists are accepted: `cosign copy`, `crane cp -a` and `regctl image copy "
        "--digest-tags` copy them, and signatures that are in the registry already stay.",
        "Earlier content under a `.sig` name is in the journal (`tag.replaced`), with its digest.",
        push_fix="push it under another tag",
    )


def fix_for(reason: Reason | None, contact: str | None, host: str, *, pushing: bool = False) -> str:
    """Return the next step as a sentence part; without a contact it names the registry's operators."""
    row = (reason or Reason.NOT_VERIFIABLE).row
    text = row.push_fix if pushing else row.pull_fix
    return text.format(contact=contact or "the operators of this registry", host=host)
