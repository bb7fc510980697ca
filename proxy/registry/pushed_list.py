"""Pushed lists of signatures or referrers: merged in one write with the existing list and our own entries.

Copy tools bring the list of another registry, signers the list they read a moment ago: neither knows newer entries.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from proxy.formats import carrier
from proxy.oci.faults import Fault, Told, Unavailable
from proxy.oci.manifest import OCI_MANIFEST, Descriptor, Kind, parse
from proxy.oci.reference import Digest, Tag, digest_of, fallback_tag, signature_tag, subject_of_tag
from proxy.registry.ports.upstream import ReferrersApi
from proxy.registry.ports_in_use import Ports
from proxy.registry.put import put, refused
from proxy.registry.reading.artifact import is_signature_artifact
from proxy.registry.reading.denied_parents import denied
from proxy.registry.reading.read import examined, read_manifest_bytes
from proxy.registry.reading.referrers import entries_of, lists_referrers
from proxy.registry.request import Request, Response
from proxy.registry.signing.attach import (
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
from proxy.registry.signing.ready import Push
from proxy.registry.signing.sign import SIMPLE
from proxy.registry.writing.fallback_tag import TooMuch, bounded, change_list, note
from proxy.registry.writing.made_here import layers_made_here, referrers_made_here
from proxy.registry.writing.write import NotTaken, Prepare, change_tag
from proxy.trust.ledger import Entry, Stage
from proxy.trust.question import Resolved
from proxy.trust.reason import Reason

Write = Callable[[Prepare], Awaitable[bytes | None]]


async def put_list(this: Push, tag: Tag, about: Digest, request: Request, ports: Ports) -> Response:
    """Put the pushed manifest under a tag named like a list of signatures: lists are merged, others put as is.

    The pushed manifest is stored upstream by its digest, which the response names. In one write, the tag gets the
    existing entries, the pushed ones and ours, without those that a key of ours made and that the ledger does not hold
    as attached; if the tag already has this content, nothing is written. Raises Fault (`too_large`, beyond limits),
    Unavailable.
    """
    async with ports.cache.lock(("attach", this.op.repository, about)):  # nor while we add to the list
        if tag == signature_tag(about):
            return await _put_signatures(this, tag, about, request, ports)
        if await _is_list(this, about, request, ports):
            return await _put_referrers(this, about, request, ports)
        free = not await _ours_listed(this, about, request, ports)
        answer = await put(this, tag, request, ports)
        if answer.status < 400:
            note(this.op.repository, tag, free, ports)
        return answer


async def may_lie_there(this: Push, request: Request, ports: Ports) -> None:
    """Return if the pushed manifest may be put under all its tags. Raises Fault (reserved, denied, too large).

    A `.sig` tag takes only a list of signatures; other content would block the signing of a digest. The tag of our list
    of referrers takes only such a list, or the manifest of that digest itself.
    """
    for tag in this.tags:
        about = subject_of_tag(tag)
        if about is None:
            continue
        is_sig = tag == signature_tag(about)
        listed = await (_is_sig(this, request, ports) if is_sig else _is_list(this, about, request, ports))
        if listed:
            denial = await denied(this.op.repository, about, ports)
            if denial is not None:
                what = f"an operator denied {denial.target}: {denial.reason}"
                raise await refused(this, Reason.DENIED_DIGEST, what, request, ports)
        elif is_sig:
            what = f"{tag} is kept for the signatures of {about}, and what is pushed is no list of signatures"
            raise await refused(this, Reason.TAG_RESERVED, what, request, ports)
        elif about != this.subject.digest and await _ours_listed(this, about, request, ports):
            what = f"the list of what refers to {about}, with signatures made here, lies under {tag}"
            raise await refused(this, Reason.TAG_RESERVED, what, request, ports)


async def _is_sig(this: Push, request: Request, ports: Ports) -> bool:
    """True for a list of signatures whose layers were all read. Raises Fault if upstream lacks one of them."""
    subject, most = this.subject, ports.limits.signature_layers
    if not carrier.is_artifact_shape(subject.manifest, most):
        return False
    if sum(layer.size for layer in subject.manifest.layers) > ports.limits.artifact_bytes:
        raise await too_large(this, "artifact_bytes", request, ports)
    if await is_signature_artifact(this.op.repository, subject, request, ports, most=most):
        return True
    fact = await ports.facts.manifest(this.op.repository, subject.digest)
    if fact is None or fact.artifact is None:
        raise Fault(
            "MANIFEST_BLOB_UNKNOWN", "upstream does not have every layer that it lists, in that size; push them first"
        )
    return False


async def _is_list(this: Push, about: Digest, request: Request, ports: Ports) -> bool:
    if this.subject.manifest.kind is not Kind.INDEX:
        return False
    return await lists_referrers(this.op.repository, about, this.subject.body, request, ports, all_there=True)


async def _ours_listed(this: Push, about: Digest, request: Request, ports: Ports) -> list[Digest]:
    """Return our referrers that belong in the fallback tag: none if upstream lists referrers by itself."""
    entries = live(await ports.ledger.entries(this.op.repository, about), ports)
    others = [e.artifact for e in entries if e.key.format != SIMPLE and e.stage is Stage.ATTACHED and e.artifact]
    if others and await ports.registry.referrers_api(this.op.repository, about, request.credential) is ReferrersApi.HAS:
        return []
    return list(dict.fromkeys(others))


async def _put_signatures(this: Push, tag: Tag, about: Digest, request: Request, ports: Ports) -> Response:
    repository, pushed = this.op.repository, this.subject
    entries = await ports.ledger.entries(repository, about)
    simple = [e for e in due(entries) if e.key.format == SIMPLE and e.signature is not None]
    keep: list[Entry] = [e for e in carried(simple, ports) if e.stage is Stage.ATTACHED]
    ours = [layer_of(e, ports) for e in keep]
    drop = {carrier.mark(layer_of(e, ports)) for e in taken_off(simple, keep, ports)}
    base: bytes | None = None
    strange: bytes | None = None
    goal: bytes | None = None
    leave: set[carrier.Mark] = set()

    async def look(old: bytes | None) -> bool:
        nonlocal base, strange, leave
        base = old if old is not None and holds_signatures(old, ports) else None
        strange = old if base is None else None
        known = {carrier.mark(d) for d in ours} | (set() if base is None else marks_of(base, ports))
        new = [d for d in pushed.manifest.layers if carrier.mark(d) not in known]
        leave = {carrier.mark(d) for d in await layers_made_here(repository, about, new, request, ports)}
        return True

    def change(old: bytes | None) -> bytes | None:
        nonlocal goal
        new = carrier.merged_sig(base, pushed.body, ours, leave | drop, drop)
        if new is None or new == old:
            return None
        layers = parse(new, "", ports.limits).layers
        bounded(len(layers) - len(ours), ports.limits.signature_layers, "signature_layers", new, ports)
        if sum(d.size for d in layers) > ports.limits.artifact_bytes:
            raise TooMuch("artifact_bytes")
        goal = new
        return new

    async def write(store: Prepare) -> bytes | None:
        async def prepare() -> None:
            await store()
            if goal != pushed.body:
                await upload(repository, [blob_of(e, ports) for e in keep], request, ports)

        kind = lambda new: pushed.media_type if new == pushed.body else OCI_MANIFEST  # noqa: E731
        return await change_tag(repository, tag, kind, change, prepare, request, ports, ours=look)

    answer, written = await _written(this, write, request, ports)
    if written is not None:
        if strange is not None:
            await ports.journal.record(replaced(repository, about, strange, request, ports))
        await learn_list(repository, about, written, ports)
        manifest = parse(written, "", ports.limits)
        if len(manifest.layers) > carrier.LAYERS:  # more than a pull examines
            whole = Resolved(digest_of(written), manifest.media_type, written, manifest)
            with suppress(Unavailable):  # then no pull here reads the list, but it exists upstream all the same
                await is_signature_artifact(repository, whole, request, ports, most=ports.limits.signature_layers)
    _told(this, tag, written, len(leave))
    return answer


async def _put_referrers(this: Push, about: Digest, request: Request, ports: Ports) -> Response:
    repository, pushed = this.op.repository, this.subject
    mine = await _ours_listed(this, about, request, ports)
    base: bytes | None = None
    ours: list[Descriptor] = []
    leave: set[Digest] = set()

    async def look(old: bytes | None) -> bool:
        nonlocal base, ours, leave
        base = old if old is not None and await lists_referrers(repository, about, old, request, ports) else None
        note(repository, fallback_tag(about), True, ports)
        there = set() if base is None else {d.digest for d in entries_of(base, ports) or ()}
        ours = [d for digest in mine if (d := await _referrer(this, digest, request, ports)) is not None]
        new = [d.digest for d in pushed.manifest.children if d.digest not in there.union(mine)]
        leave = await referrers_made_here(repository, about, new, request, ports)
        leave |= {digest for digest in new if await denied(repository, digest, ports) is not None}
        return True

    def change(old: bytes | None) -> bytes | None:
        new = carrier.merged_index(base, pushed.body, ours, leave)
        if new is None or new == old:
            return None
        listed = len(entries_of(new, ports) or ())
        bounded(listed - len(ours), ports.limits.referrers, "referrers", new, ports)
        return new

    async def write(store: Prepare) -> bytes | None:
        return await change_list(repository, about, change, request, ports, prepare=store, look=look)

    answer, written = await _written(this, write, request, ports)
    _told(this, fallback_tag(about), written, len(leave))
    return answer


async def left_out(this: Push, about: Digest, request: Request, ports: Ports) -> bool:
    """True for a signature made by our key that the ledger does not hold: our list must not get it back."""
    repository, subject = this.op.repository, this.subject
    if not carrier.is_artifact_shape(subject.manifest):
        return False
    if await ports.registry.referrers_api(repository, about, request.credential) is ReferrersApi.HAS:
        return False  # upstream's API lists every referrer it is given
    if subject.digest in await _ours_listed(this, about, request, ports):
        return False
    return bool(await layers_made_here(repository, about, subject.manifest.layers, request, ports))


async def _referrer(this: Push, digest: Digest, request: Request, ports: Ports) -> Descriptor | None:
    """Return the descriptor of our referrer as the list shows it, None if upstream lost it."""
    found = await read_manifest_bytes(this.op.repository, digest, request, ports)
    if found is None:
        return None
    manifest = await examined(lambda: parse(found[0], "", ports.limits), found[0], request, ports)
    return carrier.referrer(manifest, digest, len(found[0]))


class _NotStored(Exception):
    """Upstream did not accept the pushed manifest."""


async def _written(this: Push, write: Write, request: Request, ports: Ports) -> tuple[Response, bytes | None]:
    """Have upstream store the pushed manifest by digest, for this caller; then run `write` for the tag.

    Return upstream's answer to the caller, and what was written under the tag. Raises Fault, Unavailable.
    """
    stored: list[Response] = []

    async def store() -> None:
        stored.append(await put(this, this.subject.digest, request, ports))
        if stored[-1].status >= 400:
            raise _NotStored

    try:
        written = await write(store)
        if not stored:
            await store()
    except TooMuch as much:
        raise await too_large(this, str(much), request, ports) from much
    except _NotStored:
        written = None
    except NotTaken as no:
        if no.told is Told.IMMUTABLE:
            raise
        raise Fault("DENIED" if no.status == 403 else "MANIFEST_INVALID", no.what, status=no.status) from no
    answer = stored[-1]
    there = f"/v2/{this.op.repository}/manifests/{this.subject.digest}"  # the tag may hold more
    return replace(answer, headers=tuple((k, there if k == "location" else v) for k, v in answer.headers)), written


async def too_large(this: Push, limit: str, request: Request, ports: Ports) -> Fault:
    """Record that this push is refused because it exceeds a limit; return the Fault for the caller."""
    what = f"with what lies there it is more than limits.{limit} ({getattr(ports.limits, limit)})"
    return await refused(this, Reason.TOO_LARGE, what, request, ports)


def _told(this: Push, tag: Tag, written: bytes | None, left_out: int) -> None:
    """Record what the tag holds if that differs from the pushed manifest."""
    if written != this.subject.body:
        this.under_others.add(tag)
    if written is not None and written != this.subject.body:
        this.merged["merged"] = digest_of(written)
    if left_out:
        this.merged["left_out"] = left_out
