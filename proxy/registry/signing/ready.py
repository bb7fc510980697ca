"""The conditions before a tag moves: still admitted, signed under current rules, tagless signatures attached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from proxy.formats.format import claims_at
from proxy.oci.faults import Unavailable
from proxy.oci.manifest import Descriptor
from proxy.oci.operation import PushManifest
from proxy.oci.reference import Digest, Tag, subject_of_tag
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.resolve import learn
from proxy.registry.request import Request
from proxy.registry.signing.attach import attach, live, prepare_uploads, send_payloads
from proxy.registry.signing.records import Records
from proxy.registry.signing.retag import tree
from proxy.registry.signing.sign import SIMPLE, sign, wanted
from proxy.registry.signing.sign_children import wanted_below
from proxy.registry.writing.admit import still_admitted
from proxy.registry.writing.tags import Held
from proxy.trust.actor import Actor
from proxy.trust.ledger import Entry
from proxy.trust.policy import Policy, PushRules
from proxy.trust.question import Caller, Resolved, how_of, name_of

ROUNDS = 6  # checks whether a push may continue; each change of policy or keys meanwhile takes two


@dataclass(frozen=True)
class Push:
    """One admitted push: content, target, policy, caller."""

    op: PushManifest
    subject: Resolved
    tags: tuple[Tag, ...]
    policy: Policy
    caller: Caller
    hold: Held
    moved: list[Tag] = field(default_factory=list)  # tags that point at this manifest upstream now
    merged: dict[str, object] = field(default_factory=dict)  # what the journal records about a merged list
    records: Records = field(default_factory=Records)
    under_others: set[Tag] = field(default_factory=set)  # tags of lists, which hold more than the pushed entries

    @property
    def descriptor(self) -> Descriptor:
        """The pushed manifest as a descriptor in other manifests."""
        return Descriptor(self.subject.media_type, self.subject.digest, len(self.subject.body))


async def lists_of(op: PushManifest, subject: Resolved, tags: Sequence[Tag], ports: Ports) -> list[Digest]:
    """Return the digests whose lists of signatures or referrers this push may write."""
    below = [child.digest for child in subject.manifest.children] if tags else []
    named = [digest for tag in tags if (digest := subject_of_tag(tag)) is not None]
    refers = [subject.manifest.subject.digest] if subject.manifest.subject else []
    return [subject.digest, *await tree(op.repository, below, ports), *named, *refers]


@dataclass(frozen=True)
class Signed:
    """The signatures made for a push, and the rules they were made under."""

    rules: PushRules
    made: tuple[Entry, ...]

    def holds(self, policy: Policy, ports: Ports) -> bool:
        """True while the policy asks for the same, and every key that signed still counts."""
        return self.rules == policy.push and len(live(self.made, ports)) == len(self.made)


async def ready(this: Push, before: Signed | None, request: Request, ports: Ports) -> Signed:
    """Return this push's signatures under the current policy, denials and keys; those without a tag are attached.

    Raises Fault when the push may not continue. Called before every step that cannot be undone. If every key also makes
    a bundle, the `.sig` waits for the tags and is written once. The signatures of a key that signs in no other format
    are found only in the `.sig`, which then does not wait.
    """
    signed, repository, digest = before, this.op.repository, this.subject.digest
    for _ in range(ROUNDS):
        policy = await still_admitted(this.op, digest, this.caller, request, ports)
        if signed is None or not signed.holds(policy, ports):
            await this.hold.begin()
            signed = Signed(policy.push, await _sign(this, policy.push, request, ports))
        elif signed is before:
            return signed
        else:
            others = {e.key.fingerprint for e in signed.made if e.key.format != SIMPLE}
            waits = bool(this.tags) and all(e.key.fingerprint in others for e in signed.made)
            if waits:
                send_payloads(repository, signed.made, request, ports)
            await attach(repository, this.descriptor, request, ports, simple=not waits, records=this.records)
            before = signed
    raise Unavailable("policies and keys keep changing while this is pushed")


async def _sign(this: Push, rules: PushRules, request: Request, ports: Ports) -> tuple[Entry, ...]:
    """Return the signatures these rules ask for, including those of an index's children; nothing is attached yet."""
    repository = this.op.repository
    by = Actor(name_of(this.caller), how_of(this.caller), "", request.request_id)
    claims = claims_at(rules.claims, by.name, ports.clock.now())
    pairs = wanted(rules.formats, repository, this.tags, ports)
    below = await wanted_below(repository, this.subject.manifest, this.tags, rules, request, ports)
    return await sign(
        repository,
        this.descriptor,
        pairs,
        rules.sign_with,
        claims,
        by,
        ports,
        also=below,
        beside=partial(learn, repository, this.subject, ports, fresh=True),
        meanwhile=partial(prepare_uploads, repository, request, ports),
    )
