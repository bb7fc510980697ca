"""The key book as text, whose hash is the revision, and its changes. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from proxy.keys.states import refusal
from proxy.oci.strict_json import canonical
from proxy.trust.authority import Authority, KeylessSigner
from proxy.trust.keys import Amendment, BookKey, KeyRing, KeyState, Trusted, TrustedKey, fingerprint


def ring_of(ours: Sequence[BookKey], trusted: Iterable[Trusted]) -> KeyRing:
    """Return all keys with their revision: ours in the given order, then those of others."""
    theirs = tuple(trusted)
    revision = hashlib.sha256(text_of(ours, theirs).encode()).hexdigest()
    keys = tuple(each for each in theirs if isinstance(each, TrustedKey))
    authorities = tuple(each for each in theirs if isinstance(each, Authority))
    keyless = tuple(each for each in theirs if isinstance(each, KeylessSigner))
    return KeyRing(revision, tuple(ours), keys, authorities, keyless)


def text_of(ours: Iterable[BookKey], trusted: Iterable[Trusted]) -> str:
    """Return the whole key book as canonical JSON; equal books have equal text."""
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
        "fingerprint": key.fingerprint,
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


def with_added(ours: Sequence[BookKey], key: BookKey, after: str | None = None) -> tuple[BookKey, ...]:
    """Return the keys with this one added; `after` is the fingerprint of the key that must still be active.

    A known key keeps its state and gets the new place (token, id, label). Raises ValueError when it is known under
    another profile (one key must not vouch for two purposes), when it would be a second active or prepared key on its
    token, and when the key `after` is no longer active.
    """
    if after is not None:
        _still_active(ours, after)
    found = next((k for k in ours if k.spki == key.spki), None)
    if found is None:
        _only_one_each((*ours, key))
        return (*ours, key)
    if found.profile != key.profile:
        raise ValueError(
            f"key book: the key {key.fingerprint} is there already under profile {found.profile!r}, "
            f"so it cannot also be {key.profile!r}; make another key for {key.profile!r}"
        )
    placed = replace(found, token=key.token, token_serial=key.token_serial, key_id=key.key_id, label=key.label)
    return tuple(placed if k is found else k for k in ours)


def with_state(
    ours: Sequence[BookKey],
    which: str,
    state: KeyState,
    at: datetime,
    since: datetime | None = None,
    was: KeyState | None = None,
) -> tuple[BookKey, ...]:
    """Return the keys, with the one with this fingerprint in another state.

    `since` applies to a compromised key: since when others may have had it; None if unknown. It may be set later.
    Raises ValueError when there is no such key, when it would be a second active key, when it is compromised, and when
    its state is no longer `was`: another server may have changed the book since the caller read it.
    """
    key = _known(ours, which)
    if was is not None and key.state is not was:
        raise ValueError(refusal(key, state) or f"key {which[:12]} of {key.profile} is {key.state} by now, not {was}")
    if key.state is state and since in {None, key.compromised_since}:
        return tuple(ours)
    if key.state is KeyState.COMPROMISED and state is not KeyState.COMPROMISED:
        raise ValueError(refusal(key, state))
    if state is KeyState.DESTROYED and (why := refusal(key, state)) is not None:
        raise ValueError(why)
    compromised = since if state is KeyState.COMPROMISED else None
    at = key.since if key.state is state else at
    moved = tuple(
        replace(k, state=state, since=at, compromised_since=compromised) if k.spki == key.spki else k for k in ours
    )
    _only_one_each(moved)
    return moved


def with_active(
    ours: Sequence[BookKey],
    which: str,
    at: datetime,
    signs_until: datetime | None = None,
    retire_after: datetime | None = None,
) -> tuple[BookKey, ...]:
    """Return the keys with this prepared one active, and the previously active one on its token trusted.

    The previous key also signs until `signs_until`, and is retired at `retire_after`. Raises ValueError when there is
    no such key, or it is not prepared.
    """
    key = _known(ours, which)
    if (why := refusal(key, KeyState.ACTIVE)) is not None:
        raise ValueError(why)
    old = KeyRing("", tuple(ours)).active(key.profile, key.token)
    if old is not None:
        ended = replace(old, state=KeyState.TRUSTED, since=at, signs_until=signs_until, retire_after=retire_after)
        ours = [ended if k is old else k for k in ours]
    plain = replace(key, activate_at=None, signs_until=None, retire_after=None)
    return with_state([plain if k is key else k for k in ours], which, KeyState.ACTIVE, at)


def _still_active(ours: Sequence[BookKey], which: str) -> None:
    key = _known(ours, which)
    if key.state is not KeyState.ACTIVE:
        raise ValueError(
            f"key book: {which[:12]} of {key.profile} is {key.state}; somebody else changed it meanwhile, "
            "and the key made now is not used"
        )


def with_amended(ours: Sequence[BookKey], which: str, changes: Amendment) -> tuple[BookKey, ...]:
    """Return the keys with the one with this fingerprint changed. Raises ValueError when there is none."""
    key = _known(ours, which)
    return tuple(replace(k, **changes) if k.spki == key.spki else k for k in ours)


def _known(ours: Sequence[BookKey], which: str) -> BookKey:
    found = next((k for k in ours if k.fingerprint == which), None)
    if found is None:
        raise ValueError(f"key book: no key has the fingerprint {which}; list the keys with: countersign keys list")
    return found


def _only_one_each(ours: Sequence[BookKey]) -> None:
    """Raise ValueError if a profile has two active or two prepared keys on one token."""
    for state in (KeyState.ACTIVE, KeyState.PREPARED):
        places = [(k.profile, k.token) for k in ours if k.state is state]
        for profile, token in places:
            if places.count((profile, token)) > 1:
                raise ValueError(
                    f"key book: {profile!r} would have two {state} keys on token {token}; "
                    "`countersign keys list` shows the existing one"
                )
