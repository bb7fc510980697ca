"""Which token signs for a profile that has several: the first that works, and loudly where that is not the first."""

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
    """`token` signs for this profile where `first` should; `token` is empty where none of them works."""

    profile: str
    first: str
    token: str
    why: str
    since: datetime


class Standby:
    """What is known of tokens that stand by for one another."""

    def __init__(
        self,
        plan: Callable[[], TokensPlan],
        away: Callable[[str, str], str | None],
        record: Record,
        log: FilteringBoundLogger,
    ) -> None:
        """`plan` returns the one in use; `away` why a profile is not expected to sign on a token, None where it is."""
        self._plan = plan
        self._away = away
        self._record = record
        self._log = log
        self._told: dict[str, Failover] = {}

    def tokens_of(self, profile: str) -> tuple[TokenState, ...]:
        """Return the profile's tokens in its order, each with why it is not expected to sign now."""
        planned = self._plan().profiles.get(profile)
        tokens = () if planned is None else planned.tokens
        return tuple(TokenState(token, self._away(profile, token)) for token in tokens)

    def all_sign(self) -> bool:
        """True when every profile for images has a token that signs."""
        images = [profile.name for profile in self._plan().profiles.values() if profile.purpose == "image"]
        turns = [self.tokens_of(profile) for profile in images]
        return all(any(turn.away is None for turn in each) for each in turns)

    def now(self) -> tuple[Failover, ...]:
        """Return the profiles for which the first token does not sign, as the journal was told."""
        return tuple(self._told.values())

    async def watch(self) -> None:
        """Tell the journal whenever another token signs, without end."""
        while True:
            for profile in self._plan().profiles:
                await self._tell(profile)
            await asyncio.sleep(LOOK_S)

    async def _tell(self, profile: str) -> None:
        """Record who signs for this profile now, where that is another one than the journal has."""
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
            return  # the next look tells it
        if signs == first.token:
            self._told.pop(profile, None)
            self._log.info("the first token signs again", profile=profile, token=signs)
        else:
            self._told[profile] = Failover(profile, first.token, signs, first.away or "", now)
            self._log.error("the first token does not sign", profile=profile, token=first.token, instead=signs or None)
