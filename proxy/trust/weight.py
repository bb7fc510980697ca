"""The approximate memory use, in bytes, of cached objects: measured once, rounded up."""

from __future__ import annotations

from proxy.trust.decision import Decision
from proxy.trust.fact import ManifestFact
from proxy.trust.question import Resolved
from proxy.trust.requirement import RequirementOutcome

_DESCRIPTOR, _ANNOTATION, _DIGEST, _SIGNATURE, _DECISION, _OUTCOME = 500, 100, 130, 1_500, 5_000, 2_000


def of_manifest(held: Resolved) -> int:
    """Return the bytes of a manifest and its parsed form: up to nine times its own size."""
    m = held.manifest
    descriptors = [*m.layers, *m.children, *m.entries, *(each for each in (m.config, m.subject) if each is not None)]
    annotations = len(m.annotations) + sum(len(each.annotations) for each in descriptors)
    return len(held.body) + 512 + _DESCRIPTOR * len(descriptors) + _ANNOTATION * annotations


def of_decision(decision: Decision) -> int:
    """Return the bytes of a decision with its checks and signatures."""
    return _DECISION + _SIGNATURE * len(decision.signatures)


def of_outcome(outcome: RequirementOutcome) -> int:
    """Return the bytes of a requirement's outcome with its key, checks and signatures."""
    return _OUTCOME + _SIGNATURE * len(outcome.signatures)


def of_fact(fact: ManifestFact) -> int:
    """Return the bytes of a manifest fact."""
    return 1_000 + _DIGEST * (len(fact.children) + len(fact.blobs))
