"""Small values to put into a store."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from proxy.journal.event import Event, EventKind
from proxy.oci.reference import Digest, Repository, Tag, digest_of
from proxy.trust.decision import Decision
from proxy.trust.evidence import Verified
from proxy.trust.fact import ManifestFact
from proxy.trust.ledger import Entry, SignatureKey, Stage
from proxy.trust.question import Question
from proxy.trust.reason import Reason
from proxy.trust.requirement import Check, Mode, Outcome
from tests.worlds.memory import NOON

APP = Repository("prod/app")
OTHER = Repository("prod/other")


def digest(of: str) -> Digest:
    """The digest of this text."""
    return digest_of(of.encode())


def signature_key(of: str = "image", bound: str = "reg.example/prod/app", repository: Repository = APP) -> SignatureKey:
    """The key of our signature of this image."""
    return SignatureKey(repository, digest(of), "f" * 64, "cosign-simple", bound)


def intended(key: SignatureKey | None = None, at: datetime = NOON) -> Entry:
    """An entry whose signature is still to be made."""
    return Entry(key or signature_key(), Stage.INTENDED, b"message \x00\xff", at, claims={"pusher": "ann"})


def signed(key: SignatureKey | None = None, at: datetime = NOON, signature: bytes = b"\x30\x00") -> Entry:
    """An entry with its signature."""
    return replace(intended(key, at), stage=Stage.SIGNED, signature=signature)


def manifest(name: str, *blobs: str, children: tuple[str, ...] = (), repository: Repository = APP) -> ManifestFact:
    """A manifest of this name that lists these blobs and children."""
    return ManifestFact(
        repository,
        digest(name),
        "application/vnd.oci.image.manifest.v1+json",
        512,
        tuple(digest(child) for child in children),
        tuple(digest(blob) for blob in blobs),
    )


def decision(name: str, reason: Reason | None = None, mode: Mode = "enforce", tag: str = "latest") -> Decision:
    """A decision about the latest image of APP; without a reason it allows."""
    outcome = Outcome.FAILED if reason else Outcome.PASSED
    return Decision(
        id=name,
        question=Question(APP, Tag(tag)),
        digest=digest("image"),
        media_type="application/vnd.oci.image.manifest.v1+json",
        outcome=outcome,
        mode=mode,
        reason=reason,
        checks=(Check("signed by release", outcome, "umlauts and 🔏 too", reason),),
        signatures=(Verified("f" * 64, "cosign-simple", "reg.example/prod/app", {"pusher": "ann"}),),
        policy_revision="p1",
        key_revision="k1",
        at=NOON,
        contact="#platform-help",
    )


def happened(kind: EventKind, decided: Decision, at: datetime = NOON, who: str = "ann") -> Event:
    """What the flows would say of this decision."""
    return Event(
        at=at,
        kind=kind,
        who=who,
        how="token",
        repository=decided.question.repository,
        reference=decided.question.reference,
        digest=decided.digest,
        reason=str(decided.reason or ""),
        decision_id=decided.id,
        request_id="r1",
        policy_revision=decided.policy_revision,
        key_revision=decided.key_revision,
    )
