"""The requirement `signatures`: who must have signed. Refusals are values, not exceptions."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial

from proxy.oci.reference import is_digest
from proxy.trust.authority import Authority
from proxy.trust.evidence import CertifiedChain, Evidence, Verified, reason_for
from proxy.trust.exception import SIGNATURES
from proxy.trust.keys import VERIFYING, KeyRing, KeyState, Verifier
from proxy.trust.policy import Clause, Policy, PullRules
from proxy.trust.question import Question
from proxy.trust.reason import Reason
from proxy.trust.requirement import Basis, Check, DecisionContext, Outcome, Requirement
from proxy.trust.revocation import Listed, NotKnown, Revoked, revocation


def requirements(policy: Policy) -> tuple[Requirement, ...]:
    """Return the rows of this policy. One that lists none has signatures of nobody, which never pass."""
    pull = policy.pull
    if policy.beside and not pull.require:
        return policy.beside
    clauses = pull.require
    signatures = Requirement(
        SIGNATURES,
        partial(_checks, pull),
        pull.mode,
        pull.enforce_after,
        stamp=_stamp,
        binds_reference=partial(_binds_reference, clauses),
    )
    return (signatures, *policy.beside)


def _stamp(basis: Basis) -> Hashable:
    return basis._replace(overrides=0)  # denials and exceptions sign nothing


def _checks(pull: PullRules, question: Question, evidence: Evidence, at: DecisionContext) -> tuple[Check, ...]:
    if not pull.require:
        none = "the policy lists no clause, which allows nobody"
        return (Check("require", Outcome.FAILED, none, Reason.UNTRUSTED_KEY),)
    return tuple(_clause(clause, question, evidence, at, trust_ledger=pull.trust_ledger) for clause in pull.require)


def _clause(
    clause: Clause, question: Question, evidence: Evidence, at: DecisionContext, *, trust_ledger: bool
) -> Check:
    """Count distinct keys by SPKI: one key under two names, or signing twice, counts once."""
    verifiers = [v for name in clause.signed_by for v in at.ring.verifiers(name)]
    good: dict[str, Verified] = {}
    problems: list[Reason] = []
    for signature in evidence.verified:
        if has_expired(signature, at.now):
            problems.append(Reason.CERTIFICATE_EXPIRED)
            continue
        mine = [v for v in verifiers if v.fingerprint == signature.fingerprint]
        said = [_problem(signature, v, question, at.hosts, trust_ledger=trust_ledger) for v in mine]
        if None in said:  # one acceptable name of the key is enough
            good.setdefault(signature.fingerprint, signature)
        else:
            problems += [p for p in said if p is not None] or [Reason.UNTRUSTED_KEY]
    authorities = [a for a in at.ring.authorities if a.name in clause.signed_by]
    theirs = []
    for signature in evidence.verified if authorities else ():
        own = _of_ours(signature, question, at, trust_ledger=trust_ledger)
        if own is None:
            theirs.append(signature)
        else:
            problems.append(own)
    unseen: list[str] = []
    for signer, found in vouched_for(theirs, authorities, good, at.now):
        if isinstance(found, Verified):
            good[signer] = found
        elif isinstance(found, NotKnown):
            unseen.append(found.text)
        else:
            problems.append(found)
    names = " or ".join(clause.signed_by)
    title = f"signed by {names}" + (f" (at least {clause.at_least})" if clause.at_least > 1 else "")
    signers = len({at.ring.counted_as(signer) for signer in good})
    if signers >= max(clause.at_least, 1):
        count = f"{signers} key{'s'[: signers != 1]} signed this digest"
        bad = {v.fingerprint for v in verifiers if v.state is KeyState.COMPROMISED}
        if bad & set(good):
            count += "; our ledger has it from before the key was compromised"
        return Check(title, Outcome.PASSED, count)
    if evidence.silence or unseen:
        silent = [*(p.says() for p in evidence.silence), *((text, _REVOKED) for text in unseen)]
        what, told = (
            "could not verify (" + "; ".join(dict.fromkeys(texts)) + ")" for texts in zip(*silent, strict=True)
        )
        return Check(title, Outcome.INCONCLUSIVE, what, Reason.NOT_VERIFIABLE, told)
    if good:
        need = f"{signers} of {clause.at_least} signatures needed from {names}"
        return Check(title, Outcome.FAILED, need, Reason.TOO_FEW_SIGNATURES)
    counted = {r: reason_for(r, verifiers) for r in evidence.rejected}
    reasons = [*problems, *counted.values()]
    if not reasons:
        return Check(title, Outcome.FAILED, "no signature was found", Reason.UNSIGNED)
    worst = min(reasons, key=lambda reason: reason.row.severity)
    detail = next((r.detail for r, reason in counted.items() if reason is worst), "")
    return Check(title, Outcome.FAILED, _detail(worst, names, detail), worst)


def _of_ours(signature: Verified, question: Question, at: DecisionContext, *, trust_ledger: bool) -> Reason | None:
    """Return why our key may not vouch here, None for other keys: no authority overrides the key book."""
    profiles = dict.fromkeys(k.profile for k in at.ring.ours if k.fingerprint == signature.fingerprint)
    own = [v for name in profiles for v in at.ring.verifiers(name) if v.fingerprint == signature.fingerprint]
    said = [_problem(signature, v, question, at.hosts, trust_ledger=trust_ledger) for v in own]
    return next((problem for problem in said if problem is not None), None)


_REVOKED = "whether the signer's certificate is revoked is not known"


def _detail(reason: Reason, names: str, said: str) -> str:
    text = reason.row.says
    return f"{text} ({names})" if reason is Reason.UNTRUSTED_KEY else text + (f": {said}" if said else "")


def _problem(
    signature: Verified, verifier: Verifier, question: Question, hosts: Sequence[str], *, trust_ledger: bool
) -> Reason | None:
    if verifier.state is KeyState.COMPROMISED:
        if not (trust_ledger and _made_before(signature, verifier)):
            return Reason.KEY_COMPROMISED
    elif verifier.state not in VERIFYING:
        return Reason.KEY_RETIRED
    return None if _bound(signature.bound, verifier, question, hosts) else Reason.WRONG_IDENTITY


def _made_before(signature: Verified, verifier: Verifier) -> bool:
    """True when our own ledger dates the signature before the key was compromised: only we write there."""
    since, made = verifier.compromised_since, signature.recorded
    return since is not None and made is not None and made < since


def _bound(bound: str | None, verifier: Verifier, question: Question, hosts: Sequence[str]) -> bool:
    """True when this key may vouch for this question with the identity in the payload."""
    if verifier.identity == "any":
        return True
    repositories = {f"{host}/{question.repository}" for host in hosts}
    if bound is None:
        return False
    if verifier.identity == "repository":
        return bound in repositories or (
            bound.rpartition(":")[0] in repositories and "/" not in bound.rpartition(":")[2]
        )
    if is_digest(question.reference):
        return bound in repositories
    return bound in {f"{name}:{question.reference}" for name in repositories}


def _binds_reference(clauses: Sequence[Clause], ring: KeyRing) -> bool:
    names = {name for clause in clauses for name in clause.signed_by}
    return any(k.identity == "exact" and k.name in names for k in ring.others)


def has_expired(signature: Verified, now: datetime) -> bool:
    """True from the expiry that the signer put into the signature itself."""
    expires = signature.certified.expires if signature.certified else None
    return expires is not None and now >= expires


def vouched_for(
    signatures: Iterable[Verified], authorities: Collection[Authority], counted: Collection[str], now: datetime
) -> Iterator[tuple[str, Verified | Reason | NotKnown]]:
    """Yield each signature these authorities vouch for as (signer to count, signature), or why it does not count.

    An authority counts once, however many signers it certifies, and so do two authorities with a common CA; a key that
    counts by itself (`counted`, fingerprints) is not counted again. `NotKnown` is neither: its revocation could not be
    checked.
    """
    taken, issuers = set(counted), set[bytes]()
    for signature in signatures:
        certified = signature.certified
        names = certified.authorities if certified and not has_expired(signature, now) else ()
        judges = [a for a in authorities if a.name in names]
        if certified is None or not judges or signature.fingerprint in taken:
            continue
        said = [(judge, _objection(certified, judge, now)) for judge in judges]
        good = [(judge.fingerprint, _between(certified, judge)) for judge, objection in said if objection is None]
        free = next((each for each in good if each[0] not in taken and issuers.isdisjoint(each[1])), None)
        if free is not None:
            who, through = free
            taken |= {who, signature.fingerprint}
            issuers |= through
            yield who, signature
        elif not good:
            yield signature.fingerprint, min((why for _, why in said if why is not None), key=_weight)


def _between(certified: CertifiedChain, judge: Authority) -> frozenset[bytes]:
    """Return the certificates from the leaf's issuer up to the authority's: each could have issued the leaf."""
    at = next((number for number, der in enumerate(certified.chain) if der in judge.roots), 0)
    return frozenset(certified.chain[1 : at + 1] or certified.chain[:1])


def _objection(certified: CertifiedChain, judge: Authority, now: datetime) -> Reason | NotKnown | None:
    """Return why this authority does not count for the chain at this moment, or None."""
    first, last = certified.valid
    proven = next((p for p in certified.proven if p.authority == judge.name), None)
    was_in_time = proven is not None and first <= proven.earliest and proven.latest <= last
    if judge.crl:
        signed = proven.latest if proven is not None else None
        said = revocation(certified.listed.get(judge.name, _NOTHING), now, signed)
        if isinstance(said, Revoked):
            return Reason.CERTIFICATE_REVOKED
        if said is not None and not judge.allow_unlisted:
            return Reason.CERTIFICATE_EXPIRED if not (was_in_time or first <= now <= last) else said
    return None if was_in_time or first <= now <= last else Reason.CERTIFICATE_EXPIRED


_NOTHING = (Listed("its signer", why="nobody looked"),)


def _weight(objection: Reason | NotKnown) -> int:
    """Return the order in which to report these: certain and bad first."""
    if isinstance(objection, NotKnown):
        return 1
    return 0 if objection is Reason.CERTIFICATE_REVOKED else 2
