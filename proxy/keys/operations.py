"""Operations on the life of keys."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from proxy.admin.operation import Call, Command, Scope, operation
from proxy.admin.paging import Listing, Page
from proxy.admin.shapes import Affected, Why, filled
from proxy.keys import shapes
from proxy.keys.shapes import (
    Activation,
    Compromise,
    Keys,
    KeyShown,
    Lost,
    Making,
    Replaced,
    Rotate,
    Rotation,
    UnrecordedKey,
    UnrecordedKeys,
    shown,
)  # fmt: skip
from proxy.oci.duration import parse_span
from proxy.oci.faults import Invalid, Unavailable
from proxy.trust.keys import BookKey, KeyState
from proxy.trust.roles import Permission
from proxy.trust.schedule import Handover, KeyPlan, parse_overlap

if TYPE_CHECKING:
    from proxy.keys.lifecycle import Rotated
    from proxy.keys.lost import Loss
    from proxy.registry.ports_in_use import Ports

_UNRECORDED = Command("", shapes.unrecorded, rows="unrecorded", waits=lambda row: bool(row["items"]))


@operation("GET /keys/unrecorded", Permission.KEYS, _UNRECORDED, about=Scope.NEUTRAL)
async def list_strays(call: Call) -> UnrecordedKeys:
    """List keys on our tokens that are not in the key book."""
    from proxy.tokens.inventory_port import TokenInventory

    try:
        found = await call.use(TokenInventory).unrecorded()
    except Unavailable as away:
        return UnrecordedKeys(items=(), not_looked=away.what)
    return UnrecordedKeys(items=tuple(filled(UnrecordedKey, each) for each in found))


_KEYS = Listing[tuple[int, BookKey]]("keys", lambda row: (row[0],), (int,))
_LIST = Command("keys list", table=shapes.table, rows="keys", empty="no keys", below=list_strays)


@operation("GET /keys", Permission.KEYS, _LIST, about=Scope.NEUTRAL, query=Page)
async def list_keys(call: Call) -> Keys:
    """List our keys and their states. Exit code 1: a token has keys that are not in the key book."""
    from proxy.keys.lifecycle import created

    ours, at = [*enumerate(call.ports.keybook.ring().ours)], await created(call.ports)  # none is ever removed
    return _KEYS.of(Keys, call.query, ours, lambda row: shown(row[1], at.get(row[1].fingerprint)))


async def _plan_rotate(call: Call) -> tuple[str, ...]:
    from proxy.keys.lifecycle import may_rotate

    profile = call.path_params["profile"]
    old, terms = may_rotate(profile, call.ports, call.body.token), _terms(profile, call)
    if terms.publish_first is None:
        return (_made(call), *_handover("it", old, terms, call.now), *_elsewhere(old, terms))
    at = call.now + terms.publish_first
    prepared = f"record it as prepared: it verifies, and signs nothing before {at:%Y-%m-%d %H:%M} UTC; then:"
    return (_made(call), prepared, *_handover("it", old, terms, at))


async def _affects_rotate(call: Call) -> Affected | None:
    from proxy.keys.affected import signed_by
    from proxy.keys.lifecycle import may_rotate

    profile = call.path_params["profile"]
    old = may_rotate(profile, call.ports, call.body.token)
    return None if old is None or _overlaps(_terms(profile, call)) else await signed_by(old, call)


@operation(
    "POST /keys/{profile}/rotate", Permission.CHANGE_KEYS, Command("keys rotate", shapes.replaced), plan=_plan_rotate,
    affects=_affects_rotate, dual_control=True,
)  # fmt: skip
async def rotate_key(call: Call, body: Rotate) -> Rotation:
    """Make a key that signs for this profile from now on. Signatures by the old key still verify."""
    from proxy.keys.lifecycle import rotate

    profile = call.path_params["profile"]
    return _turned(await rotate(profile, call.actor, call.ports, terms=_terms(profile, call), token=body.token))


async def _plan_prepare(call: Call) -> tuple[str, ...]:
    from proxy.keys.lifecycle import may_rotate

    may_rotate(call.path_params["profile"], call.ports, call.body.token)
    return (_made(call), "record it as prepared: it verifies, and signs once it is activated")


@operation(
    "POST /keys/{profile}/prepare", Permission.CHANGE_KEYS, Command("keys prepare", shapes.made), plan=_plan_prepare
)
async def prepare_key(call: Call, body: Making) -> KeyShown:
    """Make a key that verifies, and signs once it is activated. Its public half can be published first."""
    from proxy.keys.lifecycle import prepare

    return shown(await prepare(call.path_params["profile"], call.actor, call.ports, token=body.token))


async def _plan_activate(call: Call) -> tuple[str, ...]:
    new, terms = _handed(call)
    old = call.ports.keybook.ring().active(new.profile, new.token)
    return _handover(new.described, old, terms, call.now, agreed=new)


@operation(
    "POST /keys/{fingerprint}/activate", Permission.CHANGE_KEYS, Command("keys activate", shapes.replaced),
    plan=_plan_activate, dual_control=True,
)  # fmt: skip
async def activate_key(call: Call, body: Activation) -> Rotation:  # noqa: ARG001  read by `_handed`
    """Activate a prepared key: it signs from now on. Signatures by the old key still verify."""
    from proxy.keys.lifecycle import activate

    new, terms = _handed(call)
    return _turned(await activate(new.fingerprint, call.actor, call.ports, terms=terms))


async def _plan_retire(call: Call) -> tuple[str, ...]:
    from proxy.keys.lifecycle import may_become

    key = may_become(call.path_params["fingerprint"], KeyState.RETIRED, call.ports)
    block = f"block every image that only {key.described} has signed (key_retired); this cannot be undone"
    if key.signs_until is None or call.now >= key.signs_until:
        return (block,)
    until = f"{key.signs_until:%Y-%m-%d %H:%M} UTC"
    return (f"no longer sign with {key.described}, which would have signed until {until}", block)


async def _affects_retire(call: Call) -> Affected:
    from proxy.keys.affected import only_by
    from proxy.keys.lifecycle import find

    return await only_by(find(call.path_params["fingerprint"], call.ports), call)


@operation(
    "POST /keys/{fingerprint}/retire",
    Permission.CHANGE_KEYS,
    Command("keys retire", shapes.changed),
    plan=_plan_retire,
    affects=_affects_retire,
)
async def retire_key(call: Call, body: Why) -> KeyShown:  # noqa: ARG001  its reason is the actor's
    """Retire a key: images that only it has signed are blocked."""
    from proxy.keys.lifecycle import retire

    return shown(await retire(call.path_params["fingerprint"], call.actor, call.ports))


async def _plan_compromise(call: Call) -> tuple[str, ...]:
    from proxy.keys.lifecycle import may_be_compromised

    ports, body, steps = call.ports, call.body, list[str]()
    key = may_be_compromised(call.path_params["fingerprint"], body.since, ports)
    if key.state is KeyState.ACTIVE and body.rotate:
        steps = [f"let another key sign for {key.profile}: the prepared one, else one made now"]
    elif key.state is KeyState.ACTIVE:
        steps = [_without(key, call)]
    block = f"block every image that only {key.described} has signed (key_compromised); this cannot be undone"
    elsewhere = f"verifiers elsewhere cannot see its state: have them remove it, and take the others ({_export(key)})"
    return (*steps, block, elsewhere, _excused(body.since, ports))


async def _affects_compromise(call: Call) -> Affected:
    from proxy.keys.affected import only_by
    from proxy.keys.lifecycle import find

    return await only_by(find(call.path_params["fingerprint"], call.ports), call, call.body.since)


@operation(
    "POST /keys/{fingerprint}/compromise", Permission.CHANGE_KEYS, Command("keys compromise", shapes.changed),
    plan=_plan_compromise, affects=_affects_compromise, dual_control=True,
)  # fmt: skip
async def compromise_key(call: Call, body: Compromise) -> KeyShown:
    """Distrust a key that others may have. Images that only it has signed are blocked."""
    from proxy.keys.lifecycle import compromise

    which = call.path_params["fingerprint"]
    return shown(await compromise(which, call.actor, call.ports, rotate=body.rotate, since=body.since))


async def _plan_lost(call: Call) -> tuple[str, ...]:
    from proxy.keys.lifecycle import find
    from proxy.keys.lost import lost_steps

    steps = lost_steps(call.path_params["fingerprint"], _loss(call), call.ports)
    gone = find(call.path_params["fingerprint"], call.ports)
    return (*steps, f"{_rejected(gone)} ({_export(gone)})") if gone.state is KeyState.ACTIVE else steps


async def _affects_lost(call: Call) -> Affected:
    from proxy.keys.affected import only_by, signed_by
    from proxy.keys.lifecycle import find

    gone = find(call.path_params["fingerprint"], call.ports)
    return await (only_by(gone, call, call.body.since) if call.body.compromised else signed_by(gone, call))


@operation(
    "POST /keys/{fingerprint}/lost", Permission.CHANGE_KEYS, Command("keys lost", shapes.replaced), plan=_plan_lost,
    affects=_affects_lost, dual_control=True,
)  # fmt: skip
async def lost_key(call: Call, body: Lost) -> Replaced:  # noqa: ARG001  read by `_loss`
    """Replace a key that its token has lost, without a backup. Pulls continue."""
    from proxy.keys.lost import lose

    done = await lose(call.path_params["fingerprint"], _loss(call), call.actor, call.ports)
    return Replaced(old=shown(done.old), new=None if done.new is None else shown(done.new))


OPERATIONS = (
    list_keys, list_strays, rotate_key, prepare_key, activate_key, retire_key, compromise_key, lost_key,
)  # fmt: skip


def _turned(done: Rotated) -> Rotation:
    return Rotation(old=None if done.old is None else shown(done.old), new=shown(done.new))


def _terms(profile: str, call: Call) -> Handover:
    """Return the requested terms, with the configured ones as defaults. Raises Fault."""
    body, plan = call.body, call.ports.plans.get(profile, KeyPlan())
    try:
        return plan.terms.with_overrides(
            None if body.overlap is None else parse_overlap(body.overlap),
            None if body.retire_after is None else parse_span(body.retire_after),
        )
    except ValueError as wrong:
        raise Invalid(str(wrong)) from None


def _handed(call: Call) -> tuple[BookKey, Handover]:
    """Return the key to activate and the terms: as requested, else as configured. Raises Fault.

    For a key with an activation time, the terms set at its preparation take the place of the configured ones.
    """
    from proxy.keys.lifecycle import may_become

    new = may_become(call.path_params["fingerprint"], KeyState.ACTIVE, call.ports)
    terms = _terms("" if new.activate_at else new.profile, call)
    if call.body.overlap is not None and terms.publish_first is not None:
        raise Invalid("it signs from now on, so publish-first no longer applies")
    return new, terms


def _made(call: Call) -> str:
    where = "on the token" if call.body.token is None else f"on token {call.body.token}"
    return f"make a key for {call.path_params['profile']} {where}, and verify that it signs"


def _handover(
    new: str, old: BookKey | None, terms: Handover, at: datetime, agreed: BookKey | None = None
) -> tuple[str, ...]:
    steps: tuple[str, ...] = (f"sign every push from then on with {new}",)
    if old is None:
        return steps
    until = terms.signs_until(at) or (agreed.signs_until if agreed else None)
    end = terms.retires(at) or (agreed.retire_after if agreed else None)
    if until is not None:
        steps += (f"sign with {old.described} too, until {until:%Y-%m-%d %H:%M} UTC",)
    kept = f"keep {old.described} as trusted: what it signed still verifies"
    return (*steps, kept if end is None else f"{kept}, until it is retired at {end:%Y-%m-%d %H:%M} UTC")


def _overlaps(terms: Handover) -> bool:
    return terms.publish_first is not None or terms.dual_sign is not None


def _elsewhere(old: BookKey | None, terms: Handover) -> tuple[str, ...]:
    """Say what happens to those who verify elsewhere, if no overlap gives them time to learn of the new key."""
    if old is None or _overlaps(terms):
        return ()
    first = f"(countersign keys prepare {old.profile} --reason TEXT, then {_export(old)})"
    return (f"{_rejected(old)} first {first}, or let it be published before it signs (--overlap publish-first:14d)",)


def _rejected(old: BookKey) -> str:
    return f"verifiers elsewhere that know only {old.described} reject every push from then on: give them the new key"


def _export(old: BookKey) -> str:
    return f"countersign trust export {old.profile}/keys.pem"


def _loss(call: Call) -> Loss:
    from proxy.keys.lost import Loss

    return Loss(call.body.compromised, call.body.since, call.body.token)


def _excused(since: datetime | None, ports: Ports) -> str:
    """Say what happens to images that the ledger shows as signed earlier."""
    trusting = any(policy.pull.trust_ledger for policy in ports.rules.current().policies)
    if since is None:
        return "reject all its signatures, whatever policies say: the time of the compromise is not given"
    if not trusting:
        return f"record that others have it since {since.isoformat()}; no policy sets trust_ledger, so all is blocked"
    return f"where the policy sets trust_ledger: accept signatures that our ledger dates before {since.isoformat()}"


def _without(key: BookKey, call: Call) -> str:
    """Say which token signs when this active key no longer does."""
    from proxy.keys.lost import others

    if left := others(key, call.ports):
        return f"sign for {key.profile} with the key of token {left[0]}, a standby, as long as that works"
    until = f"until another key is active: countersign keys rotate {key.profile} --on {key.token} --reason TEXT"
    return f"sign nothing for {key.profile}, and refuse the pushes that need it, {until}"
