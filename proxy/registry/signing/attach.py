"""Attach: put signatures where verifiers look, without losing those of others. One writer per digest at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from proxy.formats import carrier
from proxy.formats.format import Blob, Signing
from proxy.formats.table import FORMATS, claimed_by
from proxy.journal.event import Event, EventKind
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.manifest import EMPTY_JSON, OCI_MANIFEST, Descriptor, parse
from proxy.oci.reference import Digest, Repository, Tag, digest_of, signature_tag
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.read import all_ended, together
from proxy.registry.request import Request
from proxy.registry.signing.records import Records
from proxy.registry.signing.sign import SIMPLE, names_a_tag, signing_by, tag_of
from proxy.registry.writing.fallback_tag import list_referrer
from proxy.registry.writing.write import Prepare, change_tag, exists, nothing, open_ahead, write_blob, write_manifest
from proxy.trust.fact import ManifestFact
from proxy.trust.keys import VERIFYING, KeyState
from proxy.trust.ledger import Entry, SignatureKey, Stage

_LEFT_ALONE = frozenset({KeyState.RETIRED, KeyState.DESTROYED})  # signatures by these keys stay where they are


async def attach(
    repository: Repository,
    subject: Descriptor,
    request: Request,
    ports: Ports,
    *,
    moved: Collection[Tag] = (),
    simple: bool = True,
    others: bool = True,
    relist: bool = False,
    records: Records | None = None,
) -> None:
    """Put every signature for this digest that is in our ledger and `due` upstream, in each place its format needs.

    Retired keys are left as they are; signatures by compromised keys are removed from the `.sig`.

    `moved`: the tags that the caller holds and knows to point here, or at an index above. `simple` and `others` select
    what is examined: the `.sig`, and the referrers. `relist`: check the index of referrers again even for signatures
    that are already attached. Raises Unavailable, Corrupt, or Fault UNAUTHORIZED to be relayed. Nothing is written if
    everything is already in place. With `records`, the caller makes those of what was attached, also if this raises.
    """
    made = Records() if records is None else records
    async with ports.cache.lock(("attach", repository, subject.digest)):
        there = dict(ports.cache.attached)  # before the ledger is read: it has what is no longer here
        known = [_as_attached(e, there) for e in await ports.ledger.entries(repository, subject.digest)]
        entries = [e for e in due(known, moved) if e.signature is not None]
        layers = [e for e in entries if e.key.format == SIMPLE] if simple else []
        referring = [e for e in live(entries, ports) if e.key.format != SIMPLE and _writable(e, ports)]
        try:
            await all_ended(
                _attach_simple(repository, subject.digest, layers, made, request, ports),
                _attach_referrers(
                    repository, subject, referring if others else (), made, request, ports, relist=relist
                ),
            )
        finally:
            if records is None:
                await made.make(ports)
    ports.cache.forget_denials(repository)


def _as_attached(entry: Entry, there: Mapping[SignatureKey, Digest | None]) -> Entry:
    if entry.key not in there or entry.stage is Stage.ATTACHED:
        return entry
    return replace(entry, stage=Stage.ATTACHED, artifact=there[entry.key])


def prepare_uploads(repository: Repository, request: Request, ports: Ports, entries: Sequence[Entry]) -> None:
    """Open uploads for what is attached first of these entries, while the token signs them.

    What fails here is tried again by `attach`, which says why.
    """
    bundles = [entry for entry in entries if entry.key.format != SIMPLE]
    for _ in bundles or entries[:1]:
        open_ahead(repository, request, ports)


def send_payloads(repository: Repository, entries: Sequence[Entry], request: Request, ports: Ports) -> None:
    """Begin to upload what the `.sig` will list, beside the bundles: nothing lists it yet. Failures as above."""
    payloads = [e.message for e in entries if e.key.format == SIMPLE and e.stage is Stage.SIGNED]
    if payloads:
        apart = replace(request, opened=[])  # the bundles need those
        ports.cache.later(_sent([write_blob(repository, data, apart, ports) for data in (EMPTY_JSON, *payloads)]))


async def _sent(uploads: Sequence[Coroutine[object, object, Digest]]) -> None:
    with suppress(Unavailable, Corrupt, Fault):
        await together(uploads)


def due(entries: Sequence[Entry], moved: Collection[Tag] = ()) -> list[Entry]:
    """Return the entries that may be attached: all except those that name a tag not known to have moved here.

    The tag has moved if the caller says so, or if a signature that names it is already attached.
    """
    named = {e.key.bound for e in entries if e.stage is Stage.ATTACHED}
    return [e for e in entries if (tag := tag_of(e.key.bound)) is None or tag in moved or e.key.bound in named]


async def _attach_simple(
    repository: Repository, subject: Digest, entries: Sequence[Entry], made: Records, request: Request, ports: Ports
) -> None:
    """Bring the `.sig` tag up to date: our signatures bounded, all others unchanged."""
    if not entries:
        return
    keep = carried(entries, ports)
    blobs = {e.key: blob_of(e, ports) for e in entries}
    add = [_layer(blobs[e.key]) for e in keep]
    drop = {carrier.mark(_layer(blobs[e.key])) for e in taken_off(entries, keep, ports)}
    base: bytes | None = None
    strange: bytes | None = None

    fresh = [blobs[e.key] for e in keep if e.stage is not Stage.ATTACHED]
    beside = partial(upload, repository, fresh, request, ports) if fresh else nothing

    def change(old: bytes | None) -> bytes | None:
        nonlocal base, strange
        base = old if old is not None and holds_signatures(old, ports) else None
        strange = old if base is None else None
        present = set() if base is None else marks_of(base, ports)
        if base is not None and {carrier.mark(d) for d in add} <= present and not present & drop:
            return None
        return carrier.sig_manifest(base, add, drop)

    prepare = partial(upload, repository, [blobs[e.key] for e in keep], request, ports)
    tag = signature_tag(subject)
    written = await change_tag(repository, tag, OCI_MANIFEST, change, prepare, request, ports, beside=beside)
    artifact = None if written is None else digest_of(written)
    if written is not None and strange is not None:
        await ports.journal.record(replaced(repository, subject, strange, request, ports))
    known = None if base is None else await ports.facts.manifest(repository, digest_of(base))
    proven = None if known is None else known.artifact  # our layers need no proof
    made.add(repository, subject, keep, artifact, request, ports)
    made.calls.append(partial(learn_list, repository, subject, written, ports, artifact=proven))


def taken_off(entries: Sequence[Entry], keep: Collection[Entry], ports: Ports) -> list[Entry]:
    """Return the entries to remove from the `.sig`: not kept, and their key is not retired."""
    ring = ports.keybook.ring()
    off = [e for e in entries if e not in keep]
    return [e for e in off if (key := ring.find(e.key.fingerprint)) is None or key.state not in _LEFT_ALONE]


def replaced(repository: Repository, subject: Digest, strange: bytes, request: Request, ports: Ports) -> Event:
    """Return the journal row for a foreign manifest under a `.sig` name: it stays under that digest, without a tag."""
    about = (repository, signature_tag(subject), digest_of(strange))
    detail = {"about": subject, "bytes": len(strange)}
    return ports.event(EventKind.TAG_REPLACED, None, request, about=about, detail=detail)


async def upload(repository: Repository, blobs: Sequence[Blob], request: Request, ports: Ports) -> None:
    """Upload these blobs, and the empty configuration that all our manifests use."""
    await asyncio.gather(
        *(write_blob(repository, data, request, ports) for data in (EMPTY_JSON, *(b.data for b in blobs)))
    )


def carried(entries: Sequence[Entry], ports: Ports) -> list[Entry]:
    """Return the simple signatures that a `.sig` tag carries: bounded; those without a tag first, then the newest.

    For each name, the signatures of all its keys are kept or none: a verifier that knows one of two keys needs that
    one.
    """
    signed = [e for e in live(entries, ports) if e.key.format == SIMPLE and e.signature is not None]
    names = dict.fromkeys(e.key.bound for e in signed)
    kept: list[Entry] = []
    for name in sorted(names, key=names_a_tag):
        together = [e for e in signed if e.key.bound == name]
        if kept and len(kept) + len(together) > ports.limits.own_layers:
            break
        kept += together
    return kept[: ports.limits.own_layers]


def live(entries: Sequence[Entry], ports: Ports) -> list[Entry]:
    """Return the entries whose key still verifies: signatures by retired or compromised keys stay away."""
    ring = ports.keybook.ring()
    return [e for e in entries if (key := ring.find(e.key.fingerprint)) is None or key.state in VERIFYING]


def _writable(entry: Entry, ports: Ports) -> bool:
    """False when the format needs certificates and the key no longer has any."""
    key = ports.keybook.ring().find(entry.key.fingerprint)
    return (key is not None and bool(key.chain)) or not FORMATS[entry.key.format].certified


def holds_signatures(body: bytes, ports: Ports) -> bool:
    """False for a runnable image or junk under a `.sig` name: that manifest is replaced, not extended."""
    try:
        manifest = parse(body, "", ports.limits)  # also a manifest in Docker's media types, as cosign can write them
    except (Fault, Corrupt):
        return False
    return bool(manifest.layers) and all(claimed_by(d.media_type) for d in manifest.layers)


def marks_of(body: bytes, ports: Ports) -> set[carrier.Mark]:
    """Return the marks that identify each layer of a `.sig` as a signature."""
    return {carrier.mark(d) for d in parse(body, "", ports.limits).layers}


def blob_of(entry: Entry, ports: Ports) -> Blob:
    """Return the layer of this entry, rebuilt from the ledger: the same bytes every time."""
    key = ports.keybook.ring().find(entry.key.fingerprint)
    by = signing_by(key, entry.timestamp) if key else Signing(b"")
    return FORMATS[entry.key.format].blob(entry.message, entry.signature or b"", by)


def layer_of(entry: Entry, ports: Ports) -> Descriptor:
    """Return the descriptor of the layer that carries this entry, as it appears in a manifest."""
    return _layer(blob_of(entry, ports))


def _layer(blob: Blob) -> Descriptor:
    return Descriptor(blob.media_type, digest_of(blob.data), len(blob.data), blob.annotations)


async def _attach_referrers(
    repository: Repository,
    subject: Descriptor,
    entries: Sequence[Entry],
    made: Records,
    request: Request,
    ports: Ports,
    *,
    relist: bool,
) -> None:
    """Push each signature as a referrer; if upstream lacks the API, list it in the fallback tag before answering."""
    for entry in entries:
        blob = blob_of(entry, ports)
        body = carrier.referrer_manifest(
            subject, _layer(blob), blob.artifact_type, blob.about, entry.at, blob.config_type
        )
        digest = digest_of(body)
        there = entry.stage is Stage.ATTACHED and await exists(repository, digest, request, ports) == digest
        prepare = partial(upload, repository, [blob], request, ports)
        write: Prepare = nothing
        if not there:
            await prepare()
            write = partial(write_manifest, repository, digest, body, OCI_MANIFEST, prepare, request, ports)
        if entry.stage is Stage.ATTACHED and entry.artifact != digest:  # the key has new certificates
            made.calls.append(partial(ports.ledger.advance, [entry.key], Stage.ATTACHED, digest))
        if relist or not there or entry.stage is not Stage.ATTACHED:
            await list_referrer(repository, subject.digest, body, request, ports, locked=True, write=write)
            made.add(repository, subject.digest, [entry], digest, request, ports)
            made.calls.append(partial(learn_list, repository, subject.digest, None if there else body, ports))


async def learn_list(
    repository: Repository, subject: Digest, body: bytes | None, ports: Ports, *, artifact: bool | None = None
) -> None:
    """Record what a carrier lists, and whether every layer is a proven signature (None: a pull proves that later)."""
    if body is None:
        return
    manifest = parse(body, "", ports.limits)
    fact = ManifestFact(
        repository, digest_of(body), manifest.media_type, len(body), (), manifest.blobs, subject, artifact
    )
    await ports.facts.learn(fact, fresh=True)
