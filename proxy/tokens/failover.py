"""Select the token that signs for a profile with several tokens: the first that works. Failovers are reported."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from structlog.typing import FilteringBoundLogger

from proxy.journal.event import Event, EventKind
from proxy.oci.faults import Unavailable
from proxy.registry.ports.keys import TokenState
from proxy.tokens.open import Record
from proxy.tokens.plan import TokensPlan

LOOK_S = 0.5


@dataclass(frozen=True)
class Failover:
    """A failover: `token` signs for this profile instead of `first`; `token` is empty if none works."""

    profile: str
    first: str
    token: str
    why: str
    since: datetime


class Standby:
    """The state of tokens that stand by for one another."""

    def __init__(
        self,
        plan: Callable[[], TokensPlan],
        away: Callable[[str, str], str | None],
        record: Record,
        log: FilteringBoundLogger,
    ) -> None:
        """`plan` returns the current plan; `away` returns why a profile cannot sign on a token, None if it can."""
        self._plan = plan
        self._away = away
        self._record = record
        self._log = log
        self._told: dict[str, Failover] = {}

    def tokens_of(self, profile: str) -> tuple[TokenState, ...]:
        """Return the profile's tokens in order, each with the reason why it is not expected to sign now."""
        planned = self._plan().profiles.get(profile)
        tokens = () if planned is None else planned.tokens
        return tuple(TokenState(token, self._away(profile, token)) for token in tokens)

    def all_sign(self) -> bool:
        """True when every profile for images has a token that signs."""
        images = [profile.name for profile in self._plan().profiles.values() if profile.purpose == "image"]
        turns = [self.tokens_of(profile) for profile in images]
        return all(any(turn.away is None for turn in each) for each in turns)

    def now(self) -> tuple[Failover, ...]:
        """Return the profiles whose first token does not sign, as last journaled."""
        return tuple(self._told.values())

    async def watch(self) -> None:
        """Journal every change of the signing token, forever."""
        while True:
            for profile in self._plan().profiles:
                await self._tell(profile)
            await asyncio.sleep(LOOK_S)

    async def _tell(self, profile: str) -> None:
        """Journal the token that signs for this profile now, if it differs from the last journaled one."""
        turns = self.tokens_of(profile)
        if len(turns) < 2:
            return
        first, told = turns[0], self._told.get(profile)
        signs = next((turn.token for turn in turns if turn.away is None), "")
        if signs == (first.token if told is None else told.token):
            return
        now = self._record.clock.now()
        detail = {"profile": profile, "token": signs or "none", "first": first.token, "why": (first.away or "")[:500]}
        try:
            await self._record.journal.record(Event(now, EventKind.KEY_STANDBY, detail=detail))
        except Unavailable:
            return  # the next look records it
        if signs == first.token:
            self._told.pop(profile, None)
            self._log.info("the first token signs again", profile=profile, token=signs)
        else:
            self._told[profile] = Failover(profile, first.token, signs, first.away or "", now)
            self._log.error("the first token does not sign", profile=profile, token=first.token, instead=signs or None)
