"""A list of signatures or referrers that somebody pushes: what lies there, what is pushed and ours, in one write.

Copies bring the list of another registry, signers the one that they read a moment ago: neither knows what came since.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from proxy.flows.artifact import is_signature_artifact
from proxy.flows.asked import Answer, Asked
from proxy.flows.attach import (
    blob_of,
    carried,
    due,
    holds_signatures,
    layer_of,
    learn_list,
    live,
    marks_of,
    replaced,
    taken_off,
    upload,
)
from proxy.flows.fallback import TooMuch, bounded, change_list, note
from proxy.flows.house import House
from proxy.flows.kept_list import lists_referrers
from proxy.flows.made_here import layers_made_here, referrers_made_here
from proxy.flows.meant import denied
from proxy.flows.put import put, refused
from proxy.flows.read import examined, read_manifest_bytes
from proxy.flows.ready import Push
from proxy.flows.referrers import entries_of
from proxy.flows.sign import SIMPLE
from proxy.flows.write import NotTaken, Prepare, change_tag
from proxy.formats import carrier
from proxy.oci.faults import Fault, Told, Unavailable
from proxy.oci.manifest import OCI_MANIFEST, Descriptor, Kind, parse
from proxy.oci.reference import Digest, Tag, digest_of, fallback_tag, signature_tag, subject_of_tag
from proxy.ports import ReferrersApi
from proxy.trust.ledger import Entry, Stage
from proxy.trust.question import Resolved
from proxy.trust.reason import Reason

Write = Callable[[Prepare], Awaitable[bytes | None]]


async def put_list(this: Push, tag: Tag, about: Digest, asked: Asked, house: House) -> Answer:
    """Put what is pushed under a tag named like a list of signatures: a list is merged, anything else put as it is.

    What is pushed lies upstream by its digest, which the answer names. Under the tag lies, in one write, what was
    there, what is pushed and ours, without what a key of ours made and the ledger does not hold as attached; where it
    is there already, nothing is written. Raises Fault (`too_large`, beyond limits), Unavailable.
    """
    async with house.memory.alone(("attach", this.op.repository, about)):  # nor while we add to it
        if tag == signature_tag(about):
            return await _put_signatures(this, tag, about, asked, house)
        if await _is_list(this, about, asked, house):
            return await _put_referrers(this, about, asked, house)
        free = not await _ours_listed(this, about, asked, house)
        answer = await put(this, tag, asked, house)
        if answer.status < 400:
            note(this.op.repository, tag, free, house)
        return answer


async def may_lie_there(this: Push, asked: Asked, house: House) -> None:
    """Return where what is pushed may lie under all its tags. Raises Fault (reserved, denied, too large).

    Under `.sig` that is a list of signatures, or whoever squats there stops the signing of a digest. Where our list of
    what refers to a digest lies, it is such a list, or the manifest of that digest itself.
    """
    for tag in this.tags:
        about = subject_of_tag(tag)
        if about is None:
            continue
        is_sig = tag == signature_tag(about)
        listed = await (_is_sig(this, asked, house) if is_sig else _is_list(this, about, asked, house))
        if listed:
            denial = await denied(this.op.repository, about, house)
            if denial is not None:
                what = f"an operator denied {denial.target}: {denial.reason}"
                raise await refused(this, Reason.DENIED_DIGEST, what, asked, house)
        elif is_sig:
            what = f"{tag} is kept for the signatures of {about}, and what is pushed is no list of signatures"
            raise await refused(this, Reason.TAG_RESERVED, what, asked, house)
        elif about != this.subject.digest and await _ours_listed(this, about, asked, house):
            what = f"the list of what refers to {about}, with signatures made here, lies under {tag}"
            raise await refused(this, Reason.TAG_RESERVED, what, asked, house)


async def _is_sig(this: Push, asked: Asked, house: House) -> bool:
    """True for a list of signatures whose layers were all read. Raises Fault where upstream lacks one of them."""
    subject, most = this.subject, house.limits.signature_layers
    if not carrier.is_artifact_shape(subject.manifest, most):
        return False
    if sum(layer.size for layer in subject.manifest.layers) > house.limits.artifact_bytes:
        raise await too_large(this, "artifact_bytes", asked, house)
    if await is_signature_artifact(this.op.repository, subject, asked, house, most=most):
        return True
    fact = await house.facts.manifest(this.op.repository, subject.digest)
    if fact is None or fact.artifact is None:
        raise Fault(
            "MANIFEST_BLOB_UNKNOWN", "upstream does not have every layer that it lists, in that size; push them first"
        )
    return False


async def _is_list(this: Push, about: Digest, asked: Asked, house: House) -> bool:
    if this.subject.manifest.kind is not Kind.INDEX:
        return False
    return await lists_referrers(this.op.repository, about, this.subject.body, asked, house, all_there=True)


async def _ours_listed(this: Push, about: Digest, asked: Asked, house: House) -> list[Digest]:
    """Return what of ours belongs into the fallback tag: nothing does where upstream lists referrers by itself."""
    entries = live(await house.ledger.entries(this.op.repository, about), house)
    others = [e.artifact for e in entries if e.key.format != SIMPLE and e.stage is Stage.ATTACHED and e.artifact]
    if others and await house.registry.referrers_api(this.op.repository, about, asked.credential) is ReferrersApi.HAS:
        return []
    return list(dict.fromkeys(others))


async def _put_signatures(this: Push, tag: Tag, about: Digest, asked: Asked, house: House) -> Answer:
    repository, pushed = this.op.repository, this.subject
    entries = await house.ledger.entries(repository, about)
    simple = [e for e in due(entries) if e.key.format == SIMPLE and e.signature is not None]
    keep: list[Entry] = [e for e in carried(simple, house) if e.stage is Stage.ATTACHED]
    ours = [layer_of(e, house) for e in keep]
    drop = {carrier.mark(layer_of(e, house)) for e in taken_off(simple, keep, house)}
    base: bytes | None = None
    strange: bytes | None = None
    goal: bytes | None = None
    leave: set[carrier.Mark] = set()

    async def look(old: bytes | None) -> bool:
        nonlocal base, strange, leave
        base = old if old is not None and holds_signatures(old, house) else None
        strange = old if base is None else None
        known = {carrier.mark(d) for d in ours} | (set() if base is None else marks_of(base, house))
        new = [d for d in pushed.manifest.layers if carrier.mark(d) not in known]
        leave = {carrier.mark(d) for d in await layers_made_here(repository, about, new, asked, house)}
        return True

    def change(old: bytes | None) -> bytes | None:
        nonlocal goal
        new = carrier.merged_sig(base, pushed.body, ours, leave | drop, drop)
        if new is None or new == old:
            return None
        layers = parse(new, "", house.limits).layers
        bounded(len(layers) - len(ours), house.limits.signature_layers, "signature_layers", new, house)
        if sum(d.size for d in layers) > house.limits.artifact_bytes:
            raise TooMuch("artifact_bytes")
        goal = new
        return new

    async def write(store: Prepare) -> bytes | None:
        async def prepare() -> None:
            await store()
            if goal != pushed.body:
                await upload(repository, [blob_of(e, house) for e in keep], asked, house)

        kind = lambda new: pushed.media_type if new == pushed.body else OCI_MANIFEST  # noqa: E731
        return await change_tag(repository, tag, kind, change, prepare, asked, house, ours=look)

    answer, written = await _written(this, write, asked, house)
    if written is not None:
        if strange is not None:
            await house.journal.record(replaced(repository, about, strange, asked, house))
        await learn_list(repository, about, written, house)
        manifest = parse(written, "", house.limits)
        if len(manifest.layers) > carrier.LAYERS:  # more than a pull looks at
            whole = Resolved(digest_of(written), manifest.media_type, written, manifest)
            with suppress(Unavailable):  # then nobody reads it here, and it is there all the same
                await is_signature_artifact(repository, whole, asked, house, most=house.limits.signature_layers)
    _told(this, tag, written, len(leave))
    return answer


async def _put_referrers(this: Push, about: Digest, asked: Asked, house: House) -> Answer:
    repository, pushed = this.op.repository, this.subject
    mine = await _ours_listed(this, about, asked, house)
    base: bytes | None = None
    ours: list[Descriptor] = []
    leave: set[Digest] = set()

    async def look(old: bytes | None) -> bool:
        nonlocal base, ours, leave
        base = old if old is not None and await lists_referrers(repository, about, old, asked, house) else None
        note(repository, fallback_tag(about), True, house)
        there = set() if base is None else {d.digest for d in entries_of(base, house) or ()}
        ours = [d for digest in mine if (d := await _referrer(this, digest, asked, house)) is not None]
        new = [d.digest for d in pushed.manifest.children if d.digest not in there.union(mine)]
        leave = await referrers_made_here(repository, about, new, asked, house)
        leave |= {digest for digest in new if await denied(repository, digest, house) is not None}
        return True

    def change(old: bytes | None) -> bytes | None:
        new = carrier.merged_index(base, pushed.body, ours, leave)
        if new is None or new == old:
            return None
        listed = len(entries_of(new, house) or ())
        bounded(listed - len(ours), house.limits.referrers, "referrers", new, house)
        return new

    async def write(store: Prepare) -> bytes | None:
        return await change_list(repository, about, change, asked, house, prepare=store, look=look)

    answer, written = await _written(this, write, asked, house)
    _told(this, fallback_tag(about), written, len(leave))
    return answer


async def left_out(this: Push, about: Digest, asked: Asked, house: House) -> bool:
    """True for a signature that a key of ours made and the ledger does not hold: our list does not get it back."""
    repository, subject = this.op.repository, this.subject
    if not carrier.is_artifact_shape(subject.manifest):
        return False
    if await house.registry.referrers_api(repository, about, asked.credential) is ReferrersApi.HAS:
        return False  # which lists whatever it is given
    if subject.digest in await _ours_listed(this, about, asked, house):
        return False
    return bool(await layers_made_here(repository, about, subject.manifest.layers, asked, house))


async def _referrer(this: Push, digest: Digest, asked: Asked, house: House) -> Descriptor | None:
    """Return how the list shows a referrer of ours, None where upstream lost it."""
    found = await read_manifest_bytes(this.op.repository, digest, asked, house)
    if found is None:
        return None
    manifest = await examined(lambda: parse(found[0], "", house.limits), found[0], asked, house)
    return carrier.referrer(manifest, digest, len(found[0]))


class _NotStored(Exception):
    """Upstream did not take what is pushed."""


async def _written(this: Push, write: Write, asked: Asked, house: House) -> tuple[Answer, bytes | None]:
    """Have upstream take what is pushed, by its digest, from this caller; then what `write` makes of it.

    Return its answer to the caller, and what was written under the tag. Raises Fault, Unavailable.
    """
    stored: list[Answer] = []

    async def store() -> None:
        stored.append(await put(this, this.subject.digest, asked, house))
        if stored[-1].status >= 400:
            raise _NotStored

    try:
        written = await write(store)
        if not stored:
            await store()
    except TooMuch as much:
        raise await too_large(this, str(much), asked, house) from much
    except _NotStored:
        written = None
    except NotTaken as no:
        if no.told is Told.IMMUTABLE:
            raise
        raise Fault("DENIED" if no.status == 403 else "MANIFEST_INVALID", no.what, status=no.status) from no
    answer = stored[-1]
    there = f"/v2/{this.op.repository}/manifests/{this.subject.digest}"  # under the tag may lie more
    return replace(answer, headers=tuple((k, there if k == "location" else v) for k, v in answer.headers)), written


async def too_large(this: Push, limit: str, asked: Asked, house: House) -> Fault:
    """Record that this push is refused as more than a limit, and return the Fault that tells the caller."""
    what = f"with what lies there it is more than limits.{limit} ({getattr(house.limits, limit)})"
    return await refused(this, Reason.TOO_LARGE, what, asked, house)


def _told(this: Push, tag: Tag, written: bytes | None, left_out: int) -> None:
    """Have the record say what lies under the tag where that is not what was pushed."""
    if written != this.subject.body:
        this.under_others.add(tag)
    if written is not None and written != this.subject.body:
        this.merged["merged"] = digest_of(written)
    if left_out:
        this.merged["left_out"] = left_out
