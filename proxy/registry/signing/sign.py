"""Sign: record the intent in the ledger, get bytes from the token, store them in the ledger; `attach` publishes them.

The same (digest, key, format, bound reference) is never signed twice, even after a crash: the bytes are stored before
they are sent anywhere, and are found again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

from proxy.formats.format import Signing
from proxy.formats.table import FORMATS
from proxy.journal.event import Event, EventKind
from proxy.oci.faults import Told, Unavailable
from proxy.oci.manifest import Descriptor
from proxy.oci.reference import Digest, Repository, Tag, parse_tag
from proxy.registry.ports.keys import Timestamper, TokenState
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.fresh import require_fresh
from proxy.registry.reading.read import all_ended, together
from proxy.trust.actor import Actor
from proxy.trust.keys import BookKey
from proxy.trust.ledger import Entry, SignatureKey, Stage

SIMPLE = "cosign-simple"
_TOGETHER = 16  # signatures stored in one commit: a crash loses as many, and they are made again
Wanted = tuple[Descriptor, Sequence[tuple[str, str]]]  # a manifest, and the (format, bound) pairs of its signatures


async def nothing_else() -> None:
    """Do nothing."""


def unseen(_: Sequence[Entry]) -> None:
    """Do nothing."""


def bound_to(repository: Repository, tag: Tag | None, ports: Ports) -> str:
    """Return the name a signature is bound to: HOST/REPO or HOST/REPO:TAG; HOST is our canonical public name."""
    name = f"{ports.hosts[0]}/{repository}"
    return name if tag is None else f"{name}:{tag}"


def tag_of(bound: str) -> Tag | None:
    """Return the tag that a signature is bound to, None if it is bound to the repository."""
    return parse_tag(bound.rpartition("/")[2].partition(":")[2]) if names_a_tag(bound) else None


def names_a_tag(bound: str) -> bool:
    """True when a signature is bound to a tag and not to the repository; a host's port is not a tag."""
    return ":" in bound.rpartition("/")[2]


def wanted(formats: Sequence[str], repository: Repository, tags: Sequence[Tag], ports: Ports) -> list[tuple[str, str]]:
    """Return the (format, bound) pairs of one push: referrers once per repository, and only when a tag points there.

    Every cosign finds the simple signature; a manifest pushed by digest alone is usually a child of an index. If simple
    signatures are off, it gets the others anyway: nothing is acknowledged unsigned.
    """
    own = bound_to(repository, None, ports)
    pairs = [(name, own) for name in formats if name == SIMPLE or tags or SIMPLE not in formats]
    if SIMPLE in formats:
        pairs += [(SIMPLE, bound_to(repository, tag, ports)) for tag in tags]
    return pairs


async def sign(
    repository: Repository,
    subject: Descriptor,
    pairs: Sequence[tuple[str, str]],
    profiles: Sequence[str],
    claims: Mapping[str, str],
    by: Actor,
    ports: Ports,
    *,
    also: Sequence[Wanted] = (),
    beside: Callable[[], Awaitable[object]] = nothing_else,
    meanwhile: Callable[[Sequence[Entry]], None] = unseen,
) -> tuple[Entry, ...]:
    """Return a ledger entry with signature bytes for each key and pair; signs only those that are not signed yet.

    Every key of a profile on one token signs: on its first token, or else on the next available standby. A format that
    needs certificates is skipped for a key that has none, as long as another key or format is left. Raises Unavailable
    when no token or key is available or no format is left, Fault TOOMANYREQUESTS when the token's queue is full.

    `also`: more manifests to sign in the same commits. `beside` is stored in the commit of the intents. `meanwhile` is
    told what the token is about to sign. Both are for the first of several callers that request the same.
    """
    tried = set[tuple[BookKey, ...]]()
    every: Sequence[Wanted] = ((subject, pairs), *also)
    subjects = {one.digest: one for one, _ in every}
    while True:
        chosen = {profile: signers_now(profile, ports) for profile in profiles}
        keys: dict[SignatureKey, BookKey] = {}
        for profile, signers in chosen.items():
            for one, formats in every:
                possible = [
                    (key, *pair) for key in signers for pair in formats if key.chain or not FORMATS[pair[0]].certified
                ]
                if formats and not possible:
                    names = " and ".join(dict.fromkeys(name for name, _ in formats))
                    raise Unavailable(f"profile {profile} has no certificate chain yet, which {names} needs")
                for key, name, bound in possible:
                    keys[SignatureKey(repository, one.digest, key.fingerprint, name, bound)] = key
        tried.add(_flat(chosen))
        try:
            return await ports.cache.once(
                ("sign", repository, *keys),
                partial(_alone, repository, subjects, keys, claims, by, ports, beside, meanwhile),
            )
        except Unavailable:
            if _flat({profile: signers_now(profile, ports) for profile in profiles}) in tried:
                raise


def _flat(chosen: Mapping[str, tuple[BookKey, ...]]) -> tuple[BookKey, ...]:
    return tuple(key for keys in chosen.values() for key in keys)


def signers_now(profile: str, ports: Ports) -> tuple[BookKey, ...]:
    """Return the keys that sign for this profile now. Raises Unavailable when no key is active."""
    signers = ports.keybook.ring().signers(profile, ports.clock.now())
    turns = [turn for turn in ports.signer.tokens_of(profile) if turn.token in signers]
    if not turns:
        raise Unavailable(f"no active key for profile {profile}")
    return signers[next((turn.token for turn in turns if turn.away is None), turns[0].token)]


def failed_over_from(key: BookKey, ports: Ports) -> TokenState | None:
    """Return the token that this key replaces, None if its own token comes first."""
    turns = ports.signer.tokens_of(key.profile)
    return None if not turns or turns[0].token == key.token else turns[0]


def failover_warning(entries: Sequence[Entry], ports: Ports) -> str | None:
    """Return the warning about signatures made by a standby's key, None if there are none."""
    own = {entry.key.fingerprint for entry in entries}
    for key in ports.keybook.ring().ours:
        if key.fingerprint in own and failed_over_from(key, ports) is not None:
            return f"{ports.name}: signed for {key.profile} by a standby of its token; its operators see why"
    return None


async def _alone(
    repository: Repository,
    subjects: Mapping[Digest, Descriptor],
    keys: Mapping[SignatureKey, BookKey],
    claims: Mapping[str, str],
    by: Actor,
    ports: Ports,
    beside: Callable[[], Awaitable[object]],
    meanwhile: Callable[[Sequence[Entry]], None],
) -> tuple[Entry, ...]:
    async with AsyncExitStack() as alone:
        for digest in sorted(subjects):  # all tasks lock in one order
            await alone.enter_async_context(ports.cache.lock(("sign", repository, digest)))
        return await _signed(subjects, keys, claims, by, ports, beside, meanwhile)


def signing_by(key: BookKey, timestamp: bytes = b"") -> Signing:
    """Return the facts about our key, and the timestamp over its signature, that formats need."""
    return Signing(key.spki, key.chain, timestamp)


async def _signed(
    subjects: Mapping[Digest, Descriptor],
    keys: Mapping[SignatureKey, BookKey],
    claims: Mapping[str, str],
    by: Actor,
    ports: Ports,
    beside: Callable[[], Awaitable[object]],
    meanwhile: Callable[[Sequence[Entry]], None],
) -> tuple[Entry, ...]:
    """Return the signed entries, in two commits (intents; bytes with their rows): each costs a disk write."""
    entries = {entry.key: entry for entry in await _intended(subjects, keys, claims, ports, beside)}
    todo = [entry for entry in entries.values() if entry.signature is None]
    meanwhile(todo)
    for start in range(0, len(todo), _TOGETHER):
        entries |= await _made(todo[start : start + _TOGETHER], keys, by, ports)
    return await timestamped([entries[key] for key in keys], by, ports)


async def _made(
    todo: Sequence[Entry], keys: Mapping[SignatureKey, BookKey], by: Actor, ports: Ports
) -> dict[SignatureKey, Entry]:
    """Return these entries with their signatures, which are on disk. Raises what the token raised."""
    require_fresh(ports)
    gate = asyncio.Semaphore(ports.limits.signatures_at_once)  # one push must not fill the token's queue

    async def one(entry: Entry) -> bytes:
        async with gate:
            try:
                return await ports.signer.sign(keys[entry.key], entry.message, FORMATS[entry.key.format].scheme)
            except Unavailable as away:
                raise Unavailable(away.what, told=Told.DEVICE if away.told is Told.NOTHING else away.told) from away

    made = await asyncio.gather(  # keep every signature the token made, even if others failed
        *(one(entry) for entry in todo), return_exceptions=True
    )
    now = ports.clock.now()  # the time of signing, not of the intent: a key's end is measured by it
    fresh = [
        replace(entry, stage=Stage.SIGNED, signature=signature, at=now)
        for entry, signature in zip(todo, made, strict=True)
        if not isinstance(signature, BaseException)
    ]
    stored: list[Entry] = []
    if fresh:
        events = [_event(entry, keys[entry.key], by, ports) for entry in fresh]
        _, *stored = await all_ended(ports.journal.record(*events), *(ports.ledger.put(entry) for entry in fresh))
    for failure in made:
        if isinstance(failure, BaseException):
            raise failure
    return {entry.key: entry for entry in stored}


async def _intended(
    subjects: Mapping[Digest, Descriptor],
    keys: Mapping[SignatureKey, BookKey],
    claims: Mapping[str, str],
    ports: Ports,
    beside: Callable[[], Awaitable[object]],
) -> Sequence[Entry]:
    """Return the ledger's entry for each key. Existing entries keep their message, even after a crash."""
    repository = next((key.repository for key in keys), None)
    known = [] if repository is None else [ports.ledger.entries(repository, digest) for digest in subjects]
    there = {entry.key: entry for entries in await together(known) for entry in entries}
    now = ports.clock.now()
    intents = []
    for key, own in keys.items():
        if key not in there:  # also after a removal: putting the entry restores its signature
            draft = FORMATS[key.format].draft(subjects[key.digest], key.bound, claims, signing_by(own), now)
            intents.append(Entry(key, Stage.INTENDED, draft.message, now, claims=dict(claims)))
    _, *stored = await all_ended(beside(), *(ports.ledger.put(entry) for entry in intents))  # one commit
    there |= {entry.key: entry for entry in stored}
    return [there[key] for key in keys]


def _event(entry: Entry, key: BookKey, by: Actor, ports: Ports) -> Event:
    return ports.event(
        EventKind.SIGNED,
        by,
        about=(entry.key.repository, entry.key.bound, entry.key.digest),
        detail={
            "key": entry.key.fingerprint,
            "format": entry.key.format,
            "profile": key.profile,
            **({"standby": key.token} if failed_over_from(key, ports) else {}),
        },
    )


async def timestamped(entries: Sequence[Entry], by: Actor, ports: Ports) -> tuple[Entry, ...]:
    """Return the entries, with a timestamp token in the ledger for each that wants one and can have one.

    Entries that are already attached keep their bytes. Raises Unavailable when a token is required and cannot be
    obtained: the signature is kept, and the next attempt requests its token again.
    """
    timestamper = ports.timestamper
    if timestamper is None:
        return tuple(entries)
    asking = (_timestamped(entry, timestamper, by, ports) for entry in entries)
    return tuple(await all_ended(*asking))


async def _timestamped(entry: Entry, timestamper: Timestamper, by: Actor, ports: Ports) -> Entry:
    wants = FORMATS[entry.key.format].certified and entry.stage is Stage.SIGNED and not entry.timestamp
    if not wants or entry.signature is None:
        return entry
    try:
        token = await timestamper.stamp(entry.signature)
    except Unavailable as away:
        if timestamper.required:
            what = f"signed, but not timestamped, which `timestamps.required` asks for: {away.what}"
            raise Unavailable(what, told=Told.TIMESTAMP) from None
        key = entry.key
        about = (key.repository, key.bound, key.digest)
        detail = {"key": key.fingerprint, "format": key.format, "why": away.what}
        await ports.journal.record(ports.event(EventKind.NOT_TIMESTAMPED, by, about=about, detail=detail))
        return entry
    return await ports.ledger.put(replace(entry, timestamp=token))
