"""What the routes about keys do: the flows of a key's life, and their plans."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import cast

from proxy.flows import keylife
from proxy.flows.house import House
from proxy.oci.faults import Unavailable
from proxy.setup_token import pem
from proxy.trust.keys import BookKey, KeyState, fingerprint
from proxy.web.admin_api import keys as shapes
from proxy.web.admin_api.handler import Acting, Topic
from proxy.web.admin_api.shapes import Why
from proxy.wiring.admin_desk.part import part
from proxy.wiring.opening import Stray


class KeyDesk:
    """One method for each route; each raises Fault, Unavailable or Corrupt with words for whoever called."""

    def __init__(self, house: Callable[[], House], strays: Callable[[], Awaitable[Sequence[Stray]]]) -> None:
        """`strays` lists keys on the tokens that the key book does not have."""
        self._house = house
        self._strays = strays

    def topic(self) -> Topic:
        """Return what every route does, by its name."""
        return Topic(
            {
                "list_keys": self._list,
                "list_strays": self._unrecorded,
                "rotate_key": self._rotate,
                "prepare_key": self._prepare,
                "activate_key": self._activate,
                "retire_key": self._retire,
                "compromise_key": self._compromise,
            },
            {
                "rotate_key": self._plan_rotate,
                "prepare_key": self._plan_prepare,
                "activate_key": self._plan_activate,
                "retire_key": self._plan_retire,
                "compromise_key": self._plan_compromise,
            },
        )

    async def _list(self, acting: Acting) -> shapes.Keys:
        keys, after = part(self._house().keybook.ring().ours, acting)
        return shapes.Keys(items=tuple(shown(key) for key in keys), next=after)

    async def _unrecorded(self, _acting: Acting) -> shapes.Strays:
        try:
            strays = await self._strays()
        except Unavailable as away:
            return shapes.Strays(items=(), not_looked=away.what)
        return shapes.Strays(
            items=tuple(shapes.Stray(token=s.token, label=s.label, fingerprint=s.fingerprint) for s in strays)
        )

    async def _rotate(self, acting: Acting) -> shapes.Rotation:
        return turned(await keylife.rotate(acting.places["profile"], *self._why(acting), request_id=acting.request_id))

    async def _prepare(self, acting: Acting) -> shapes.KeyShown:
        return shown(await keylife.prepare(acting.places["profile"], *self._why(acting), request_id=acting.request_id))

    async def _activate(self, acting: Acting) -> shapes.Rotation:
        which = acting.places["fingerprint"]
        return turned(await keylife.activate(which, *self._why(acting), request_id=acting.request_id))

    async def _retire(self, acting: Acting) -> shapes.KeyShown:
        which = acting.places["fingerprint"]
        return shown(await keylife.retire(which, *self._why(acting), request_id=acting.request_id))

    async def _compromise(self, acting: Acting) -> shapes.KeyShown:
        which, wish = acting.places["fingerprint"], cast("shapes.Compromise", acting.body)
        why, asked = self._why(acting), acting.request_id
        return shown(await keylife.compromise(which, *why, rotate=wish.rotate, since=wish.since, request_id=asked))

    def _why(self, acting: Acting) -> tuple[str, str, str, House]:
        return acting.holder.who, acting.holder.how, cast("Why", acting.body).reason, self._house()

    async def _plan_rotate(self, acting: Acting) -> tuple[str, ...]:
        old = keylife.may_rotate(acting.places["profile"], self._house())
        return (_made(acting), *_handover("it", old))

    async def _plan_prepare(self, acting: Acting) -> tuple[str, ...]:
        keylife.may_rotate(acting.places["profile"], self._house())
        return (_made(acting), "record it as prepared: it verifies, and signs nothing before it is activated")

    async def _plan_activate(self, acting: Acting) -> tuple[str, ...]:
        new = keylife.may_become(acting.places["fingerprint"], KeyState.ACTIVE, self._house())
        return _handover(_named(new), self._house().keybook.ring().active(new.profile))

    async def _plan_retire(self, acting: Acting) -> tuple[str, ...]:
        key = keylife.may_become(acting.places["fingerprint"], KeyState.RETIRED, self._house())
        return (f"block every image that only {_named(key)} has signed (key_retired); there is no way back",)

    async def _plan_compromise(self, acting: Acting) -> tuple[str, ...]:
        house, wish = self._house(), cast("shapes.Compromise", acting.body)
        key, steps = keylife.may_be_compromised(acting.places["fingerprint"], wish.since, house), []
        if key.state is KeyState.ACTIVE and wish.rotate:
            steps = [f"let another key sign for {key.profile}: the prepared one, else one made now"]
        elif key.state is KeyState.ACTIVE:
            until = f"until another key is active: countersign keys rotate {key.profile}"
            steps = [f"sign nothing for {key.profile}, and refuse the pushes that it signs, {until}"]
        block = f"block every image that only {_named(key)} has signed (key_compromised); there is no way back"
        return (*steps, block, _excused(wish.since, house))


def _excused(since: datetime | None, house: House) -> str:
    """Say what becomes of images that our ledger has from before."""
    trusting = any(policy.pull.trust_ledger for policy in house.rules.current().policies)
    if since is None:
        return "let nothing that it signed count, whatever policies say: since when it is known to others was not said"
    if not trusting:
        return (
            f"note that it is known to others since {since.isoformat()}; no policy says trust_ledger, so all is blocked"
        )
    return f"where the policy says trust_ledger: let count what our ledger shows as signed before {since.isoformat()}"


def _made(acting: Acting) -> str:
    return f"make a key for {acting.places['profile']} in the token, and let it prove itself by a signature"


def _handover(new: str, old: BookKey | None) -> tuple[str, ...]:
    steps = (f"sign every push from then on with {new}",)
    return (*steps, f"keep {_named(old)} as trusted: what it signed still verifies") if old else steps


def _named(key: BookKey) -> str:
    return f"key {fingerprint(key.spki)[:12]} of {key.profile}"


def turned(done: keylife.Rotated) -> shapes.Rotation:
    """Return a rotation as the admin API shows it."""
    return shapes.Rotation(old=None if done.old is None else shown(done.old), new=shown(done.new))


def shown(key: BookKey) -> shapes.KeyShown:
    """Return the key as the admin API shows it."""
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
    )
