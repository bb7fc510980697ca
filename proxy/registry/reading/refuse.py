"""Refusals without a decision over evidence: they too have an id, a page, a journal row and a readable text."""

from __future__ import annotations

import secrets
from collections.abc import Hashable
from contextlib import suppress

from proxy.journal.event import Event, EventKind
from proxy.oci.faults import Fault, Told, Unavailable
from proxy.oci.operation import PullManifest
from proxy.oci.reference import Digest, Reference, Repository, is_digest
from proxy.registry.ports_in_use import Ports
from proxy.registry.request import Request
from proxy.trust import explain
from proxy.trust.decision import Decision
from proxy.trust.question import NOTHING, Anonymous, Caller, Named, Question
from proxy.trust.reason import Reason, fix_for
from proxy.trust.requirement import Check, Outcome


async def refuse_manifest(
    op: PullManifest, reason: str | None, what: str, caller: Caller, request: Request, ports: Ports, told: str = ""
) -> Fault:
    """Return the Fault for a manifest that cannot be judged, after recording it."""
    known = reason if reason in set(Reason) else Reason.NOT_JUDGED
    return await refuse(
        EventKind.PULL_DENIED,
        op.repository,
        op.reference,
        Reason(known or Reason.NOT_JUDGED),
        what,
        caller,
        request,
        ports,
        told=told,
    )


async def refuse(
    kind: EventKind,
    repository: Repository,
    reference: Reference,
    reason: Reason,
    what: str,
    caller: Caller,
    request: Request,
    ports: Ports,
    *,
    pushing: bool = False,
    moved: bool = False,
    kept: str = "",
    told: str = "",
) -> Fault:
    """Record a refusal and return the Fault for the caller.

    `what` is for the record; the caller and the page get it too unless `told` is given. `kept` says why something is
    not deleted.
    """
    policies = ports.rules.current()
    policy = policies.for_(repository)
    inconclusive = reason is Reason.NOT_VERIFIABLE
    made = Decision(
        id=secrets.token_urlsafe(12),
        question=Question(repository, reference),
        digest=Digest(reference) if is_digest(reference) else NOTHING,
        media_type="",
        outcome=Outcome.INCONCLUSIVE if inconclusive else Outcome.FAILED,
        mode="enforce",
        reason=reason,
        checks=(
            Check(
                "push" if pushing else "readable",
                Outcome.INCONCLUSIVE if inconclusive else Outcome.FAILED,
                f"could not verify ({what})" if inconclusive else what,
                reason,
                f"could not verify ({told})" if told and inconclusive else told,
            ),
        ),
        signatures=(),
        policy_revision=policies.revision,
        key_revision=ports.keybook.ring().revision,
        at=ports.clock.now(),
        contact=policy.contact if policy else None,
        help_url=policy.help_url if policy else None,
    )
    decision = ports.cache.reuse_if_equal(made)
    event = ports.event(kind, caller, request, decision=decision, detail={"what": what})
    with suppress(Unavailable):  # a store that is down costs the row, not the refusal: that would become a 5xx (WIRE 6)
        await record_refusal(event, decision, caller, request, ports)
    page = explain.page_url(ports.url, decision.id)
    if pushing:
        fix = fix_for(reason, decision.contact, ports.hosts[0], pushing=True)
        said = f"it may not be deleted ({kept})" if kept else reason.row.what
        fix = fix_for(reason, decision.contact, ports.hosts[0]) if kept else fix
        text = explain.refusal(ports.name, said, explain.target(decision.question), fix, page)
        if reason is Reason.NOT_SIGNED:
            # A wrong setting needs a person, and so may the signing device; for all else another push is enough.
            fixes: dict[str, str] = {Told.DEVICE: fix, Told.IMMUTABLE: fix.partition(", or ")[2]}
            fix = fixes.get(told, "push again")
            text = explain.not_signed(ports.name, decision.question, told or Told.NOTHING, fix, page, moved=moved)
    else:
        text = explain.message(decision, ports.name, ports.url)
    return Fault(
        "DENIED",
        text,
        reason=reason,
        phrase=explain.phrase(ports.name, reason, page),
        headers={"Retry-After": "5"} if inconclusive or reason is Reason.NOT_SIGNED else {},
    )


STRANGERS = "strangers"  # all callers that were not admitted, as one holder; while upstream is silent, all callers


async def record_refusal(
    event: Event, decision: Decision | None, caller: Caller, request: Request, ports: Ports
) -> None:
    """Record a refusal and its decision; beyond `rows_each` an hour only count it. Raises Unavailable."""
    own = ports.cache.rows.own(_holder(event, caller, request, ports), event)
    if not own:
        event = event._replace(repository="", reference="", digest="", decision_id="", detail={})
    if decision is None:
        await ports.journal.counted(event)
    else:
        await ports.journal.decided(decision, event, keep=own)


def _holder(event: Event, caller: Caller, request: Request, ports: Ports) -> Hashable:
    if isinstance(caller, Named):
        return ("name", caller.name)
    return request.network if ports.rights.knows(event.repository, request.credential) else STRANGERS


def is_outage(silent: Unavailable) -> bool:
    """True when upstream gave no valid answer; failures of a store, a token or a budget are not outages."""
    return silent.told in (Told.REGISTRY, Told.HEADERS)


async def record_outage(silent: Unavailable, ports: Ports) -> None:
    """Count the outage: one journal row an hour for all requests. If the store is down too, only the row is lost."""
    with suppress(Unavailable):
        event = ports.event(EventKind.UPSTREAM_UNAVAILABLE, Anonymous(), detail={"what": silent.what})
        await ports.journal.counted(event)
