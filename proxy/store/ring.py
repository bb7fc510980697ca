"""The key book as text: what its revision is the hash of. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from proxy.store.canonical import canonical
from proxy.trust.keys import BookKey, KeyRing, KeyState, TrustedKey, fingerprint


def ring_of(ours: Sequence[BookKey], others: Iterable[TrustedKey]) -> KeyRing:
    """Return all keys under their revision: ours in the order given, other people's after them."""
    theirs = tuple(others)
    revision = hashlib.sha256(text_of(ours, theirs).encode()).hexdigest()
    return KeyRing(revision, tuple(ours), theirs)


def text_of(ours: Iterable[BookKey], others: Iterable[TrustedKey]) -> str:
    """Return the whole key book as canonical JSON; two books that say the same have the same text."""
    mine = sorted((_ours(key) for key in ours), key=lambda row: str(row["fingerprint"]))
    theirs = sorted(
        (
            {"name": key.name, "fingerprint": fingerprint(key.spki), "spki": key.spki.hex(), "identity": key.identity}
            for key in others
        ),
        key=lambda row: (row["name"], row["fingerprint"], row["identity"]),
    )
    return canonical({"ours": mine, "trusted": theirs})


def _ours(key: BookKey) -> dict[str, str | None]:
    return {
        "profile": key.profile,
        "fingerprint": fingerprint(key.spki),
        "spki": key.spki.hex(),
        "algorithm": key.algorithm,
        "token": key.token,
        "token_serial": key.token_serial,
        "key_id": key.key_id,
        "label": key.label,
        "state": key.state.value,
        "since": _instant(key.since),
        "compromised_since": _instant(key.compromised_since) if key.compromised_since else None,
    }


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")


def with_added(ours: Sequence[BookKey], key: BookKey) -> tuple[BookKey, ...]:
    """Return the keys with this one among them.

    A key that is there already keeps its state, and moves to where it is now said to live (token, id, label).
    Raises ValueError when it is there under another profile: one key for two purposes vouches for both.
    """
    found = next((k for k in ours if k.spki == key.spki), None)
    if found is None:
        return (*ours, key)
    if found.profile != key.profile:
        raise ValueError(
            f"key book: the key {fingerprint(key.spki)} is there already under profile {found.profile!r}, "
            f"so it cannot also be {key.profile!r}; make another key for {key.profile!r}"
        )
    placed = replace(key, state=found.state, since=found.since, compromised_since=found.compromised_since)
    return tuple(placed if k is found else k for k in ours)


def with_state(ours: Sequence[BookKey], which: str, state: KeyState, at: datetime) -> tuple[BookKey, ...]:
    """Return the keys with the one of this fingerprint in another state. Raises ValueError when there is none."""
    if which not in {fingerprint(k.spki) for k in ours}:
        raise ValueError(f"key book: no key has the fingerprint {which}; `countersign status` lists the keys there are")
    compromised = at if state is KeyState.COMPROMISED else None
    return tuple(
        replace(k, state=state, since=at, compromised_since=compromised)
        if fingerprint(k.spki) == which and k.state is not state
        else k
        for k in ours
    )
