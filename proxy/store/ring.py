"""The key book as text: what its revision is the hash of. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from proxy.store.canonical import canonical
from proxy.trust.authority import Authority
from proxy.trust.keyless import KeylessSigner
from proxy.trust.keylife import refusal
from proxy.trust.keys import Amendment, BookKey, KeyRing, KeyState, Trusted, TrustedKey, fingerprint


def ring_of(ours: Sequence[BookKey], trusted: Iterable[Trusted]) -> KeyRing:
    """Return all keys under their revision: ours in the order given, other people's after them."""
    theirs = tuple(trusted)
    revision = hashlib.sha256(text_of(ours, theirs).encode()).hexdigest()
    keys = tuple(each for each in theirs if isinstance(each, TrustedKey))
    authorities = tuple(each for each in theirs if isinstance(each, Authority))
    keyless = tuple(each for each in theirs if isinstance(each, KeylessSigner))
    return KeyRing(revision, tuple(ours), keys, authorities, keyless)


def text_of(ours: Iterable[BookKey], trusted: Iterable[Trusted]) -> str:
    """Return the whole key book as canonical JSON; two books that say the same have the same text."""
    mine = sorted((_ours(key) for key in ours), key=lambda row: str(row["fingerprint"]))
    theirs = tuple(trusted)
    keys = sorted(
        (
            {"name": key.name, "fingerprint": fingerprint(key.spki), "spki": key.spki.hex(), "identity": key.identity}
            for key in theirs
            if isinstance(key, TrustedKey)
        ),
        key=lambda row: (row["name"], row["fingerprint"], row["identity"]),
    )
    authorities = sorted((_authority(each) for each in theirs if isinstance(each, Authority)), key=canonical)
    keyless = sorted((_keyless(each) for each in theirs if isinstance(each, KeylessSigner)), key=canonical)
    more = {"authorities": authorities, "keyless": keyless}
    return canonical({"ours": mine, "trusted": keys, **{name: rows for name, rows in more.items() if rows}})


def _keyless(signer: KeylessSigner) -> dict[str, object]:
    return {
        "name": signer.name,
        "issuer": signer.issuer,
        "identities": sorted(signer.identities),
        "trusted_root": signer.trusted_root.hex(),
    }


def _authority(authority: Authority) -> dict[str, object]:
    return {
        "name": authority.name,
        "certificates": sorted(root.hex() for root in authority.roots),
        "identities": sorted(identity.text for identity in authority.identities),
        **({"timestamps": sorted(root.hex() for root in authority.tsa_roots)} if authority.tsa_roots else {}),
        **({"crl": list(authority.crl), "allow_unlisted": authority.allow_unlisted} if authority.crl else {}),
    }


def _ours(key: BookKey) -> dict[str, str | list[str] | None]:
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
        "compromised_since": _instant(key.compromised_since),
        "chain": [each.hex() for each in key.chain],
        "activate_at": _instant(key.activate_at),
        "signs_until": _instant(key.signs_until),
        "retire_after": _instant(key.retire_after),
        "backup_at": _instant(key.backup_at),
    }


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="microseconds")


def with_added(ours: Sequence[BookKey], key: BookKey) -> tuple[BookKey, ...]:
    """Return the keys with this one among them.

    A key that is there already keeps its state, and moves to where it is now said to live (token, id, label).
    Raises ValueError when it is there under another profile (one key for two purposes vouches for both), and when it is
    active beside an active one.
    """
    found = next((k for k in ours if k.spki == key.spki), None)
    if found is None:
        _only_one_signs((*ours, key))
        return (*ours, key)
    if found.profile != key.profile:
        raise ValueError(
            f"key book: the key {fingerprint(key.spki)} is there already under profile {found.profile!r}, "
            f"so it cannot also be {key.profile!r}; make another key for {key.profile!r}"
        )
    placed = replace(found, token=key.token, token_serial=key.token_serial, key_id=key.key_id, label=key.label)
    return tuple(placed if k is found else k for k in ours)


def with_state(
    ours: Sequence[BookKey], which: str, state: KeyState, at: datetime, since: datetime | None = None
) -> tuple[BookKey, ...]:
    """Return the keys with the one of this fingerprint in another state.

    `since` is for a compromised key: since when others may have had it; None where nobody knows. It may be told later.
    Raises ValueError when there is none, when it would be active beside an active one, and when it is compromised:
    whoever asks may have read the book before somebody else wrote that into it.
    """
    key = _known(ours, which)
    if key.state is state and since in {None, key.compromised_since}:
        return tuple(ours)
    if key.state is KeyState.COMPROMISED and state is not KeyState.COMPROMISED:
        raise ValueError(refusal(key, state))
    compromised = since if state is KeyState.COMPROMISED else None
    at = key.since if key.state is state else at
    moved = tuple(
        replace(k, state=state, since=at, compromised_since=compromised) if k.spki == key.spki else k for k in ours
    )
    _only_one_signs(moved)
    return moved


def with_active(ours: Sequence[BookKey], which: str, at: datetime) -> tuple[BookKey, ...]:
    """Return the keys with this prepared one active, and the one that was active in its profile trusted.

    Raises ValueError when there is no such key, or it is not prepared.
    """
    key = _known(ours, which)
    if (why := refusal(key, KeyState.ACTIVE)) is not None:
        raise ValueError(why)
    before = [k for k in ours if k.profile == key.profile and k.state is KeyState.ACTIVE]
    for old in before:
        ours = with_state(ours, fingerprint(old.spki), KeyState.TRUSTED, at)
    return with_state(ours, which, KeyState.ACTIVE, at)


def with_amended(ours: Sequence[BookKey], which: str, changes: Amendment) -> tuple[BookKey, ...]:
    """Return the keys with the one of this fingerprint changed. Raises ValueError when there is none."""
    key = _known(ours, which)
    return tuple(replace(k, **changes) if k.spki == key.spki else k for k in ours)


def _known(ours: Sequence[BookKey], which: str) -> BookKey:
    found = next((k for k in ours if fingerprint(k.spki) == which), None)
    if found is None:
        raise ValueError(
            f"key book: no key has the fingerprint {which}; `countersign keys list` shows the keys there are"
        )
    return found


def _only_one_signs(ours: Sequence[BookKey]) -> None:
    active = [k.profile for k in ours if k.state is KeyState.ACTIVE]
    for profile in active:
        if active.count(profile) > 1:
            raise ValueError(f"key book: {profile!r} would have two active keys; activate the new one instead")
