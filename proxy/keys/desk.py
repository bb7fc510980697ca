"""Actions of the routes about the life of keys, and their plans."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import cast

from proxy.admin.dispatch import Acting, Topic
from proxy.admin.shapes import Page, Why, page_of
from proxy.keys import lifecycle
from proxy.keys import routes as shapes
from proxy.keys.lost import Loss, lose, lost_steps
from proxy.oci.duration import parse_span
from proxy.oci.faults import Fault, Unavailable
from proxy.registry.ports_in_use import Ports
from proxy.tokens.open import UnrecordedKey
from proxy.tokens.setup import pem
from proxy.trust.actor import Actor
from proxy.trust.handover import Handover, parse_overlap
from proxy.trust.keys import VERIFYING, BookKey, KeyState, fingerprint
from proxy.trust.schedule import KeyPlan


class KeyDesk:
    """One method per route; each raises Fault, Unavailable or Corrupt with a message for the caller."""

    def __init__(self, ports: Callable[[], Ports], strays: Callable[[], Awaitable[Sequence[UnrecordedKey]]]) -> None:
        """`strays` lists keys on the tokens that are missing in the key book."""
        self._ports = ports
        self._strays = strays

    def topic(self) -> Topic:
        """Return the action of every route, by name."""
        return Topic(
            {
                "list_keys": self._list,
                "list_strays": self._unrecorded,
                "rotate_key": self._rotate,
                "prepare_key": self._prepare,
                "activate_key": self._activate,
                "retire_key": self._retire,
                "compromise_key": self._compromise,
                "lost_key": self._lost,
            },
            {
                "rotate_key": self._plan_rotate,
                "prepare_key": self._plan_prepare,
                "activate_key": self._plan_activate,
                "retire_key": self._plan_retire,
                "compromise_key": self._plan_compromise,
                "lost_key": self._plan_lost,
            },
        )

    async def _list(self, acting: Acting) -> shapes.Keys:
        keys, after = page_of(self._ports().keybook.ring().ours, cast("Page", acting.query))
        return shapes.Keys(items=tuple(shown(key) for key in keys), next=after)

    async def _unrecorded(self, _acting: Acting) -> shapes.UnrecordedKeys:
        try:
            strays = await self._strays()
        except Unavailable as away:
            return shapes.UnrecordedKeys(items=(), not_looked=away.what)
        return shapes.UnrecordedKeys(
            items=tuple(shapes.UnrecordedKey(token=s.token, label=s.label, fingerprint=s.fingerprint) for s in strays)
        )

    async def _rotate(self, acting: Acting) -> shapes.Rotation:
        profile, wish = acting.path_params["profile"], cast("shapes.Rotate", acting.body)
        terms, why, asked = self._terms(profile, wish), self._why(acting), acting.request_id
        return turned(await lifecycle.rotate(profile, *why, terms=terms, token=wish.token, request_id=asked))

    async def _prepare(self, acting: Acting) -> shapes.KeyShown:
        profile, wish = acting.path_params["profile"], cast("shapes.Making", acting.body)
        why, asked = self._why(acting), acting.request_id
        return shown(await lifecycle.prepare(profile, *why, token=wish.token, request_id=asked))

    async def _activate(self, acting: Acting) -> shapes.Rotation:
        new = lifecycle.may_become(acting.path_params["fingerprint"], KeyState.ACTIVE, self._ports())
        terms, why, asked = self._handed(new, acting), self._why(acting), acting.request_id
        return turned(await lifecycle.activate(fingerprint(new.spki), *why, terms=terms, request_id=asked))

    async def _retire(self, acting: Acting) -> shapes.KeyShown:
        which = acting.path_params["fingerprint"]
        return shown(await lifecycle.retire(which, *self._why(acting), request_id=acting.request_id))

    async def _compromise(self, acting: Acting) -> shapes.KeyShown:
        which, wish = acting.path_params["fingerprint"], cast("shapes.Compromise", acting.body)
        why, asked = self._why(acting), acting.request_id
        return shown(await lifecycle.compromise(which, *why, rotate=wish.rotate, since=wish.since, request_id=asked))

    async def _lost(self, acting: Acting) -> shapes.Replaced:
        holder, why = acting.holder, cast("Why", acting.body).reason
        actor = Actor(holder.who, holder.how, why, acting.request_id)
        done = await lose(acting.path_params["fingerprint"], _loss(acting), actor, self._ports())
        return shapes.Replaced(old=shown(done.old), new=None if done.new is None else shown(done.new))

    async def _plan_lost(self, acting: Acting) -> tuple[str, ...]:
        return lost_steps(acting.path_params["fingerprint"], _loss(acting), self._ports())

    def _why(self, acting: Acting) -> tuple[str, str, str, Ports]:
        return acting.holder.who, acting.holder.how, cast("Why", acting.body).reason, self._ports()

    def _terms(self, profile: str, wish: shapes.Activation) -> Handover:
        """Return the requested terms, with the configured ones as defaults. Raises Fault."""
        plan = self._ports().plans.get(profile, KeyPlan())
        try:
            return plan.terms.with_overrides(
                None if wish.overlap is None else parse_overlap(wish.overlap),
                None if wish.retire_after is None else parse_span(wish.retire_after),
            )
        except ValueError as wrong:
            raise Fault("UNSUPPORTED", str(wrong), status=400) from None

    def _handed(self, new: BookKey, acting: Acting) -> Handover:
        """Return the terms of an activation: as requested, else as configured.

        For a key with an activation time, the terms set at its preparation take the place of the configured ones.
        """
        wish = cast("shapes.Activation", acting.body)
        said = self._terms("" if new.activate_at else new.profile, wish)
        if wish.overlap is not None and said.publish_first is not None:
            raise Fault("UNSUPPORTED", "it begins to sign now, so publish-first comes too late", status=400)
        return said

    async def _plan_rotate(self, acting: Acting) -> tuple[str, ...]:
        profile, wish = acting.path_params["profile"], cast("shapes.Rotate", acting.body)
        old, terms = lifecycle.may_rotate(profile, self._ports(), wish.token), self._terms(profile, wish)
        if terms.publish_first is None:
            return (_made(acting, wish), *self._handover("it", old, terms))
        at = self._ports().clock.now() + terms.publish_first
        shown_first = f"record it as prepared: it verifies, and signs nothing before {at:%Y-%m-%d %H:%M} UTC; then:"
        return (_made(acting, wish), shown_first, *self._handover("it", old, terms, at))

    async def _plan_prepare(self, acting: Acting) -> tuple[str, ...]:
        wish = cast("shapes.Making", acting.body)
        lifecycle.may_rotate(acting.path_params["profile"], self._ports(), wish.token)
        return (_made(acting, wish), "record it as prepared: it verifies, and signs nothing before it is activated")

    async def _plan_activate(self, acting: Acting) -> tuple[str, ...]:
        new = lifecycle.may_become(acting.path_params["fingerprint"], KeyState.ACTIVE, self._ports())
        old = self._ports().keybook.ring().active(new.profile, new.token)
        return self._handover(_named(new), old, self._handed(new, acting), agreed=new)

    def _handover(
        self, new: str, old: BookKey | None, terms: Handover, at: datetime | None = None, agreed: BookKey | None = None
    ) -> tuple[str, ...]:
        steps: tuple[str, ...] = (f"sign every push from then on with {new}",)
        if old is None:
            return steps
        at = at or self._ports().clock.now()
        until = terms.signs_until(at) or (agreed.signs_until if agreed else None)
        end = terms.retires(at) or (agreed.retire_after if agreed else None)
        if until is not None:
            steps += (f"sign with {_named(old)} too, until {until:%Y-%m-%d %H:%M} UTC",)
        kept = f"keep {_named(old)} as trusted: what it signed still verifies"
        return (*steps, kept if end is None else f"{kept}, until it is retired at {end:%Y-%m-%d %H:%M} UTC")

    async def _plan_retire(self, acting: Acting) -> tuple[str, ...]:
        key = lifecycle.may_become(acting.path_params["fingerprint"], KeyState.RETIRED, self._ports())
        block = f"block every image that only {_named(key)} has signed (key_retired); there is no way back"
        if key.signs_until is None or self._ports().clock.now() >= key.signs_until:
            return (block,)
        until = f"{key.signs_until:%Y-%m-%d %H:%M} UTC"
        return (f"no longer sign with {_named(key)}, which was to sign until {until}", block)

    async def _plan_compromise(self, acting: Acting) -> tuple[str, ...]:
        ports, wish = self._ports(), cast("shapes.Compromise", acting.body)
        key, steps = lifecycle.may_be_compromised(acting.path_params["fingerprint"], wish.since, ports), []
        if key.state is KeyState.ACTIVE and wish.rotate:
            steps = [f"let another key sign for {key.profile}: the prepared one, else one made now"]
        elif key.state is KeyState.ACTIVE:
            steps = [_without(key, ports)]
        block = f"block every image that only {_named(key)} has signed (key_compromised); there is no way back"
        return (*steps, block, _excused(wish.since, ports))


def _loss(acting: Acting) -> Loss:
    wish = cast("shapes.Lost", acting.body)
    return Loss(wish.compromised, wish.since, wish.token)


def _excused(since: datetime | None, ports: Ports) -> str:
    """Say what happens to images that the ledger shows as signed earlier."""
    trusting = any(policy.pull.trust_ledger for policy in ports.rules.current().policies)
    if since is None:
        return "let nothing that it signed count, whatever policies say: since when it is known to others was not said"
    if not trusting:
        return (
            f"note that it is known to others since {since.isoformat()}; no policy says trust_ledger, so all is blocked"
        )
    return f"where the policy says trust_ledger: let count what our ledger shows as signed before {since.isoformat()}"


def _without(key: BookKey, ports: Ports) -> str:
    """Say which token signs when this active key no longer does."""
    others = [each for each in ports.keybook.ring().signers(key.profile, ports.clock.now()) if each != key.token]
    if others:
        return f"sign for {key.profile} with the key of token {others[0]}, which stands by, for as long as that works"
    until = f"until another key is active: countersign keys rotate {key.profile} --on {key.token} --reason TEXT"
    return f"sign nothing for {key.profile}, and refuse the pushes that it signs, {until}"


def _made(acting: Acting, wish: shapes.Making) -> str:
    where = "in the token" if wish.token is None else f"in token {wish.token}"
    return f"make a key for {acting.path_params['profile']} {where}, and let it prove itself by a signature"


def _named(key: BookKey) -> str:
    return f"key {fingerprint(key.spki)[:12]} of {key.profile}"


def turned(done: lifecycle.Rotated) -> shapes.Rotation:
    """Return a rotation in the form of the admin API."""
    return shapes.Rotation(old=None if done.old is None else shown(done.old), new=shown(done.new))


def shown(key: BookKey) -> shapes.KeyShown:
    """Return the key in the form of the admin API."""
    return shapes.KeyShown(
        fingerprint=fingerprint(key.spki),
        profile=key.profile,
        state=key.state,
        since=key.since,
        compromised_since=key.compromised_since,
        algorithm=key.algorithm,
        token=key.token,
        token_serial=key.token_serial,
        key_id=key.key_id,
        label=key.label,
        public_key=pem(key.spki).decode(),
        activate_at=key.activate_at,
        signs_until=key.signs_until if key.state in VERIFYING else None,
        retire_after=key.retire_after if key.state in VERIFYING else None,
    )
