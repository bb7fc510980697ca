"""A decision as text: error message, reason phrase, page, journal row and `countersign why`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from proxy.oci.faults import Told, plain, visible
from proxy.oci.reference import is_digest, parse_digest, parse_reference, parse_repository
from proxy.trust.decision import Decision
from proxy.trust.evidence import CertifiedChain, Proven, Verified
from proxy.trust.exception import ExceptionGrant
from proxy.trust.keys import KeyState
from proxy.trust.question import NOTHING, Question
from proxy.trust.reason import Reason, fix_for
from proxy.trust.requirement import Check, Outcome, RequirementOutcome

MESSAGE_LENGTH = 300  # most clients show only errors[0].message (WIRE 6)
HEAD_LENGTH = 60  # reserved for the head (who blocked what), however long the rest is
NAME_LENGTH = 120
FIX_LENGTH = 100
PHRASE_LENGTH = 120


def target(question: Question) -> str:
    """Return `repo:tag` or `repo@sha256:<12 digits>...` for people; `repo` if the whole repository is meant."""
    if question.reference == NOTHING:
        return question.repository
    if is_digest(question.reference):
        return f"{question.repository}@{question.reference[:19]}..."
    return f"{question.repository}:{question.reference}"


def page_url(url: str, decision_id: str) -> str:
    """Return the URL of the page that explains this decision."""
    return f"{url}/-/d/{decision_id}"


def refusal(name: str, why: str, what: str, fix: str, url: str) -> str:
    """Return the one line for a blocked caller; text is cut from the middle if too long, never from the URL."""
    return _line(f"blocked by {name} (not a login problem): {plain(what, NAME_LENGTH)}: {why}", fix, url)


def _line(head: str, fix: str, page: str) -> str:
    tail = f"; {plain(fix, FIX_LENGTH)} - {page}"
    return plain(head, max(MESSAGE_LENGTH - len(tail), HEAD_LENGTH)) + plain(tail, MESSAGE_LENGTH - HEAD_LENGTH)


def not_signed(name: str, question: Question, told: str, fix: str, page: str, *, moved: bool = False) -> str:
    """Return the one line for a pusher when signing failed, and what is `told` of why.

    `moved`: the tag already pointed at the image once.
    """
    who = f"blocked by {name} (not a login problem): {plain(target(question), NAME_LENGTH)}"
    if told == Told.DEVICE and not moved:
        what = "the signing device is unavailable; your image is fine, nothing was changed"
        return _line(f"{who}: {what}", fix, page)
    became = "the tag has moved, and lacks the signature that names it" if moved else "the tag was not moved"
    tail = f"); {became}; {plain(fix, FIX_LENGTH)} - {page}"
    return plain(f"{who} was not signed ({told}", MESSAGE_LENGTH - len(tail)) + tail


def message(decision: Decision, name: str, url: str) -> str:
    """Return errors[0].message for a denied pull: who, what, why, the fix, the page."""
    reason = decision.reason or Reason.NOT_VERIFIABLE
    host = url.partition("://")[2]
    fix = fix_for(reason, decision.contact, host)
    if decision.outcome is Outcome.INCONCLUSIVE:
        checks = for_callers(decision).checks
        why = next((c.detail for c in checks if c.outcome is Outcome.INCONCLUSIVE), "could not verify")
        head = f"blocked by {name} (not a login problem): {plain(target(decision.question), NAME_LENGTH)}: {why}"
        return _line(head, fix, page_url(url, decision.id))
    return refusal(name, reason.row.what, target(decision.question), fix, page_url(url, decision.id))


def for_callers(decision: Decision) -> Decision:
    """Return the decision for callers: failures to look are told in our own fixed words."""
    parts = tuple(replace(part, checks=_told(part.checks)) for part in decision.requirements)
    return replace(decision, checks=_told(decision.checks), requirements=parts)


def _told(checks: Iterable[Check]) -> tuple[Check, ...]:
    return tuple(
        replace(c, detail=c.told or f"could not verify ({Told.NOTHING})", told="")
        if c.told or c.outcome is Outcome.INCONCLUSIVE
        else c
        for c in checks
    )


def phrase(name: str, code: str, url: str) -> str:
    """Return the reason phrase of the status line: the only text that containerd and kubelet print."""
    return plain(f"blocked by {name}: {code} - {url}", PHRASE_LENGTH)


def warning(decision: Decision, name: str, url: str) -> str:
    """Return the text of the Warning header when policy only warns, or an exception allows the pull."""
    why = (decision.reason or Reason.NOT_VERIFIABLE).row.what
    let = f"would be blocked: {why}"
    if decision.granted is not None:
        let = f"is let through by {granted(decision.granted)}; without it, it is blocked: {why}"
    return plain(f"{name}: {target(decision.question)} {let} - {page_url(url, decision.id)}", 1000)


def granted(by: ExceptionGrant) -> str:
    """Return which exception allows it, until when and why."""
    offline = " made on the host" if by.offline else ""
    return f"exception {by.id}{offline} until {by.until:%Y-%m-%dT%H:%M:%SZ} ({by.reason})"


_REFUSED_UNREAD = {"push", "readable"}  # checks that no policy was applied to


def text(decision: Decision, name: str, url: str) -> str:
    """Return the full explanation for a terminal: criteria first, then each check, then the verdict and the fix."""
    mark = {Outcome.PASSED: "ok", Outcome.FAILED: "NO", Outcome.INCONCLUSIVE: "??"}
    host = url.partition("://")[2]
    judged = decision.allowed or not {c.name for c in decision.checks} & _REFUSED_UNREAD
    lines = [
        f"{visible(decision.question.repository, 300)} {visible(decision.question.reference, 200)}",
        f"  digest    {'not known' if decision.digest == NOTHING else decision.digest}",
        f"  criteria  {'; '.join(visible(c.name, 120) for c in decision.checks) or 'none (allows nobody)'}",
        *([f"  mode      {decision.mode}"] if judged else []),
        *(f"  requires  [{mark[r.outcome]}] {r.name}, in mode {r.mode}" for r in decision.requirements),
        "",
        *(f"  [{mark[c.outcome]}] {visible(c.name, 120)}: {visible(c.detail, 300)}" for c in decision.checks),
        *(f"       signature {s.format} by key {s.fingerprint[:12]}{_said(s)}" for s in decision.signatures),
        "",
        f"  verdict   {verdict(decision, name)}",
    ]
    if decision.outcome is not Outcome.PASSED:
        lines.append(f"  fix       {visible(fix_for(decision.reason, decision.contact, host), 300)}")
        lines.append(f"  learn     {url}/-/help/{decision.reason}")
    if decision.help_url:
        lines.append(f"  help      {visible(decision.help_url, 200)}")
    lines.append(f"  decision  {decision.id} at {decision.at:%Y-%m-%dT%H:%M:%SZ}")
    return "\n".join(lines) + "\n"


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _said(signature: Verified) -> str:
    parts = [f"for {signature.bound}" if signature.bound else "", signature.signed_later]
    parts += [f"{name}={value}" for name, value in signature.told_claims.items()]
    if signature.recorded:
        parts.append(f"in our ledger since {signature.recorded:%Y-%m-%dT%H:%M:%SZ}")
    said = ", ".join(visible(p, 200) for p in parts if p)
    state = "" if signature.state is None else f", which is {signature.state}"
    return f"{state} ({said})" if said else state


def verdict(decision: Decision, name: str) -> str:
    """Return the verdict in one line."""
    if decision.outcome is Outcome.PASSED:
        return "allowed"
    reason = (decision.reason or Reason.NOT_VERIFIABLE).row.what
    if decision.granted is not None:
        return f"would be blocked ({decision.reason}: {reason}), but is let through by {granted(decision.granted)}"
    if decision.allowed:
        return f"would be blocked ({decision.reason}: {reason}), but the policy is in mode {decision.mode}"
    return f"blocked by {name}: {decision.reason}: {reason}"


def as_json(decision: Decision) -> dict[str, Any]:
    """Return the decision as JSON values; `from_json` gives the same decision back."""
    return {
        "id": decision.id,
        "repository": decision.question.repository,
        "reference": decision.question.reference,
        "digest": decision.digest,
        "media_type": decision.media_type,
        "outcome": decision.outcome.value,
        "allowed": decision.allowed,
        "mode": decision.mode,
        "reason": decision.reason.value if decision.reason else None,
        "checks": [_check_as_json(c) for c in decision.checks],
        **({"requirements": [_part_as_json(r) for r in decision.requirements]} if decision.requirements else {}),
        "signatures": [
            {
                "fingerprint": s.fingerprint,
                "format": s.format,
                "bound": s.bound,
                "claims": dict(s.claims),
                "recorded": s.recorded.isoformat() if s.recorded else None,
                **({"state": s.state.value} if s.state else {}),
                **({"certified": certified_as_json(s.certified)} if s.certified else {}),
            }
            for s in decision.signatures
        ],
        "policy_revision": decision.policy_revision,
        "key_revision": decision.key_revision,
        "at": decision.at.isoformat(),
        "contact": decision.contact,
        "help_url": decision.help_url,
        "binds_reference": decision.binds_reference,
        "exception": None if decision.granted is None else _granted_as_json(decision.granted),
    }


def _check_as_json(check: Check) -> dict[str, Any]:
    return {
        "name": check.name,
        "outcome": check.outcome.value,
        "detail": check.detail,
        "reason": check.reason.value if check.reason else None,
        **({"told": check.told} if check.told else {}),
    }


def _check_from_json(data: Mapping[str, Any]) -> Check:
    reason = Reason(data["reason"]) if data["reason"] else None
    return Check(data["name"], Outcome(data["outcome"]), data["detail"], reason, data.get("told", ""))


def _part_as_json(part: RequirementOutcome) -> dict[str, Any]:
    return {
        "name": part.name,
        "mode": part.mode,
        "outcome": part.outcome.value,
        "reason": part.reason.value if part.reason else None,
        "checks": [_check_as_json(check) for check in part.checks],
    }


def _part_from_json(data: Mapping[str, Any]) -> RequirementOutcome:
    reason = Reason(data["reason"]) if data["reason"] else None
    checks = tuple(_check_from_json(check) for check in data["checks"])
    return RequirementOutcome(data["name"], data["mode"], Outcome(data["outcome"]), reason, checks)


def _granted_as_json(by: ExceptionGrant) -> dict[str, Any]:
    return {"id": by.id, "until": by.until.isoformat(), "reason": by.reason, "offline": by.offline}


def _granted_from_json(data: Mapping[str, Any]) -> ExceptionGrant:
    return ExceptionGrant(data["id"], datetime.fromisoformat(data["until"]), data["reason"], data["offline"])


def from_json(data: Mapping[str, Any]) -> Decision:
    """Return the decision that `as_json` wrote. Raises KeyError, ValueError or Fault on anything else."""
    return Decision(
        id=data["id"],
        question=Question(parse_repository(data["repository"]), parse_reference(data["reference"])),
        digest=parse_digest(data["digest"]),
        media_type=data["media_type"],
        outcome=Outcome(data["outcome"]),
        mode=data["mode"],
        reason=Reason(data["reason"]) if data["reason"] else None,
        checks=tuple(_check_from_json(check) for check in data["checks"]),
        signatures=tuple(
            Verified(
                s["fingerprint"],
                s["format"],
                s["bound"],
                dict(s["claims"]),
                _moment(s.get("recorded")),
                certified_from_json(s.get("certified")),
                KeyState(s["state"]) if s.get("state") else None,
            )
            for s in data["signatures"]
        ),
        policy_revision=data["policy_revision"],
        key_revision=data["key_revision"],
        at=datetime.fromisoformat(data["at"]),
        contact=data["contact"],
        help_url=data["help_url"],
        binds_reference=data["binds_reference"],
        granted=_granted_from_json(data["exception"]) if data.get("exception") else None,
        requirements=tuple(_part_from_json(part) for part in data.get("requirements", ())),
    )


def certified_as_json(certified: CertifiedChain) -> dict[str, Any]:
    """Return the part of the certificates stored with a decision; `certified_from_json` reverses this."""
    return {
        "authorities": list(certified.authorities),
        "valid": [at.isoformat() for at in certified.valid],
        "signed_at": certified.signed_at.isoformat(),
        "expires": certified.expires.isoformat() if certified.expires else None,
        "proven": [[p.authority, p.earliest.isoformat(), p.latest.isoformat()] for p in certified.proven],
    }


def certified_from_json(data: Mapping[str, Any] | None) -> CertifiedChain | None:
    """Return the chain that `certified_as_json` wrote. Raises KeyError or ValueError on anything else."""
    if data is None:
        return None
    first, last = map(datetime.fromisoformat, data["valid"])
    expires = datetime.fromisoformat(data["expires"]) if data["expires"] else None
    signed_at = datetime.fromisoformat(data["signed_at"])
    proven = tuple(Proven(who, *map(datetime.fromisoformat, moments)) for who, *moments in data.get("proven", ()))
    return CertifiedChain(tuple(data["authorities"]), (), (first, last), signed_at, expires, proven=proven)
