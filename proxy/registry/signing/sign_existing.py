"""Sign an image that is already upstream: the signing flow of a push, requested by an operator with a reason."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.formats.format import claims_at
from proxy.journal.event import EventKind
from proxy.oci.faults import Fault, Unavailable
from proxy.oci.manifest import Descriptor
from proxy.oci.operation import PullManifest
from proxy.oci.reference import Digest, is_digest, parse_tag
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.denied_parents import denied
from proxy.registry.reading.resolve import not_given, resolve
from proxy.registry.request import Request, Response
from proxy.registry.signing.attach import attach
from proxy.registry.signing.retag import bind, tree
from proxy.registry.signing.sign import SIMPLE, sign, wanted
from proxy.registry.writing.tags import Held, held
from proxy.registry.writing.write import exists
from proxy.trust.actor import Actor
from proxy.trust.explain import target
from proxy.trust.ledger import Entry
from proxy.trust.policy import PushRules
from proxy.trust.question import Question


@dataclass(frozen=True)
class SignedExisting:
    """The result: the digest of the reference, and our entries for it and its children."""

    digest: Digest
    entries: tuple[Entry, ...]


async def sign_existing(op: PullManifest, by: Actor, request: Request, ports: Ports) -> SignedExisting:
    """Sign and attach the image and all its children; the journal records who asked and why.

    The pusher claim includes how we know the name (`admin-token:ID`): the creator of a token chooses its name, and a
    registry user of the same name never made this request. Raises Fault (no policy, no key to sign with, image not
    found), Unavailable.
    """
    policy = ports.rules.current().for_(op.repository)
    if policy is None or not policy.push.sign_with:
        raise Fault("DENIED", f"no policy signs in repository {op.repository}; add push.sign_with to one")
    tags = () if is_digest(op.reference) else (parse_tag(op.reference),)
    async with held(op.repository, tags, ports) as hold:
        made = await _signed(op, policy.push, hold, by, request, hold.ports)
    about = (op.repository, op.reference, made.digest)
    detail = {"reason": by.reason, "signatures": len(made.entries)}
    await ports.journal.record(ports.event(EventKind.COUNTERSIGNED, by, request, about=about, detail=detail))
    return made


async def _signed(
    op: PullManifest, rules: PushRules, hold: Held, by: Actor, request: Request, ports: Ports
) -> SignedExisting:
    """As `sign_existing`. Signatures for the tag are attached if upstream still has it on this image at the end."""
    claims, tags = claims_at(rules.claims, f"{by.name} ({by.authenticated_by})", ports.clock.now()), sorted(hold.tags)
    made: tuple[Entry, ...] = ()
    top: Descriptor | None = None
    todo, seen = [op], set[PullManifest]()
    while todo:
        this = todo.pop()
        if this in seen:
            continue
        if len(seen) > ports.limits.index_children:
            raise Fault(
                "SIZE_INVALID", f"more than {ports.limits.index_children} manifests; sign parts of it", status=413
            )
        seen.add(this)
        subject = await resolve(this, request, ports)
        if isinstance(subject, Response):
            raise not_given(target(Question(this.repository, this.reference)), subject.status)
        if (denial := await denied(op.repository, subject.digest, ports)) is not None:
            raise Fault(
                "DENIED", f"{subject.digest} is not signed: an operator denied {denial.target}: {denial.reason}"
            )
        pairs = wanted(rules.formats, op.repository, tags, ports)
        if top is not None and SIMPLE in rules.formats:  # children carry the simple signature only, as after a push
            pairs = [pair for pair in pairs if pair[0] == SIMPLE]
        descriptor = Descriptor(subject.media_type, subject.digest, len(subject.body))
        top = top or descriptor
        made += await sign(op.repository, descriptor, pairs, rules.sign_with, claims, by, ports)
        async with held(op.repository, (), ports, about=[subject.digest]) as lists:
            await attach(
                op.repository, descriptor, request, lists.ports, relist=True
            )  # also if the image's tag was not free
        todo += [PullManifest(op.repository, child.digest) for child in subject.manifest.children]
    if top is None:
        raise Unavailable(f"nothing was found for {op.repository} {op.reference}")
    for tag in tags:
        if await exists(op.repository, tag, request, ports) == top.digest:
            async with held(op.repository, (), ports, about=await tree(op.repository, (top.digest,), ports)) as lists:
                await bind(op.repository, top, tags, request, lists.ports)
            hold.points(tag, top.digest, by.name, by.authenticated_by)
    return SignedExisting(top.digest, made)
