"""The verdict of now beside a decision of the past, for a caller who may pull the image."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from cachetools import TTLCache

from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.reference import Reference, Repository, is_digest
from proxy.registry.request import Request
from proxy.registry.single_flight import SingleFlight
from proxy.trust.decision import Decision
from proxy.trust.question import NOTHING
from proxy.trust.reason import Reason
from proxy.trust.requirement import Outcome
from proxy.web.call import Call

AGAIN_S = 5.0  # a page that is reloaded more often shows the same verdict
KEPT = 256


@dataclass(frozen=True)
class Inspection:
    """The data about an image for a caller who may pull it; `keys` maps fingerprints to the names that policy uses."""

    decision: Decision
    keys: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)  # the address of the public key, by fingerprint
    pushed_by: str | None = None
    pushed_at: datetime | None = None
    commands: tuple[str, ...] = ()


Inspect = Callable[[Repository, Reference, Request], Awaitable[Inspection]]


@dataclass(frozen=True)
class Now:
    """What the caller would get now, and the page that says why. `outcome` is None if that is not shown."""

    path: str
    said: str
    outcome: Outcome | None = None
    allowed: bool | None = None
    at: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the JSON values."""
        at = None if self.at is None else self.at.isoformat()
        return {"page": self.path, "text": self.said, "allowed": self.allowed, "at": at}


class NowShown:
    """Judges an image again for the page of an earlier decision, with the caller's credentials.

    Whoever reloads the page more often than every few seconds gets the same verdict.
    """

    def __init__(self, inspect: Inspect, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`inspect` judges an image with the caller's own credentials."""
        self._inspect = inspect
        self._secret = secrets.token_bytes(32)
        self._kept: TTLCache[Hashable, Now] = TTLCache(KEPT, AGAIN_S, monotonic)
        self._once: SingleFlight[Now] = SingleFlight()

    async def of(self, decision: Decision, call: Call) -> Now | None:
        """Return what the caller would get now in place of this decision; None if it is not about pulling an image."""
        if not _about_a_pull(decision):
            return None
        question, request = decision.question, call.as_request()
        who = (request.credential.authorization or "").encode("utf-8", "surrogateescape")
        key = (question, decision.digest, hashlib.blake2b(who, key=self._secret).digest())
        if key not in self._kept:
            self._kept[key] = await self._once.do(key, lambda: self._judged(decision, request))
        return self._kept[key]

    async def _judged(self, decision: Decision, request: Request) -> Now:
        repository, reference = decision.question.repository, decision.question.reference
        path = path_of(repository, reference)
        try:
            now = (await self._inspect(repository, reference, request)).decision
        except (Unavailable, Corrupt):
            return Now(path, "not known: it could not be judged just now")
        except Fault as refused:
            why = {
                401: "the registry asks for a login",
                404: "the registry does not have it, or does not show it to you",
            }
            return Now(path, f"not shown: {why.get(refused.status, 'the registry does not show it to you')}")
        said = "a pull is allowed" if now.allowed else "a pull is blocked" if decision.allowed else "still blocked"
        if now.digest != decision.digest and not is_digest(reference):
            said += f"; {reference} is another image by now"
        return Now(path, said, now.outcome, now.allowed, now.at)


def _about_a_pull(decision: Decision) -> bool:
    pushed = any(check.name == "push" for check in decision.checks)
    return not pushed and decision.reason is not Reason.UNLISTED_BLOB and decision.question.reference != NOTHING


def path_of(repository: Repository, reference: Reference) -> str:
    """Return the path of the page about this image."""
    joint = "@" if is_digest(reference) else ":"
    return "/-/i/" + quote(f"{repository}{joint}{reference}", safe="/:@", errors="replace")
