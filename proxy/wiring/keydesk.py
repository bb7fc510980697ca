"""What commands on this host may ask about keys: see them, and move them through their lives."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from proxy.flows import keylife
from proxy.flows.house import House
from proxy.oci.faults import Fault, Unavailable
from proxy.setup_token import pem
from proxy.trust.keys import BookKey, KeyState, fingerprint
from proxy.wiring.signer import Stray

WHO, HOW = "operator on the host", "socket"
ACTIONS = ("rotate", "prepare", "activate", "retire", "compromise")


class KeyDesk:
    """The answers to `countersign keys`. `strays` lists keys on the tokens that the key book does not have."""

    def __init__(self, house: Callable[[], House], strays: Callable[[], Awaitable[Sequence[Stray]]]) -> None:
        """`house` returns the one in force."""
        self._house = house
        self._strays = strays

    async def keys(self) -> dict[str, Any]:
        """Return every key of the book, and those on the tokens that are not in it."""
        answer: dict[str, Any] = {"keys": [_shown(key) for key in self._house().keybook.ring().ours]}
        try:
            strays = await self._strays()
        except Unavailable as away:
            return {**answer, "unrecorded": [], "not_looked": away.what}
        unrecorded = [{"token": s.token, "label": s.label, "fingerprint": s.fingerprint} for s in strays]
        return {**answer, "unrecorded": unrecorded}

    async def change(self, given: Mapping[str, str]) -> dict[str, Any]:
        """Do what `action` says, or with `dry_run` only return the plan. Raises Fault, Unavailable."""
        action, reason = given["action"], given["reason"]
        plan = self._plan(given)
        if given.get("dry_run"):
            return {"plan": plan, "done": False}
        house, asked = self._house(), f"local-{secrets.token_hex(6)}"
        profile, key = given.get("profile", ""), given.get("key", "")
        who = (WHO, HOW, reason, house)
        changed: tuple[BookKey | None, ...]
        if action == "rotate":
            turned = await keylife.rotate(profile, *who, request_id=asked)
            changed = (turned.new, turned.old)
        elif action == "activate":
            turned = await keylife.activate(key, *who, request_id=asked)
            changed = (turned.new, turned.old)
        elif action == "prepare":
            changed = (await keylife.prepare(profile, *who, request_id=asked),)
        elif action == "retire":
            changed = (await keylife.retire(key, *who, request_id=asked),)
        else:
            bad = await keylife.compromise(key, *who, rotate=bool(given.get("rotate")), request_id=asked)
            changed = (bad, house.keybook.ring().active(bad.profile))
        return {"plan": plan, "done": True, "keys": [_shown(key) for key in changed if key is not None]}

    def _plan(self, given: Mapping[str, str]) -> list[str]:
        """Return what would happen, a line a step. Raises Fault where it would be refused."""
        house, action, profile = self._house(), given["action"], given.get("profile", "")
        if action in ("rotate", "prepare"):
            old = keylife.may_rotate(profile, house)
            steps = [f"make a key for {profile} in the token, and let it prove itself by a signature"]
            if action == "prepare":
                return [
                    *steps,
                    "record it as prepared: it verifies, and signs nothing before it is activated",
                ]
            return [*steps, *_handover("it", old)]
        if action == "activate":
            new = keylife.may_become(given.get("key", ""), KeyState.ACTIVE, house)
            return _handover(_named(new), house.keybook.ring().active(new.profile))
        if action == "retire":
            key = keylife.may_become(given.get("key", ""), KeyState.RETIRED, house)
            return [f"block every image that only {_named(key)} has signed (key_retired); there is no way back"]
        if action == "compromise":
            return self._disaster(given, house)
        raise Fault("UNSUPPORTED", f"keys cannot {action[:40]!a}; they can: {', '.join(ACTIONS)}", status=400)

    @staticmethod
    def _disaster(given: Mapping[str, str], house: House) -> list[str]:
        key, steps = keylife.find(given.get("key", ""), house), []
        if given.get("rotate") and key.state is KeyState.ACTIVE:
            steps = [f"let another key sign for {key.profile}: the prepared one, else one made now"]
        else:
            keylife.may_become(given.get("key", ""), KeyState.COMPROMISED, house)
        return [*steps, f"block every image that only {_named(key)} has signed (key_compromised); there is no way back"]


def _handover(new: str, old: BookKey | None) -> list[str]:
    steps = [f"sign every push from then on with {new}"]
    return [*steps, f"keep {_named(old)} as trusted: what it signed still verifies"] if old else steps


def _named(key: BookKey) -> str:
    return f"key {fingerprint(key.spki)[:12]} of {key.profile}"


def _shown(key: BookKey) -> dict[str, Any]:
    return {
        "profile": key.profile,
        "fingerprint": fingerprint(key.spki),
        "state": key.state.value,
        "since": key.since.isoformat(),
        "algorithm": key.algorithm,
        "token": key.token,
        "token_serial": key.token_serial,
        "label": key.label,
        "public_key": pem(key.spki).decode(),
    }
