"""Sign an image that is already upstream: the signing flow of a push, requested by an operator with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from proxy.formats.format import claims_later
from proxy.formats.table import FORMATS
from proxy.journal.event import EventKind
from proxy.oci.faults import Conflict, Fault, Unavailable
from proxy.oci.manifest import Descriptor
from proxy.oci.operation import PullManifest
from proxy.oci.reference import Digest, Repository, Tag, is_digest, parse_tag
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.denied_parents import denied
from proxy.registry.reading.resolve import not_given, resolve
from proxy.registry.request import Request, Response
from proxy.registry.signing.attach import attach, live
from proxy.registry.signing.retag import bind, tree
from proxy.registry.signing.sign import SIMPLE, sign, signers_now, wanted
from proxy.registry.writing.tags import Held, held
from proxy.registry.writing.write import exists
from proxy.trust.actor import Actor
from proxy.trust.explain import target
from proxy.trust.ledger import Entry, Stage
from proxy.trust.policy import PushRules
from proxy.trust.question import Question, Resolved


@dataclass(frozen=True)
class SignedExisting:
    """The result: the digest of the reference, our entries for it and its children, and whether some are `new`."""

    digest: Digest
    entries: tuple[Entry, ...]
    new: bool


class Moved(Conflict):
    """The reference means another image than the one to be signed."""


async def sign_existing(
    op: PullManifest, by: Actor, request: Request, ports: Ports, *, only: Digest | None = None
) -> SignedExisting:
    """Sign and attach the image and all its children; if something was signed, the journal records who asked and why.

    The claims say the same, and that it was signed later. They include how we know the name (`admin-token:ID`): the
    creator of a token chooses its name, and a registry user of the same name never made this request. With `only`,
    nothing but this image is signed. Raises Moved, Fault (no policy, no key to sign with, not found), Unavailable.
    """
    policy = ports.rules.current().for_(op.repository)
    if policy is None or not policy.push.sign_with:
        raise Fault("DENIED", f"no policy signs in repository {op.repository}; add push.sign_with to one")
    tags = () if is_digest(op.reference) else (parse_tag(op.reference),)
    async with held(op.repository, tags, ports) as hold:
        made = await _signed(op, policy.push, hold, by, request, hold.ports, only)
    if not made.new:
        return made
    about = (op.repository, op.reference, made.digest)
    detail = {"reason": by.reason, "signatures": len(made.entries)}
    await ports.journal.record(ports.event(EventKind.COUNTERSIGNED, by, request, about=about, detail=detail))
    return made


async def _signed(
    op: PullManifest, rules: PushRules, hold: Held, by: Actor, request: Request, ports: Ports, only: Digest | None
) -> SignedExisting:
    """As `sign_existing`. Signatures for the tag are attached if upstream still has it on this image at the end."""
    who, tags = f"{by.name} ({by.authenticated_by})", sorted(hold.tags)
    claims = claims_later(rules.claims, who, by.reason, ports.clock.now())
    made: tuple[Entry, ...] = ()
    new = False
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
        if top is None and only not in (None, subject.digest):
            raise Moved(
                f"{target(Question(this.repository, this.reference))} means {subject.digest} by now, not {only}"
            )
        pairs = _pairs(rules, op.repository, tags, ports, child=top is not None)
        descriptor = Descriptor(subject.media_type, subject.digest, len(subject.body))
        top = top or descriptor
        before = {e.key for e in await ports.ledger.entries(op.repository, subject.digest) if e.signature is not None}
        signed = await sign(op.repository, descriptor, pairs, rules.sign_with, claims, by, ports)
        made, new = made + signed, new or not before.issuperset(e.key for e in signed)
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
            hold.points(tag, top.digest, "", "upstream")  # nobody pushed it here
    return SignedExisting(top.digest, made, new)


def _pairs(
    rules: PushRules, repository: Repository, tags: Sequence[Tag], ports: Ports, *, child: bool
) -> list[tuple[str, str]]:
    """Return the (format, bound) pairs; children carry the simple signature only, as after a push."""
    pairs = wanted(rules.formats, repository, tags, ports)
    return [pair for pair in pairs if not child or pair[0] == SIMPLE or SIMPLE not in rules.formats]


async def is_signed(
    repository: Repository, subject: Resolved, tags: Sequence[Tag], rules: PushRules, ports: Ports
) -> bool:
    """True if `sign_existing` would add nothing to what verifiers need: a key of each profile has signed all of it.

    Any key that still counts will do: after a rotation, `keys resign` adds signatures by the new one. Of the children
    those listed directly are looked at. Raises Unavailable if no key is active.
    """
    ring = ports.keybook.ring()
    about = [(subject.digest, False), *((child.digest, True) for child in subject.manifest.children)]
    for digest, child in about:
        there = [e for e in live(await ports.ledger.entries(repository, digest), ports) if e.stage is Stage.ATTACHED]
        for profile in rules.sign_with:
            certified = any(key.chain for key in signers_now(profile, ports))
            keys = {key.fingerprint for key in ring.ours if key.profile == profile}
            done = {(e.key.format, e.key.bound) for e in there if e.key.fingerprint in keys}
            pairs = _pairs(rules, repository, tags, ports, child=child)
            if any(pair not in done and (certified or not FORMATS[pair[0]].certified) for pair in pairs):
                return False
    return True
