"""The next step for each reason: one row each, used by error texts, pages and docs (rule 10: say it once)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.trust.reason import Reason


@dataclass(frozen=True)
class Fix:
    """`what` happened in a few words, and the next step for the puller and the pusher."""

    what: str
    puller: str
    pusher: str


_ASK = "ask {contact}"
_PUSH_AGAIN = "push it again through {host}"

FIXES: Mapping[Reason, Fix] = {
    Reason.UNSIGNED: Fix("it is not signed", _ASK, _PUSH_AGAIN),
    Reason.UNTRUSTED_KEY: Fix("no key this repository trusts signed it", _ASK, _PUSH_AGAIN),
    Reason.BAD_SIGNATURE: Fix("its signature does not verify", f"do not run it; {_ASK}", _PUSH_AGAIN),
    Reason.OTHER_ALGORITHM: Fix(
        "a trusted key signed it, with an algorithm that does not count here",
        _ASK,
        f"sign it with SHA-256, or {_PUSH_AGAIN}",
    ),
    Reason.UNREAD_PAYLOAD: Fix(
        "a trusted key signed it, but not as an image signature that is read here",
        _ASK,
        f"sign it with cosign, or {_PUSH_AGAIN}",
    ),
    Reason.WRONG_SUBJECT: Fix("its signature is about another image", f"do not run it; {_ASK}", _PUSH_AGAIN),
    Reason.WRONG_IDENTITY: Fix("its signature is for another repository or tag", _ASK, _PUSH_AGAIN),
    Reason.KEY_RETIRED: Fix("the key that signed it is retired", _ASK, _PUSH_AGAIN),
    Reason.KEY_COMPROMISED: Fix(
        "the key that signed it is compromised", f"do not run it; {_ASK}", "rebuild, then push"
    ),
    Reason.CERTIFICATE_EXPIRED: Fix("the certificate it was signed with has expired", _ASK, _PUSH_AGAIN),
    Reason.CERTIFICATE_REVOKED: Fix(
        "the certificate it was signed with was revoked", f"do not run it; {_ASK}", "sign it with another certificate"
    ),
    Reason.TOO_FEW_SIGNATURES: Fix("it has too few signatures", _ASK, "have the other signers sign it"),
    Reason.NOT_VERIFIABLE: Fix("it could not be verified just now", f"retry; if it stays, {_ASK}", "retry"),
    Reason.UNLISTED_BLOB: Fix(
        "no allowed image of this repository lists this blob",
        "pull the image by its name",
        "push the manifest that lists it first",
    ),
    Reason.TAG_IMMUTABLE: Fix("this tag exists and may not move", _ASK, f"push under a new tag; to delete it, {_ASK}"),
    Reason.PUSH_NOT_ALLOWED: Fix("you are not on this repository's push list", _ASK, _ASK),
    Reason.AMBIGUOUS_MANIFEST: Fix(
        "its manifest can be read in two ways", f"do not run it; {_ASK}", "rebuild it with a current tool, then push"
    ),
    Reason.NO_POLICY: Fix("no policy covers this repository", _ASK, f"{_ASK} to add a policy for it"),
    Reason.NOT_JUDGED: Fix(
        "this kind of manifest has no rule", _ASK, "convert it to an OCI image, named by tag or sha256, then push"
    ),
    Reason.TOO_LARGE: Fix("it is larger than what is inspected", _ASK, "make it smaller, then push"),
    Reason.DENIED_DIGEST: Fix(
        "it was denied by an operator",
        f"do not run it; {_ASK}",
        f"if it alone is denied, rebuild, then push; if its repository is, {_ASK}",
    ),
    Reason.NOT_SIGNED: Fix("it could not be signed; the tag was not moved", _ASK, "push again"),
    Reason.TAG_RESERVED: Fix("this tag is kept for lists of signatures", _ASK, "push it under another tag"),
}


def fix_for(reason: Reason | None, contact: str | None, host: str, *, pushing: bool = False) -> str:
    """Return the next step as a sentence part; without a contact it names the registry's operators."""
    row = FIXES[reason or Reason.NOT_VERIFIABLE]
    text = row.pusher if pushing else row.puller
    return text.format(contact=contact or "the operators of this registry", host=host)
