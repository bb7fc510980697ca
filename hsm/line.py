"""The queue of requests for a child: bounded, first come first served; abandoned requests are dropped."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from hsm import wire
from hsm.errors import QueueFull, TokenError

_T = TypeVar("_T")
_PATIENCE = 1.0  # seconds a child may always work on a request, however little of its deadline is left after the queue


@dataclass(eq=False)
class PendingRequest(Generic[_T]):
    """A request, the function that accepts its reply, and the caller who waits until `until` (the loop's clock)."""

    request: wire.Request
    accept: Callable[[wire.Reply], _T]
    repeatable: bool
    until: float
    answer: asyncio.Future[_T]

    @property
    def abandoned(self) -> bool:
        """True if no caller waits for the answer any more, or it has arrived."""
        return self.answer.done()

    def fail(self, error: TokenError) -> None:
        """Give the caller this error unless it already has an answer."""
        if not self.answer.done():
            self.answer.set_exception(error)

    def work(self, reply: wire.Reply) -> None:
        """Give the caller the meaning of the reply; raises what `accept` raises."""
        value = self.accept(reply)
        if not self.answer.done():
            self.answer.set_result(value)

    def current(self, now: float) -> wire.Request:
        """Return the request with its remaining seconds: waiting in the queue must not get a healthy child killed."""
        return replace(self.request, seconds=max(self.until - now, _PATIENCE))


class RequestQueue:
    """Pending requests on one side, idle children on the other."""

    def __init__(self, limit: int, name: str) -> None:
        self._limit = limit
        self._name = name
        self._jobs: deque[PendingRequest[Any]] = deque()
        self._idle: deque[asyncio.Future[PendingRequest[Any] | None]] = deque()

    def __len__(self) -> int:
        return len(self._jobs)

    def join(self, job: PendingRequest[Any]) -> None:
        """Pass the job to an idle child, or queue it. Raises QueueFull when too many wait already."""
        while self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(job)
                return
        if len(self._jobs) >= self._limit:
            raise QueueFull(
                f"{self._name}: {len(self._jobs)} requests wait already, which is its limit (queue); try again later, "
                "or raise its sessions if the device allows more"
            )
        self._jobs.append(job)

    def leave(self, job: PendingRequest[Any]) -> None:
        """Remove the job from the queue."""
        with contextlib.suppress(ValueError):
            self._jobs.remove(job)

    def clear(self, error: TokenError) -> None:
        """Fail every queued job with this error."""
        while self._jobs:
            self._jobs.popleft().fail(error)

    async def next(self, unless: asyncio.Future[Any]) -> PendingRequest[Any] | None:
        """Return the next job with a waiting caller, or None once `unless` is done."""
        if unless.done():
            return None
        while self._jobs:
            job = self._jobs.popleft()
            if not job.abandoned:
                return job
        idle: asyncio.Future[PendingRequest[Any] | None] = asyncio.get_running_loop().create_future()

        def over(_: object) -> None:
            if not idle.done():
                idle.set_result(None)

        unless.add_done_callback(over)
        self._idle.append(idle)
        try:
            return await idle
        finally:
            unless.remove_done_callback(over)
            with contextlib.suppress(ValueError):
                self._idle.remove(idle)
