"""Sign: intent into the ledger, bytes from the token, bytes into the ledger; attaching them is `attach`'s work.

The same (digest, key, format, bound reference) is never signed twice, also not after a crash: what was signed is found
again, because its bytes are stored before they go anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from proxy.flows.house import House
from proxy.formats.table import FORMATS
from proxy.oci.faults import Unavailable
from proxy.oci.reference import Digest, Repository, Tag
from proxy.trust.event import Event, Kind
from proxy.trust.keys import BookKey, fingerprint
from proxy.trust.ledger import Entry, SignatureKey, Stage

SIMPLE = "cosign-simple"


def bound_to(repository: Repository, tag: Tag | None, house: House) -> str:
    """Return what a signature is bound to: HOST/REPO, or HOST/REPO:TAG; HOST is our canonical public name."""
    name = f"{house.hosts[0]}/{repository}"
    return name if tag is None else f"{name}:{tag}"


def wanted(formats: Sequence[str], repository: Repository, tags: Sequence[Tag], house: House) -> list[tuple[str, str]]:
    """Return the (format, bound) pairs of one push: the bundle once per repository, and only where a tag points.

    Every cosign finds the simple signature; a manifest pushed by digest alone is mostly a child of an index.
    """
    own = bound_to(repository, None, house)
    pairs = [(name, own) for name in formats if name == SIMPLE or tags]
    if SIMPLE in formats:
        pairs += [(SIMPLE, bound_to(repository, tag, house)) for tag in tags]
    return pairs


async def sign(
    repository: Repository,
    subject: Digest,
    pairs: Sequence[tuple[str, str]],
    profiles: Sequence[str],
    claims: Mapping[str, str],
    request_id: str,
    house: House,
) -> tuple[Entry, ...]:
    """Return a ledger entry with signature bytes for each profile and pair; signs only what is not signed yet.

    Raises Unavailable when the token or the key is not there, Fault TOOMANYREQUESTS when its queue is full.
    """
    ring = house.keybook.ring()
    entries: list[Entry] = []
    for profile in profiles:
        key = ring.active(profile)
        if key is None:
            raise Unavailable(f"no active key for profile {profile}")
        for name, bound in pairs:
            wanted_key = SignatureKey(repository, subject, fingerprint(key.spki), name, bound)
            entries.append(await _sign_once(wanted_key, key, claims, request_id, house))
    return tuple(entries)


async def _sign_once(
    wanted_key: SignatureKey, key: BookKey, claims: Mapping[str, str], request_id: str, house: House
) -> Entry:
    async def work() -> Entry:
        entry = await house.ledger.find(wanted_key)
        if entry is None or entry.stage is Stage.REMOVED:
            draft = FORMATS[wanted_key.format].draft(wanted_key.digest, wanted_key.bound, claims)
            intent = Entry(wanted_key, Stage.INTENDED, draft.message, house.clock.now(), claims=dict(claims))
            entry = await house.ledger.put(intent)
        if entry.signature is not None:
            return entry
        signature = await house.signer.sign(key, entry.message)
        signed = Entry(wanted_key, Stage.SIGNED, entry.message, entry.at, signature, entry.claims)
        stands = await house.ledger.put(signed)
        await house.journal.record(
            Event(
                at=house.clock.now(),
                kind=Kind.SIGNED,
                who=claims.get("pusher", "countersign"),
                repository=wanted_key.repository,
                reference=wanted_key.bound,
                digest=wanted_key.digest,
                request_id=request_id,
                key_revision=house.keybook.ring().revision,
                detail={"key": wanted_key.fingerprint, "format": wanted_key.format, "profile": key.profile},
            )
        )
        return stands

    return await house.memory.once(("sign", wanted_key), work)
