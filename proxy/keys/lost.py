"""Replace a key that is lost from its token without a backup; its signatures stay valid unless it is compromised."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from proxy.journal.event import EventKind
from proxy.keys.lifecycle import ALONE, activated, find, key_event, may_be_compromised, moved, prepared
from proxy.oci.faults import Conflict, Invalid, NotFound, Unavailable
from proxy.registry.ports_in_use import Ports
from proxy.trust.actor import Actor
from proxy.trust.keys import BookKey, KeyState


@dataclass(frozen=True)
class Lost:
    """The lost key in its new state, and its successor; None if it needs none or none could be made."""

    old: BookKey
    new: BookKey | None


@dataclass(frozen=True)
class Loss:
    """The reported loss: whether others may have the key (`compromised`, `since`), and the token for its successor."""

    compromised: bool = False
    since: datetime | None = None
    token: str | None = None


async def lose(key: str, loss: Loss, actor: Actor, ports: Ports) -> Lost:
    """Give up the lost key; a successor signs if a token can make one or has one.

    The key's signatures still verify (trusted), unless others may have the key (compromised). A lost prepared key is
    retired. Nothing changes if no token of the profile could sign afterwards. Raises Fault, Unavailable.
    """
    async with ports.cache.lock(ALONE):
        gone = may_be_lost(key, loss, ports)
        new = await _successor(gone, loss, actor, ports)
        detail = {"from": gone.state.value, "token": gone.token, "compromised": loss.compromised}
        detail["new"] = "" if new is None else new.fingerprint
        await ports.journal.record(key_event(EventKind.KEY_LOST, gone, actor, detail, ports))
        return Lost(await _given_up(find(gone.fingerprint, ports), loss, actor, ports), new)


def may_be_lost(key: str, loss: Loss, ports: Ports) -> BookKey:
    """Return the key, if it signs or is prepared to. Raises Fault."""
    if loss.since is not None and not loss.compromised:
        raise Invalid("the time since when others have it needs a compromised key: add --compromised")
    gone = may_be_compromised(key, loss.since, ports) if loss.compromised else find(key, ports)
    if gone.state in (KeyState.ACTIVE, KeyState.PREPARED) or _beside(gone, ports):
        return gone
    name = gone.short
    instead = (
        ""
        if gone.state is KeyState.COMPROMISED
        else f"; to distrust it: countersign keys compromise {name} --reason TEXT"
    )
    text = f"key {name} of {gone.profile} is {gone.state} and signs nothing, so it needs no replacement"
    raise Conflict(f"{text}{instead}")


def places(gone: BookKey, loss: Loss, ports: Ports) -> tuple[str, ...]:
    """Return the tokens on which a successor may be made, in the order to try. Raises Fault.

    Tokens that have another active key of the profile are excluded.
    """
    if gone.state is not KeyState.ACTIVE:
        return ()
    tokens, ring = [turn.token for turn in ports.signer.tokens_of(gone.profile)], ports.keybook.ring()
    free = [token for token in tokens if ring.active(gone.profile, token) in (None, gone)]
    if loss.token is None:
        return tuple(sorted(free, key=lambda token: token != gone.token))
    if loss.token not in tokens:
        raise NotFound(f"keys.{gone.profile}.tokens lists {', '.join(tokens)}, not {loss.token[:80]!a}")
    if loss.token not in free:
        text = f"token {loss.token} has an active key of {gone.profile} already"
        raise Conflict(
            f"{text}; to replace that one: countersign keys rotate {gone.profile} --on {loss.token} --reason TEXT"
        )
    return (loss.token,)


def others(gone: BookKey, ports: Ports) -> tuple[str, ...]:
    """Return the other tokens that have an active key of its profile."""
    signers = ports.keybook.ring().signers(gone.profile, ports.clock.now())
    tokens = [turn.token for turn in ports.signer.tokens_of(gone.profile)]
    return tuple(token for token in tokens if token in signers and token != gone.token)


def _beside(key: BookKey, ports: Ports) -> bool:
    return key.state is KeyState.TRUSTED and key.signs_until is not None and ports.clock.now() < key.signs_until


async def _successor(gone: BookKey, loss: Loss, actor: Actor, ports: Ports) -> BookKey | None:
    """Return the successor, which now signs: the prepared key, else a new one. Raises Fault, Unavailable."""
    why = []
    for token in places(gone, loss, ports):
        waiting = ports.keybook.ring().prepared(gone.profile, token)
        try:
            if waiting is not None:
                await ports.signer.prove(waiting)
            new = waiting or await prepared(gone.profile, actor, ports, token)
            return (await activated(new, actor, ports, None)).new
        except Unavailable as away:
            too = "" if waiting is None else f" (if key {waiting.short} is lost too, report that first)"
            why.append(f"{away.what}{too}")
    if why and (loss.token is not None or not others(gone, ports)):
        text = f"no key can take its place: {'; '.join(why)}; nothing was changed"
        at = f"tokens.{loss.token or gone.token}"
        distrust = f"; to distrust it now: countersign keys compromise {gone.short} --reason TEXT"
        remedy = f"make {at} a working token (a new one may be blank), then try again"
        raise Unavailable(f"{text}; {remedy}{distrust if loss.compromised else ''}")
    return None


async def _given_up(gone: BookKey, loss: Loss, actor: Actor, ports: Ports) -> BookKey:
    if loss.compromised:
        return await moved(gone, KeyState.COMPROMISED, actor, ports, loss.since)
    if gone.state is KeyState.PREPARED:
        return await moved(gone, KeyState.RETIRED, actor, ports)
    if gone.state is KeyState.ACTIVE:  # its successor is on another token
        return await moved(gone, KeyState.TRUSTED, actor, ports)
    if gone.signs_until is not None:
        try:
            await ports.keybook.amend(gone.fingerprint, {"signs_until": None})
        except ValueError as wrong:
            raise Conflict(str(wrong)) from None
    return find(gone.fingerprint, ports)


def lost_steps(key: str, loss: Loss, ports: Ports) -> tuple[str, ...]:
    """Return the steps of the plan as text, in order. Raises Fault if the loss may not be recorded."""
    gone = may_be_lost(key, loss, ports)
    name, steps = gone.described, []
    if (where := places(gone, loss, ports)) != ():
        waiting = ports.keybook.ring().prepared(gone.profile, where[0])
        which = "make a key" if waiting is None else f"let the prepared key {waiting.short}"
        steps += [f"{which} on token {where[0]} sign for {gone.profile} from now on"]
        steps += [f"if that token does not work: on token {token}" for token in where[1:]]
    if gone.state is KeyState.ACTIVE and (left := others(gone, ports)):
        steps += [f"sign with the key of token {left[0]} if none can be made"]
    if loss.compromised:
        steps += [f"block every image that only {name} has signed (key_compromised); this cannot be undone"]
    elif gone.state is KeyState.PREPARED:
        steps += [f"give up {name}: it will never sign"]
    else:
        steps += [f"keep {name} as trusted: its signatures still verify, but it signs nothing new"]
    return tuple(steps)
