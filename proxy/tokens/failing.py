"""The keys that cannot sign now: a failed signature marks its key, and only a signature clears it.

Recovery needs no operator: every failed key is asked to prove itself again, after growing pauses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass, replace
from datetime import datetime

from structlog.typing import FilteringBoundLogger

from proxy.oci.faults import Fault, Unavailable
from proxy.store.clock import Clock
from proxy.trust.keys import BookKey, KeyRing, KeyState

PROVE_S = 2.0  # pause before a failed key is tried again; it grows each time
LONGEST_S = 16.0  # longest pause; each attempt may log in to the token again
_SIGNING = frozenset({KeyState.ACTIVE, KeyState.TRUSTED})


@dataclass(frozen=True)
class Failing:
    """A key that failed to sign: `key` is its fingerprint, None if the profile has no key on that token yet.

    `missing` is True if the token works but does not hold the key; `lost` is the fingerprint of the key to report as
    lost in that case.
    """

    profile: str
    token: str
    key: str | None
    why: str
    since: datetime
    missing: bool = False
    lost: str = ""


class FailingKeys:
    """The keys that are known to fail."""

    def __init__(self, ring: Callable[[], KeyRing], clock: Clock, log: FilteringBoundLogger) -> None:
        """Start with no failed key."""
        self._ring = ring
        self._clock = clock
        self._log = log
        self._known: dict[str, Failing] = {}  # by fingerprint, else by profile and token

    def failed(self, key: BookKey, why: str, *, missing: bool = False) -> None:
        """Mark this key as failed until it has signed again."""
        name = key.fingerprint
        lost = name if missing else ""
        self._mark(name, Failing(key.profile, key.token, name, why, self._clock.now(), missing, lost))

    def not_made(self, profile: str, token: str, why: str, other: str = "") -> None:
        """Mark the profile as having no usable key on this token; `other` is its key on another token."""
        self._mark(f"{profile} {token}", Failing(profile, token, None, why, self._clock.now(), True, other))

    def _mark(self, name: str, now: Failing) -> None:
        before = self._known.get(name)
        self._known[name] = now if before is None else replace(now, since=before.since)
        if before is None:
            self._log.error("a key does not sign", profile=now.profile, token=now.token, key=now.key, why=now.why)

    def works(self, key: BookKey) -> None:
        """Clear the mark of this key, which has signed."""
        self._gone(key.fingerprint)

    def made(self, profile: str, token: str) -> None:
        """Clear the mark of the profile on this token, where it now has a key."""
        self._gone(f"{profile} {token}")

    def _gone(self, name: str) -> None:
        if (before := self._known.pop(name, None)) is not None:
            self._log.info("a key signs again", profile=before.profile, token=before.token, key=before.key)

    def why(self, profile: str, token: str) -> str | None:
        """Return why this profile is not expected to sign on this token; None if it is."""
        return next((each.why for each in self.now() if (each.profile, each.token) == (profile, token)), None)

    def now(self, beside: Container[str] = ()) -> tuple[Failing, ...]:
        """Return the failed keys that should sign, except those on the tokens in `beside`."""
        ring = self._ring()
        signs = {key.fingerprint for key in ring.ours if key.state in _SIGNING}
        return tuple(
            each
            for each in self._known.values()
            if each.token not in beside
            and (each.key in signs if each.key else ring.active(each.profile, each.token) is None)
        )

    async def keep_proving(
        self, prove: Callable[[BookKey], Awaitable[None]], make: Callable[[str, str], Awaitable[None]]
    ) -> None:
        """Let each failed key prove itself again, forever; `make` looks again for a key that was never seen."""
        pauses: dict[str, tuple[float, float]] = {}  # the next attempt, and the pause before it
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(PROVE_S / 4)
            self._forget()
            pauses = {name: pauses.get(name, (loop.time() + PROVE_S, PROVE_S)) for name in self._known}
            for name in [name for name, (at, _) in pauses.items() if at <= loop.time()]:
                if (each := self._known.get(name)) is not None:
                    await self._again(each, prove, make)
                    pause = min(2 * pauses[name][1], LONGEST_S)
                    pauses[name] = loop.time() + pause, pause

    def _forget(self) -> None:
        """Forget keys that must not sign any more: retired, distrusted, lost or replaced ones."""
        kept = self.now()
        self._known = {name: each for name, each in self._known.items() if each in kept}

    async def _again(
        self,
        each: Failing,
        prove: Callable[[BookKey], Awaitable[None]],
        make: Callable[[str, str], Awaitable[None]],
    ) -> None:
        try:
            if each.key is None:
                await make(each.profile, each.token)
            elif (key := self._ring().find(each.key)) is not None:
                await prove(key)
        except (Unavailable, Fault):
            return  # the failure has already been marked
