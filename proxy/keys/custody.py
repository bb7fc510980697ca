"""Import, rebind, back up and destroy keys that exist on a token.

Each change and its journal row are one transaction; the row of a destruction is written before the token is told. A key
proves itself immediately before the key book changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from proxy.journal.event import EventKind
from proxy.keys.lifecycle import ALONE, find, key_event, may_become, may_rotate
from proxy.oci.faults import Conflict, Invalid, NotFound, Unavailable
from proxy.registry.ports_in_use import Ports
from proxy.tokens.inventory_port import TokenInventory
from proxy.tokens.token_key import CONFIRM_DIGITS, TokenKey, confirmed, may_leave
from proxy.trust.actor import Actor
from proxy.trust.keys import Amendment, BookKey, KeyState, fingerprint

_FIRST = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Sought:
    """Identifies a key on a token by its label, its id or both; an empty token means the profile's first."""

    label: str = ""
    key_id: str = ""
    token: str = ""
    extractable: bool = False  # import the key although copies may exist elsewhere


async def take_in(profile: str, sought: Sought, actor: Actor, ports: Ports, tokens: TokenInventory) -> BookKey:
    """Return the imported key, which was already on the token: proved, and recorded as prepared.

    Raises Fault (not exactly one such key, one that may leave the token, one that is known already), Unavailable.
    """
    async with ports.cache.lock(ALONE):
        held = await may_take_in(profile, sought, ports, tokens)
        key = BookKey(
            profile=profile,
            token=held.token,
            token_serial=held.token_serial,
            key_id=held.key_id,
            label=held.label,
            algorithm=held.algorithm,
            spki=held.spki,
            state=KeyState.PREPARED,
            since=ports.clock.now(),
        )
        await ports.signer.prove(key)
        detail = {
            "to": KeyState.PREPARED.value, "imported": True, "token": held.token, "token_serial": held.token_serial,
            "label": held.label, "id": held.key_id, "algorithm": held.algorithm, "attributes": dict(held.attributes),
        }  # fmt: skip
        created = key_event(EventKind.KEY_CREATED, key, actor, detail, ports)
        try:
            await ports.keybook.add(key, record=(created,))
        except ValueError as wrong:
            raise Conflict(str(wrong)) from None
        return find(key.fingerprint, ports)


async def may_take_in(profile: str, sought: Sought, ports: Ports, tokens: TokenInventory) -> TokenKey:
    """Return the one key that `sought` identifies, if it may be imported. Raises Fault, Unavailable."""
    may_rotate(profile, ports)
    if not (sought.label or sought.key_id):
        raise Invalid("name the key: give its label, its id, or both")
    token = _token(profile, sought.token, tokens)
    there = await tokens.held(token)
    fitting = [
        held
        for held in there
        if sought.label in ("", held.label) and sought.key_id.lower() in ("", held.key_id.lower())
    ]
    if len(fitting) != 1:
        what = " and ".join(f"{n} {v!a}" for n, v in (("label", sought.label), ("id", sought.key_id)) if v)
        raise NotFound(f"token {token} has {len(fitting)} usable keys of {what}; {_listed(there)}")
    (held,) = fitting
    known = next((k for k in ports.keybook.ring().ours if k.spki == held.spki), None)
    if known is not None:
        raise Conflict(f"{known.described} is {known.state} in the key book already")
    if held.attributes.get("SIGN") is False:
        raise Conflict(f"key {held.label!a} may not sign: its attribute SIGN is False")
    if (why := may_leave(held.attributes)) is not None and not sought.extractable:
        raise Conflict(
            f"key {held.label!a} may have copies elsewhere ({why}): make one on the token "
            f"(countersign keys prepare {profile} --on {token} --reason TEXT), "
            "or import this one anyway with --accept-extractable"
        )
    return held


async def rebind(key: str, token: str, actor: Actor, ports: Ports, tokens: TokenInventory) -> BookKey:
    """Return the key with its new place, after a restore, cloning or replacement of its token; its state stays.

    The key at the new place has the same public key and has proved itself. Raises Fault, Unavailable.
    """
    async with ports.cache.lock(ALONE):
        known, held = await may_rebind(key, token, ports, tokens)
        place: Amendment = {
            "token": held.token, "token_serial": held.token_serial, "key_id": held.key_id, "label": held.label,
        }  # fmt: skip
        await ports.signer.prove(replace(known, **place))
        before = {name: getattr(known, name) for name in place}
        rebound = key_event(EventKind.KEY_REBOUND, known, actor, {"from": before, "to": dict(place)}, ports)
        await ports.keybook.amend(known.fingerprint, place, record=(rebound,))
        return find(known.fingerprint, ports)


async def may_rebind(key: str, token: str, ports: Ports, tokens: TokenInventory) -> tuple[BookKey, TokenKey]:
    """Return the key and its current place. Raises Fault if it is not there, or if the recorded place is the same."""
    known = find(key, ports)
    if known.state is KeyState.DESTROYED:
        raise Conflict(f"{known.described} is destroyed; a key with that public key should not exist")
    name = _token(known.profile, token or known.token, tokens)
    there = await tokens.held(name)
    found = [held for held in there if held.spki == known.spki]
    if len(found) != 1:
        raise NotFound(f"token {name} holds {known.described} {len(found)} times; {_listed(there)}")
    (held,) = found
    if (held.token, held.token_serial, held.key_id, held.label) == (
        known.token, known.token_serial, known.key_id, known.label,
    ):  # fmt: skip
        where = f"token {held.token}, serial {held.token_serial}"
        raise Conflict(f"{known.described} is on {where}, as recorded; nothing was changed")
    return known, held


async def backed_up(key: str, at: datetime | None, actor: Actor, ports: Ports) -> BookKey:
    """Return the key with the time of its backup recorded: `at`, or now. Raises Fault."""
    async with ports.cache.lock(ALONE):
        known, now = may_be_backed_up(key, at, ports), ports.clock.now()
        when = at or now
        noted = key_event(EventKind.KEY_BACKED_UP, known, actor, {"at": when.isoformat()}, ports)
        await ports.keybook.amend(known.fingerprint, {"backup_at": when}, record=(noted,))
        return find(known.fingerprint, ports)


def may_be_backed_up(key: str, at: datetime | None, ports: Ports) -> BookKey:
    """Return the key, if a backup at this time is possible. Raises Fault."""
    known = find(key, ports)
    if known.state is KeyState.DESTROYED:
        raise Conflict(f"{known.described} is destroyed; destroy its backups as well")
    if at is not None and at > ports.clock.now():
        raise Invalid(f"the time of the backup, {at.isoformat()}, is in the future")
    if at is not None and at < _FIRST:
        raise Invalid(f"a backup of {at.isoformat()} is older than any key here")
    return known


async def destroy(key: str, confirm: str, actor: Actor, ports: Ports, tokens: TokenInventory) -> BookKey:
    """Return the destroyed key; neither half is on its token any more. `confirm` is the start of its fingerprint.

    After an interruption the key is still retired, and the same call completes. Raises Fault, Unavailable.
    """
    async with ports.cache.lock(ALONE):
        doomed = may_become(key, KeyState.DESTROYED, ports)
        if not confirmed(confirm, doomed):
            raise Invalid(
                f"nothing was destroyed: to confirm it, type the first {CONFIRM_DIGITS} digits of the fingerprint of "
                f"{doomed.profile}'s key, as `countersign keys list` shows them"
            )
        detail = {"from": doomed.state.value, "to": KeyState.DESTROYED.value, "token_serial": doomed.token_serial}
        await ports.journal.record(key_event(EventKind.KEY_STATE, doomed, actor, detail, ports))
        await tokens.destroy(doomed)
        name = doomed.fingerprint
        try:
            await ports.keybook.set_state(name, KeyState.DESTROYED, ports.clock.now())
        except ValueError as wrong:
            raise Conflict(str(wrong)) from None
        except Unavailable as away:
            raise Unavailable(
                f"{away.what}; the key is gone from its token: repeat the command to record that"
            ) from None
        return find(name, ports)


def _token(profile: str, wanted: str, tokens: TokenInventory) -> str:
    there = tokens.of(profile)
    if wanted and wanted not in there:
        raise NotFound(f"{profile} has no token {wanted[:80]!a}; it has {', '.join(there)}")
    return wanted or there[0]


def _listed(there: tuple[TokenKey, ...]) -> str:
    keys = ", ".join(f"{held.label!a} (id {held.key_id}, {fingerprint(held.spki)[:12]})" for held in there[:20])
    return f"it holds {keys or 'no usable key'}"
