"""The meaning of each reason and the next step: one page per reason, for people who were just blocked.

The short phrases used in every error text are in trust/fixes.py; this table explains them in full.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.trust.reason import Reason


@dataclass(frozen=True)
class Lesson:
    """One page: what happened, why it matters, and the next step for those who pull, push or own the policy."""

    happened: str
    matters: str
    puller: str
    pusher: str
    owner: str


_FIND_OUT = "Run `countersign why DECISION` with the id from the error to see every check."

LESSONS: Mapping[Reason, Lesson] = {
    Reason.UNSIGNED: Lesson(
        "The registry was searched in every place where signatures live, and there is none for this image.",
        "Nobody vouches for it: it may have been pushed around the proxy, or before signing began here.",
        "Do not copy it from elsewhere to get around this. Send the link from the error to the contact it names.",
        "Push it again through the proxy: that signs it. Nothing has to be rebuilt, and layers are not sent again.",
        "Sign what is already there with `countersign sign REPO:TAG --reason TEXT`. If whole repositories are "
        "unsigned, set `mode: warn` for them until they are done, and read `countersign report would-block`.",
    ),
    Reason.UNTRUSTED_KEY: Lesson(
        "The image is signed, but by no key that the policy of this repository names.",
        "A signature says who vouches. Whoever signed this is not among those who may vouch here.",
        "Ask the contact whether the image is in the right repository.",
        "Push it through the proxy, which signs with the key this repository asks for.",
        "If the signer should count, add the public key under `trust` and its name to `signed_by`. " + _FIND_OUT,
    ),
    Reason.BAD_SIGNATURE: Lesson(
        "A signature is attached to this image, but it does not verify: it was changed, cut short or made wrongly.",
        "This is what tampering looks like. It is also what a broken signing tool looks like.",
        "Do not run the image. Tell the contact.",
        "Push it again through the proxy. If you sign with a tool of your own, check its version and its key.",
        "Look at the signatures with `cosign tree`. A bad signature never hides a good one: there is no good one.",
    ),
    Reason.OTHER_ALGORITHM: Lesson(
        "A key that this repository trusts did sign this image, with an algorithm that does not count here: RSA-PSS, "
        "another hash than SHA-256 (for P-384, SHA-384 counts too), or r||s in place of DER.",
        "Nothing is wrong with the signature. What counts follows from the key, so that no signature picks how it is "
        "looked at, and is what every version of cosign can verify.",
        "Ask the contact; the image itself is not under suspicion.",
        "Push it through the proxy, or sign it with SHA-256 (ECDSA in DER, RSA as PKCS#1 v1.5).",
        "Cloud KMS: for RSA take RSA_SIGN_PKCS1_*_SHA256 or RSASSA_PKCS1_V1_5_SHA_256, for P-384 the usual SHA-384. "
        + _FIND_OUT,
    ),
    Reason.UNREAD_PAYLOAD: Lesson(
        "A key that this repository trusts signed a text about this image, but not one that is read as an image "
        "signature here: that of another tool, such as Tekton Chains, or an attestation.",
        "Nothing is wrong with the signature. What a tool means by its own kind of text is not guessed here, and a "
        "vulnerability report signed by the release key is no release.",
        "Ask the contact; the image itself is not under suspicion.",
        "Push it through the proxy, or sign it with `cosign sign`.",
        "Have the pipeline push through the proxy, or add a `cosign sign` step with a key of `trust`. " + _FIND_OUT,
    ),
    Reason.WRONG_SUBJECT: Lesson(
        "A signature is attached to this image, but what it signs is the digest of another image.",
        "Moving a good signature to other content is the simplest forgery there is.",
        "Do not run the image. Tell the contact.",
        "Push it again through the proxy. Scripts that copy signatures must copy the image with them, by digest.",
        "Find out who attached it: the journal has every push that went through the proxy.",
    ),
    Reason.WRONG_IDENTITY: Lesson(
        "The image is signed, but for another repository or another tag.",
        "An image approved for one place is not approved for all: a test build must not become a release by a copy.",
        "Ask the contact for the name under which the image is meant to be pulled.",
        "Push or copy it through the proxy under the name that is to be used: that signs it for this name.",
        "If signatures by this key should count under any name, say `identity: any` (or `repository`) for it.",
    ),
    Reason.KEY_RETIRED: Lesson(
        "The image is signed with a key of ours that has been retired.",
        "Old keys stop counting so that what they protected can be forgotten with them.",
        "Ask the contact for a newer build, or for this one to be signed again.",
        "Push it again through the proxy: that signs it with the key in use now.",
        "Sign what must stay with `countersign sign REF --reason TEXT`, which uses the key that signs now. No "
        "retired key comes back.",
    ),
    Reason.KEY_COMPROMISED: Lesson(
        "The image is signed with a key that was declared compromised.",
        "Somebody else may have been able to make such signatures, so they say nothing any more.",
        "Do not run the image, and say so if you have been running it. Tell the contact.",
        "Rebuild it from sources you trust, then push it through the proxy.",
        "Do not sign again what you cannot trace. The journal lists what this key signed and when.",
    ),
    Reason.CERTIFICATE_EXPIRED: Lesson(
        "The certificate this image was signed with has expired, and nothing proves that it was signed before.",
        "After its end a certificate is no longer watched over, so signatures with it cannot be dated.",
        "Ask the contact for it to be signed again.",
        "Push it again through the proxy, or sign it with a current certificate.",
        "Signatures with a trusted timestamp outlive their certificate; ask signers to add one.",
    ),
    Reason.CERTIFICATE_REVOKED: Lesson(
        "The authority that issued the certificate of the signer has taken it back.",
        "The signer's key may be in other hands: who has it signs anything, under any date.",
        "Do not run the image. Tell the contact.",
        "Have it signed with a certificate that is valid, or push it through the proxy, which signs with its own key.",
        "Only where the authority says since when the key was in other hands (invalidityDate), and a timestamp proves "
        "that the image was signed before, does an older signature count. The lists are in `trust.NAME.crl`.",
    ),
    Reason.TOO_FEW_SIGNATURES: Lesson(
        "The image has good signatures, but fewer than the policy asks for, counted by distinct keys.",
        "More than one signer was asked for so that no single one can let an image through.",
        "Ask the contact which signer is missing.",
        "Have the other signers sign this digest. The same key twice counts once.",
        _FIND_OUT + " It names the keys that count and those that signed.",
    ),
    Reason.NOT_VERIFIABLE: Lesson(
        "Something that had to be looked at did not answer: the registry's signatures, most likely.",
        "Not finding a signature and not being able to look are different things. Only the first is an answer.",
        "Try again in a few seconds. If it stays, tell the contact.",
        "Try again in a few seconds. Nothing about the image has to change.",
        "See `countersign status` and `countersign doctor`: they name what does not answer and since when. If it is "
        "a bound that was reached, the decision says how many signatures were not examined.",
    ),
    Reason.UNLISTED_BLOB: Lesson(
        "A layer or a config was asked for that no image allowed here lists.",
        "Serving layers by digest alone would let blocked images through piece by piece.",
        "Pull the image by its name: that shows which one is blocked and why.",
        "Push the manifest that lists it through the proxy.",
        "`blobs: open` in the policy serves every blob. Choose it only where pulls are not enforced.",
    ),
    Reason.TAG_IMMUTABLE: Lesson(
        "This tag exists, points to other content, and the policy says that it never moves.",
        "Who pulls a release tag twice must get the same bytes twice.",
        "Nothing is wrong with the image that is there; pull it as before.",
        "Push under a new tag. Pushing the very same content again is always accepted.",
        "The patterns are in `push.immutable_tags`.",
    ),
    Reason.PUSH_NOT_ALLOWED: Lesson(
        "You may write to the registry, but the policy's list of who may push here does not have you on it.",
        "What is pushed here gets signed, so the list of pushers is a list of who may have things signed.",
        "Nothing to do: pulling is not affected.",
        "Ask the contact to be added, or push from the pipeline that is on the list. A name counts only when it is "
        "proven: log in, rather than pushing anonymously.",
        "The list is `push.allow`. `countersign doctor` says whether names can be proven with this registry.",
    ),
    Reason.AMBIGUOUS_MANIFEST: Lesson(
        "The manifest can be read in two ways: keys that appear twice, or fields that contradict each other.",
        "Two programs would see two different images, and only one of them would have been checked.",
        "Do not run the image. Tell the contact.",
        "Build it again with a current tool. If one of your own writes manifests, the error says what is ambiguous.",
        "There is no setting that lets these through.",
    ),
    Reason.NO_POLICY: Lesson(
        "No policy covers this repository, and what no policy covers is not served.",
        "A forgotten repository must not be an open door.",
        "Check the spelling of the name first. Then ask for a policy.",
        "Check the spelling of the name first: a repository that is new to the registry may be new to the policy.",
        'Add a policy whose `repositories` match it; `["**"]` matches all that have no better one.',
    ),
    Reason.NOT_JUDGED: Lesson(
        "This kind of manifest has no rule: an old Docker schema 1, a media type that is not known "
        "here, or one that is named by another digest than its sha256.",
        "What cannot be read cannot be judged, and what cannot be judged is not served.",
        "Ask the contact for the image in a current format.",
        "Convert it: pull it with a current docker or skopeo and push it again as an OCI image. Name it by its sha256 "
        "digest, or by a tag.",
        "There is no setting that lets these through.",
    ),
    Reason.TOO_LARGE: Lesson(
        "The manifest or a signature is larger than what is inspected here.",
        "What is not read to its end is not judged, and half an inspection would be worse than none.",
        "Ask the contact for an image with a smaller manifest.",
        "Make it smaller: put large data in layers, not in annotations.",
        "The bounds are in `limits`, each with its name.",
    ),
    Reason.DENIED_DIGEST: Lesson(
        "An operator denied this content, or everything in this repository, whatever its signatures say.",
        "It is known to be bad: this is how a recall reaches everybody at once.",
        "Do not run it, and say so if you have been running it. Tell the contact.",
        "Where this content alone is denied, build it anew without what it was recalled for. Where the repository is, "
        "nothing that is pushed there is served: ask the contact.",
        "`countersign deny list` says who denied it, why and until when; "
        "`countersign deny remove ID --reason TEXT` takes it back.",
    ),
    Reason.NOT_SIGNED: Lesson(
        "The push could not be signed, so the tag was not moved and nothing unsigned was acknowledged.",
        "A push that comes out unsigned would be blocked for everybody later, at a worse moment.",
        "Nothing to do: pulls are not affected, the tag still points to what it did.",
        "Push again. What was uploaded is kept, so it is quick.",
        "See `countersign status` for what is wrong with the token: its PIN, its module, or its load.",
    ),
    Reason.TAG_RESERVED: Lesson(
        "An image, or something else that is no list of signatures, was pushed under a tag that holds signatures: "
        "`sha256-<hex>.sig`, or `sha256-<hex>` where our list of what refers to that digest lies.",
        "Signatures of a digest are found by that name. Whoever could put something else there could take them away.",
        "Nothing to do: pulling is not affected.",
        "Push it under another tag. Lists of signatures are taken: `cosign copy`, `crane cp -a` and `regctl image copy "
        "--digest-tags` bring them, and signatures that are in the registry already stay.",
        "What somebody kept under a `.sig` name before is in the journal (`tag.replaced`), with its digest.",
    ),
}
