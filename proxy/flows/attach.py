"""Attach: put signatures where verifiers look, without losing anybody else's. One writer per digest at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from functools import partial

from proxy.flows.asked import Asked
from proxy.flows.house import House
from proxy.flows.kept_list import lists_referrers
from proxy.flows.sign import SIMPLE, names_a_tag, signing_by, tag_of
from proxy.flows.write import Change, change_tag, exists, nothing, write_blob, write_manifest
from proxy.formats import carrier
from proxy.formats.format import Blob, Signing
from proxy.formats.table import FORMATS, claimed_by
from proxy.oci.faults import Corrupt, Fault
from proxy.oci.manifest import EMPTY_JSON, OCI_INDEX, OCI_MANIFEST, Descriptor, parse
from proxy.oci.reference import Digest, Repository, Tag, digest_of, fallback_tag, signature_tag
from proxy.ports import ReferrersApi
from proxy.trust.event import Event, Kind
from proxy.trust.fact import ManifestFact
from proxy.trust.keys import VERIFYING, KeyState, fingerprint
from proxy.trust.ledger import Entry, Stage

_LEFT_ALONE = frozenset({KeyState.RETIRED, KeyState.DESTROYED})  # what they signed stays where it is


async def attach(
    repository: Repository,
    subject: Descriptor,
    asked: Asked,
    house: House,
    *,
    moved: Collection[Tag] = (),
    simple: bool = True,
    others: bool = True,
    relist: bool = False,
) -> None:
    """After this, what our ledger has signed for this digest and is `due` is upstream, in every place its format wants.

    Except with a key that is retired or compromised: retired ones stay as they are, compromised ones leave the `.sig`.

    `moved`: the tags that the caller holds and knows to point here, or at an index above. `simple` and
    `others` say what is looked at: the `.sig`, and what refers to the image. `relist`: also where it is attached
    already, the index of referrers is looked at again.
    Raises Unavailable, Corrupt, or Fault UNAUTHORIZED to be relayed. Costs no write when all is there already.
    """
    async with house.memory.alone(("attach", repository, subject.digest)):
        known = due(await house.ledger.entries(repository, subject.digest), moved)
        entries = [e for e in known if e.signature is not None]
        layers = [e for e in entries if e.key.format == SIMPLE] if simple else []
        referring = [e for e in live(entries, house) if e.key.format != SIMPLE and _writable(e, house)]
        both = await asyncio.gather(
            _attach_simple(repository, subject.digest, layers, asked, house),
            _attach_referrers(repository, subject, referring if others else (), asked, house, relist=relist),
            return_exceptions=True,  # neither goes on when this lock is gone
        )
        for failed in both:
            if failed is not None:
                raise failed
    house.memory.forget_denials(repository)


def due(entries: Sequence[Entry], moved: Collection[Tag] = ()) -> list[Entry]:
    """Return those that may be attached: nothing is that names a tag which is not known to have moved here.

    It has moved where the caller says so, or where a signature that names it is attached already.
    """
    named = {e.key.bound for e in entries if e.stage is Stage.ATTACHED}
    return [e for e in entries if (tag := tag_of(e.key.bound)) is None or tag in moved or e.key.bound in named]


async def _attach_simple(
    repository: Repository, subject: Digest, entries: Sequence[Entry], asked: Asked, house: House
) -> None:
    """Bring the `.sig` tag up to date: ours bounded, everybody else's as they were."""
    if not entries:
        return
    keep = carried(entries, house)
    blobs = {e.key: _blob(e, house) for e in entries}
    add = [_layer(blobs[e.key]) for e in keep]
    states = _states(house)
    gone = [e for e in entries if e not in keep and states.get(e.key.fingerprint) not in _LEFT_ALONE]
    drop = {carrier.mark(_layer(blobs[e.key])) for e in gone}

    if fresh := [e for e in keep if e.stage is not Stage.ATTACHED]:
        await _upload(repository, [blobs[e.key] for e in fresh], asked, house)

    def change(old: bytes | None) -> bytes | None:
        base = old if old is not None and _holds_signatures(old, house) else None
        present = set() if base is None else _marks(base, house)
        if base is not None and {carrier.mark(d) for d in add} <= present and not present & drop:
            return None
        return carrier.sig_manifest(base, add, drop)

    prepare = partial(_upload, repository, [blobs[e.key] for e in keep], asked, house)
    tag = signature_tag(subject)
    written = await change_tag(repository, tag, OCI_MANIFEST, change, prepare, asked, house)
    artifact = None if written is None else digest_of(written)
    await asyncio.gather(
        _done(repository, subject, keep, artifact, asked, house), _learn(repository, subject, written, house)
    )


async def _upload(repository: Repository, blobs: Sequence[Blob], asked: Asked, house: House) -> None:
    """Have upstream hold these, and the empty configuration that everything of ours has."""
    await asyncio.gather(
        *(write_blob(repository, data, asked, house) for data in (EMPTY_JSON, *(b.data for b in blobs)))
    )


def carried(entries: Sequence[Entry], house: House) -> list[Entry]:
    """Return the simple signatures a `.sig` tag is to hold: bounded, those without a tag first, then the newest.

    All keys that signed for a name are there or none of them: whoever knows one of two keys would miss the other's.
    """
    signed = [e for e in live(entries, house) if e.key.format == SIMPLE and e.signature is not None]
    names = dict.fromkeys(e.key.bound for e in signed)
    kept: list[Entry] = []
    for name in sorted(names, key=names_a_tag):
        together = [e for e in signed if e.key.bound == name]
        if kept and len(kept) + len(together) > house.limits.own_layers:
            break
        kept += together
    return kept[: house.limits.own_layers]


def live(entries: Sequence[Entry], house: House) -> list[Entry]:
    """Return those whose key still verifies: what a retired or compromised key signed is not put back upstream."""
    states = _states(house)
    return [e for e in entries if states.get(e.key.fingerprint, KeyState.ACTIVE) in VERIFYING]


def _writable(entry: Entry, house: House) -> bool:
    """False where the format needs certificates and the key has none any more."""
    certified = {fingerprint(key.spki) for key in house.keybook.ring().ours if key.chain}
    return entry.key.fingerprint in certified or not FORMATS[entry.key.format].certified


def _states(house: House) -> dict[str, KeyState]:
    return {fingerprint(key.spki): key.state for key in house.keybook.ring().ours}


def _holds_signatures(body: bytes, house: House) -> bool:
    """False for a runnable image or junk under a `.sig` name: it is replaced, not extended."""
    try:
        manifest = parse(body, OCI_MANIFEST, house.limits)
    except (Fault, Corrupt):
        return False
    return bool(manifest.layers) and all(claimed_by(d.media_type) for d in manifest.layers)


def _marks(body: bytes, house: House) -> set[carrier.Mark]:
    return {carrier.mark(d) for d in parse(body, OCI_MANIFEST, house.limits).layers}


def _blob(entry: Entry, house: House) -> Blob:
    """Return the layer of this entry, made again from the ledger's bytes: the same bytes every time."""
    key = next((k for k in house.keybook.ring().ours if fingerprint(k.spki) == entry.key.fingerprint), None)
    by = signing_by(key, entry.timestamp) if key else Signing(b"")
    return FORMATS[entry.key.format].blob(entry.message, entry.signature or b"", by)


def layer_of(entry: Entry, house: House) -> Descriptor:
    """Return the layer that carries this entry, as it stands in a manifest."""
    return _layer(_blob(entry, house))


def _layer(blob: Blob) -> Descriptor:
    return Descriptor(blob.media_type, digest_of(blob.data), len(blob.data), blob.annotations)


async def _attach_referrers(
    repository: Repository, subject: Descriptor, entries: Sequence[Entry], asked: Asked, house: House, *, relist: bool
) -> None:
    """Push each as a referrer; where upstream has no API, the fallback tag holds it before anybody is told."""
    for entry in entries:
        blob = _blob(entry, house)
        body = carrier.referrer_manifest(
            subject, _layer(blob), blob.artifact_type, blob.about, entry.at, blob.config_type
        )
        digest = digest_of(body)
        there = entry.stage is Stage.ATTACHED and await exists(repository, digest, asked, house) == digest
        if not there:
            await write_manifest(
                repository, digest, body, OCI_MANIFEST, partial(_upload, repository, [blob], asked, house), asked, house
            )
        if entry.stage is Stage.ATTACHED and entry.artifact != digest:  # the key's certificates are new ones
            await house.ledger.advance([entry.key], Stage.ATTACHED, digest)
        if relist or not there or entry.stage is not Stage.ATTACHED:
            await list_referrer(repository, subject.digest, body, asked, house, locked=True)
            await asyncio.gather(  # one commit
                _done(repository, subject.digest, [entry], digest, asked, house),
                _learn(repository, subject.digest, None if there else body, house),
            )


async def list_referrer(
    repository: Repository, subject: Digest, body: bytes, asked: Asked, house: House, *, locked: bool = False
) -> None:
    """After this the referrer is listed upstream: by its API, or in the fallback tag where we do not know of one.

    What somebody keeps under that tag is left alone where it is no such list; our API lists the referrer all the same.
    """
    if await house.registry.referrers_api(repository, subject, asked.credential) is ReferrersApi.HAS:
        return
    manifest = parse(body, "", house.limits)
    entry = carrier.referrer(manifest, digest_of(body), len(body))

    def change(old: bytes | None) -> bytes | None:
        new = carrier.fallback_index(old, [entry])
        return None if new == old else new

    async with nullcontext() if locked else house.memory.alone(("attach", repository, subject)):
        await _change_list(repository, subject, change, asked, house)


async def unlist_referrer(repository: Repository, subject: Digest, digest: Digest, asked: Asked, house: House) -> None:
    """After this the fallback tag no longer lists a referrer that was deleted."""
    if await house.registry.referrers_api(repository, subject, asked.credential) is ReferrersApi.HAS:
        return

    def change(old: bytes | None) -> bytes | None:
        if old is None:
            return None
        new = carrier.fallback_index(old, (), {digest})
        return None if new == old else new

    async with house.memory.alone(("attach", repository, subject)):
        await _change_list(repository, subject, change, asked, house)


async def _change_list(repository: Repository, subject: Digest, change: Change, asked: Asked, house: House) -> None:
    async def ours(body: bytes) -> bool:
        return await lists_referrers(repository, subject, body, asked, house)

    await change_tag(repository, fallback_tag(subject), OCI_INDEX, change, nothing, asked, house, ours=ours)


async def _done(
    repository: Repository,
    subject: Digest,
    entries: Sequence[Entry],
    artifact: Digest | None,
    asked: Asked,
    house: House,
) -> None:
    """Record what is upstream now; what was attached before and is still there changes nothing."""
    fresh = [e for e in entries if e.stage is not Stage.ATTACHED]
    if not fresh:
        return
    now = house.clock.now()
    events = [
        Event(
            at=now,
            kind=Kind.SIGNATURE_ATTACHED,
            repository=repository,
            reference=e.key.bound,
            digest=subject,
            request_id=asked.request_id,
            detail={"format": e.key.format, "key": e.key.fingerprint, "artifact": artifact or ""},
        )
        for e in fresh
    ]
    await asyncio.gather(  # one commit
        house.ledger.advance([e.key for e in fresh], Stage.ATTACHED, artifact), house.journal.record(*events)
    )


async def _learn(repository: Repository, subject: Digest, body: bytes | None, house: House) -> None:
    """Record what a carrier of ours lists. Whether it is a signature artifact is still proven when it is pulled."""
    if body is None:
        return
    blobs = parse(body, OCI_MANIFEST, house.limits).blobs
    fact = ManifestFact(repository, digest_of(body), OCI_MANIFEST, len(body), (), blobs, subject)
    await house.facts.learn(fact, fresh=True)


async def take_off(
    repository: Repository, subject: Digest, entries: Sequence[Entry], asked: Asked, house: House
) -> None:
    """After this these simple signatures are off the `.sig` tag, and removed in the ledger.

    Everybody else's stay. The caller holds the lock of the tag.
    """
    marks = {carrier.mark(layer_of(e, house)) for e in entries if e.signature is not None}

    def change(old: bytes | None) -> bytes | None:
        if old is None or not _holds_signatures(old, house) or not marks & _marks(old, house):
            return None
        return carrier.sig_manifest(old, (), marks)

    written = await change_tag(repository, signature_tag(subject), OCI_MANIFEST, change, nothing, asked, house)
    await house.ledger.advance([e.key for e in entries], Stage.REMOVED)
    await _learn(repository, subject, written, house)
