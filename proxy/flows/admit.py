"""May this caller push this, here, now? Asked before anything is written."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.flows.asked import Answer, Asked
from proxy.flows.attach import layer_of
from proxy.flows.house import House
from proxy.flows.refuse import refuse
from proxy.flows.resolve import relayed_error
from proxy.flows.sign import SIMPLE
from proxy.flows.write import exists
from proxy.formats import carrier
from proxy.oci.faults import Unavailable
from proxy.oci.manifest import Manifest
from proxy.oci.operation import CheckApi, PushManifest
from proxy.oci.reference import Repository, Tag, fallback_tag, signature_tag, subject_of_tag
from proxy.trust.event import Kind
from proxy.trust.ledger import Stage
from proxy.trust.pattern import glob
from proxy.trust.permit import may_push_by_policy
from proxy.trust.policy import Policy
from proxy.trust.question import Caller, Resolved
from proxy.trust.reason import Reason


async def admit(
    op: PushManifest, subject: Resolved, tags: Sequence[Tag], asked: Asked, house: House
) -> tuple[Policy, Caller] | Answer:
    """Return the policy and the caller of an admitted push, or upstream's demand to log in. Raises Fault."""
    caller = await house.rights.caller(op.repository, asked.credential)
    policy = house.rules.current().for_(op.repository)
    reason, what = Reason.NO_POLICY, f"no policy matches repository {op.repository}"
    if policy is not None:
        if may_push_by_policy(caller, policy):
            moved = await _moved(op.repository, policy, tags, subject, asked, house)
            if moved is None:
                return policy, caller
            reason, what = Reason.TAG_IMMUTABLE, f"tag {moved} exists and the policy makes it immutable"
        else:
            reason, what = Reason.PUSH_NOT_ALLOWED, f"push.allow lists {', '.join(policy.push.allow) or 'nobody'}"
    if asked.credential.authorization is None:  # who has not said who they are is first asked to
        reply = await house.registry.perform(CheckApi(), asked.credential)
        if reply.status == 401:
            return await relayed_error(reply)
        await reply.close()
    raise await refuse(Kind.PUSH_DENIED, op.repository, op.reference, reason, what, caller, asked, house, pushing=True)


async def _moved(
    repository: Repository, policy: Policy, tags: Sequence[Tag], subject: Resolved, asked: Asked, house: House
) -> Tag | None:
    """Return the first immutable tag that exists with another digest. Not being able to look refuses the push."""
    for tag in tags:
        if any(glob(pattern, tag) for pattern in policy.push.immutable_tags):
            try:
                there = await exists(repository, tag, asked, house)
            except Unavailable:
                return tag
            if there is not None and there != subject.digest:
                return tag
    return None


async def keeps_ours(repository: Repository, tags: Sequence[Tag], manifest: Manifest, house: House) -> bool:
    """True unless this would take signatures of ours off a `.sig` or fallback tag.

    Never merged instead: merging would change the digest that the client just computed.
    """
    for tag in tags:
        subject = subject_of_tag(tag)
        if subject is None:
            continue
        attached = [e for e in await house.ledger.entries(repository, subject) if e.stage is Stage.ATTACHED]
        if tag == signature_tag(subject):
            marks = {carrier.mark(d) for d in manifest.layers}
            mine = [e for e in attached if e.key.format == SIMPLE][: house.limits.own_layers]
            if any(carrier.mark(layer_of(entry, house)) not in marks for entry in mine):
                return False
        elif tag == fallback_tag(subject):
            listed = {d.digest for d in (*manifest.children, *manifest.entries)}
            if any(e.artifact is not None and e.artifact not in listed for e in attached if e.key.format != SIMPLE):
                return False
    return True
