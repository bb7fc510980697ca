"""The life of our keys: each change and its journal rows are one transaction.

After an interruption at any step, the profile has exactly one active key: the old one until the last step, the new one
after it. A key that was created but not recorded stays on the token and signs nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from proxy.journal.event import Event, EventKind
from proxy.journal.port import Search
from proxy.keys.states import refusal
from proxy.oci.faults import Conflict, Invalid, NotFound, Unavailable
from proxy.registry.ports_in_use import Ports
from proxy.trust.actor import Actor
from proxy.trust.keys import BookKey, KeyState
from proxy.trust.schedule import Handover

ALONE = ("keys",)
_CREATED = 1000  # most rows that are read for the age of keys
AT_ONCE = Handover()


@dataclass(frozen=True)
class Rotated:
    """The key that signed until now (trusted from now on), and the key that signs now."""

    old: BookKey | None
    new: BookKey


async def rotate(
    profile: str, actor: Actor, ports: Ports, *, terms: Handover = AT_ONCE, token: str | None = None
) -> Rotated:
    """Make and prove a new key, which then signs for the profile; the previous key only verifies.

    `terms` may keep the new key prepared first, or let both keys sign; `token` selects a token other than the profile's
    first. Raises Fault (no such profile, or a key is prepared already), Unavailable (token or store; the old one still
    signs).
    """
    async with ports.cache.lock(ALONE):
        old = may_rotate(profile, ports, token)
        begins = None if terms.publish_first is None else ports.clock.now() + terms.publish_first
        new = await prepared(profile, actor, ports, token, begins, terms)
        return Rotated(old, new) if begins else await activated(new, actor, ports, terms)


async def prepare(profile: str, actor: Actor, ports: Ports, *, token: str | None = None) -> BookKey:
    """Return a new, proved key: it verifies from now on, and signs once it is activated.

    Raises Fault (no such profile, or a key is prepared already), Unavailable.
    """
    async with ports.cache.lock(ALONE):
        may_rotate(profile, ports, token)
        return await prepared(profile, actor, ports, token)


async def schedule(profile: str, token: str, begins: datetime, actor: Actor, ports: Ports, terms: Handover) -> BookKey:
    """Return a new, proved key that becomes active at `begins`. Raises Fault, Unavailable."""
    async with ports.cache.lock(ALONE):
        may_rotate(profile, ports, token)
        return await prepared(profile, actor, ports, token, begins, terms)


async def activate(key: str, actor: Actor, ports: Ports, *, terms: Handover = AT_ONCE) -> Rotated:
    """Let the prepared key with this fingerprint sign; the previous key only verifies.

    The terms set at preparation apply unless `terms` overrides them. The key proves itself again first, because it may
    have been waiting for weeks. Raises Fault, Unavailable.
    """
    async with ports.cache.lock(ALONE):
        new = may_become(key, KeyState.ACTIVE, ports)
        await ports.signer.prove(new)
        return await activated(new, actor, ports, terms)


async def retire(key: str, actor: Actor, ports: Ports) -> BookKey:
    """Retire the key: images signed only by it are blocked with key_retired. Raises Fault, Unavailable."""
    async with ports.cache.lock(ALONE):
        old = may_become(key, KeyState.RETIRED, ports)
        return await moved(old, KeyState.RETIRED, actor, ports)


async def compromise(
    key: str, actor: Actor, ports: Ports, *, rotate: bool = False, since: datetime | None = None
) -> BookKey:
    """Mark the key as compromised: images signed only by it are blocked with key_compromised.

    If the policy trusts the ledger, signatures that the ledger dates before `since` still count; a later call may set
    `since`. With `rotate` an active key is first replaced: by the prepared key, else by a new one. Without it, nothing
    is signed for the profile until another key is active. Raises Fault, Unavailable.
    """
    async with ports.cache.lock(ALONE):
        bad = may_be_compromised(key, since, ports)
        if rotate and bad.state is KeyState.ACTIVE:
            waiting = ports.keybook.ring().prepared(bad.profile, bad.token)
            new = waiting or await prepared(bad.profile, actor, ports, bad.token)
            await ports.signer.prove(new)
            await activated(new, actor, ports, None)
        return await moved(find(key, ports), KeyState.COMPROMISED, actor, ports, since)


def find(key: str, ports: Ports) -> BookKey:
    """Return the key with this fingerprint, or the only one whose fingerprint starts with it. Raises Fault."""
    found = [k for k in ports.keybook.ring().ours if len(key) >= 8 and k.fingerprint.startswith(key.lower())]
    if len(found) == 1:
        return found[0]
    why = "is the beginning of several" if found else "is not one of ours (give at least 8 digits of it)"
    raise NotFound(f"key {key[:80]!a} {why}; list the keys with: countersign keys list")


async def created(ports: Ports) -> dict[str, datetime]:
    """Return when keys of ours came into the key book, by their fingerprints. Raises Unavailable."""
    rows = await ports.journal.search(Search(kinds=(EventKind.KEY_CREATED,), limit=_CREATED))
    return {str(row.detail.get("key")): row.at for row in rows}


def may_become(key: str, to: KeyState, ports: Ports) -> BookKey:
    """Return the key, if it may enter that state. Raises Fault with the reason."""
    found = find(key, ports)
    if (why := refusal(found, to)) is not None:
        raise Conflict(why)
    return found


def may_be_compromised(key: str, since: datetime | None, ports: Ports) -> BookKey:
    """Return the key, if it may be marked compromised, or is and only `since` is new. Raises Fault."""
    if since is not None and since > ports.clock.now():
        raise Invalid(f"since {since:%Y-%m-%dT%H:%M:%SZ} is in the future")
    bad = find(key, ports)
    if bad.state is KeyState.COMPROMISED and since is not None:
        return bad
    return may_become(key, KeyState.COMPROMISED, ports)


def may_rotate(profile: str, ports: Ports, token: str | None = None) -> BookKey | None:
    """Return the active key of the profile on that token. Raises Fault: unknown profile, or one is prepared already."""
    ring = ports.keybook.ring()
    profiles = dict.fromkeys(key.profile for key in ring.ours)
    if profile not in profiles:
        there = ", ".join(profiles) or "none"
        raise NotFound(f"no key profile {profile[:80]!a}; configured: {there}")
    where = _where(profile, ports, token)
    if (waiting := ring.prepared(profile, where)) is not None:
        name = waiting.short
        raise Conflict(
            f"{profile} has a prepared key already, {name}: use it (countersign keys activate {name} --reason TEXT) "
            f"or retire it (countersign keys retire {name} --reason TEXT)"
        )
    return ring.active(profile, where)


def _where(profile: str, ports: Ports, token: str | None) -> str:
    """Return the named token, else the profile's first. Raises Fault."""
    tokens = [turn.token for turn in ports.signer.tokens_of(profile)]
    if not tokens:
        raise NotFound(f"key profile {profile[:80]!a} is recorded, but no longer in `keys`")
    if token is not None and token not in tokens:
        raise NotFound(f"keys.{profile}.tokens lists {', '.join(tokens)}, not {token[:80]!a}")
    return token or tokens[0]


async def prepared(
    profile: str,
    actor: Actor,
    ports: Ports,
    token: str | None = None,
    begins: datetime | None = None,
    terms: Handover = AT_ONCE,
) -> BookKey:
    """Return a new, proved key, recorded as prepared. Raises Fault, Unavailable."""
    now = ports.clock.now()
    old = ports.keybook.ring().active(profile, _where(profile, ports, token))
    label = f"{profile}-{now:%Y%m%d}-{secrets.token_hex(3)}"
    new = await ports.signer.create_key(profile, label, token)
    if begins is not None:
        until, end = terms.signs_until(begins), terms.retires(begins)
        new = replace(new, activate_at=begins, signs_until=until, retire_after=end)
    detail = {"token": new.token, "token_serial": new.token_serial, "label": new.label, "algorithm": new.algorithm}
    detail |= {"to": KeyState.PREPARED.value, **_moments(new)}
    created = key_event(EventKind.KEY_CREATED, new, actor, detail, ports)
    # The active key must still be the one read above: another server may have rotated in the meantime.
    after = None if old is None else old.fingerprint
    await _done(ports.keybook.add(new, after=after, record=(created,)))
    return find(new.fingerprint, ports)


async def activated(new: BookKey, actor: Actor, ports: Ports, terms: Handover | None) -> Rotated:
    """Let a prepared key sign; with `terms` None the old key stops signing and gets no retirement time.

    Raises Fault, Unavailable.
    """
    old, now, name = ports.keybook.ring().active(new.profile, new.token), ports.clock.now(), new.fingerprint
    ends: dict[str, datetime | None] = {}
    if terms is not None:
        ends["signs_until"] = terms.signs_until(now) or new.signs_until
        ends["retire_after"] = terms.retires(now) or new.retire_after
    events = [_change(new, KeyState.ACTIVE, actor, ports)]
    if old is not None:
        told = {end: at.isoformat() for end, at in ends.items() if at is not None}
        events.append(_change(old, KeyState.TRUSTED, actor, ports, **told))
    await _done(ports.keybook.activate(name, now, **ends, record=tuple(events)))
    return Rotated(None if old is None else find(old.fingerprint, ports), find(name, ports))


def _moments(key: BookKey) -> dict[str, str]:
    """Return the scheduled times of a key, in the form of the journal."""
    at = {"activate_at": key.activate_at, "signs_until": key.signs_until, "retire_after": key.retire_after}
    return {name: moment.isoformat() for name, moment in at.items() if moment is not None}


async def moved(key: BookKey, to: KeyState, actor: Actor, ports: Ports, since: datetime | None = None) -> BookKey:
    """Return the key in its new, recorded state. Raises Fault, Unavailable."""
    name = key.fingerprint
    # a compromise may be recorded from any state, even if that has just changed
    was = None if to is KeyState.COMPROMISED else key.state
    told = {"since": since.isoformat()} if since else {}
    record = (_change(key, to, actor, ports, **told),)
    await _done(ports.keybook.set_state(name, to, ports.clock.now(), since=since, was=was, record=record))
    return find(name, ports)


async def _done(change: Awaitable[None]) -> None:
    """Await a change of the key book. Raises Unavailable, Fault."""
    try:
        await change
    except ValueError as wrong:
        raise Conflict(str(wrong)) from None
    except Unavailable as away:
        raise Unavailable(f"{away.what}; `countersign keys list` says whether it took effect") from None


def _change(key: BookKey, to: KeyState, actor: Actor, ports: Ports, **more: str) -> Event:
    return key_event(EventKind.KEY_STATE, key, actor, {"from": key.state.value, "to": to.value, **more}, ports)


def key_event(kind: EventKind, key: BookKey, actor: Actor, detail: Mapping[str, Any], ports: Ports) -> Event:
    """Return the journal row for this actor's change to the key, with the current key book revision."""
    return Event(
        at=ports.clock.now(),
        kind=kind,
        who=actor.name,
        how=actor.authenticated_by,
        request_id=actor.request_id,
        key_revision=ports.keybook.ring().revision,
        detail={"profile": key.profile, "key": key.fingerprint, **detail, "reason": actor.reason[:500]},
    )
