"""The children of one token: who works on what, until when, and who replaces the dead.

A request waits in a bounded queue, its deadline running; each child serves one at a time. A child that hangs is
killed, one that died is replaced before its next use, with jitter and without limit. Only one child logs in at any
moment, and a refused PIN stops all of them for good.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from secrets import SystemRandom
from typing import Any, Generic, TypeVar

from hsm import wire
from hsm.child import Child, ChildGone
from hsm.errors import (
    KeyAmbiguous,
    KeyExists,
    KeyMissing,
    MechanismMissing,
    PinRefused,
    QueueFull,
    SignatureInvalid,
    TokenError,
    TokenNotFound,
    TokenUnavailable,
)
from hsm.pin import PinMemory
from hsm.settings import TokenSettings

_T = TypeVar("_T")
_OPENING = 30.0  # seconds for a child to load its module and log in
_PATIENCE = 1.0  # seconds a child may always work on a request, however little of its deadline the queue has left
_FIRST_TRIES = 6  # several processes starting at once on one SoftHSM token fail about one time in eight
_LONGEST_PAUSE = 5.0  # seconds between attempts to replace a child
_DOWN_AFTER = 2.0  # seconds without any child after which requests are refused instead of queued
_ERRORS: dict[wire.Reason, type[TokenError]] = {
    "pin-refused": PinRefused,
    "module-missing": TokenNotFound,
    "token-not-found": TokenNotFound,
    "token-busy": TokenUnavailable,
    "session-lost": TokenUnavailable,
    "mechanism-missing": MechanismMissing,
    "key-missing": KeyMissing,
    "key-ambiguous": KeyAmbiguous,
    "key-exists": KeyExists,
    "failed": TokenError,
}


@dataclass(frozen=True)
class Stats:
    """How many children work, how many requests wait, how many children are logged in, how many were replaced."""

    busy: int
    queued: int
    alive: int
    restarts: int


@dataclass(eq=False)
class _Job(Generic[_T]):
    request: wire.Request
    accept: Callable[[wire.Reply], _T]
    repeatable: bool
    until: float
    answer: asyncio.Future[_T]

    def fail(self, error: TokenError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    def current(self, now: float) -> wire.Request:
        """The request with the seconds it has left."""
        return replace(self.request, seconds=max(self.until - now, _PATIENCE))


class Pool:
    """The children of one token. Made by `open_pool`."""

    def __init__(self, settings: TokenSettings) -> None:
        self._settings = settings
        self._memory = PinMemory(settings.pin_memory, settings.pin_identity)
        self._jobs: deque[_Job[Any]] = deque()
        self._idle: deque[asyncio.Future[_Job[Any] | None]] = deque()
        self._children: dict[int, Child] = {}
        self._slots: list[asyncio.Task[None]] = []
        self._login = asyncio.Lock()
        self._refused: PinRefused | None = None
        self._trouble: str | None = None
        self._down_since: float | None = None
        self._busy = self._restarts = 0
        self._closed = False

    async def open(self) -> None:
        """One child is logged in and the others follow. Raises what the token said when it could not."""
        self._memory.check(self._settings.name)
        first = await self._first()
        self._memory.accepted()
        self._slots = [
            asyncio.create_task(self._slot(number, first if number == 0 else None), name=f"hsm-{number}")
            for number in range(self._settings.sessions)
        ]

    async def close(self) -> None:
        """Every child has ended; what was waiting has failed with `TokenUnavailable`."""
        self._closed = True
        for slot in self._slots:
            slot.cancel()
        await asyncio.gather(*self._slots, return_exceptions=True)
        while self._jobs:
            self._jobs.popleft().fail(self._unavailable("it was closed"))
        children, self._children = list(self._children.values()), {}
        await asyncio.gather(*(child.end() for child in children))

    @property
    def health(self) -> str | None:
        """None while signing can be expected to work, else the reason why not."""
        if self._refused is not None:
            return str(self._refused)
        if self._closed:
            return f"{self._settings.name} is closed"
        return None if self._children else self._trouble or f"{self._settings.name}: its process is being replaced"

    @property
    def stats(self) -> Stats:
        """The numbers of this moment."""
        return Stats(self._busy, len(self._jobs), len(self._children), self._restarts)

    async def ask(
        self, request: wire.Request, accept: Callable[[wire.Reply], _T], *, seconds: float, repeatable: bool = True
    ) -> _T:
        """What `accept` made of the token's answer, within that many seconds, time in the queue included.

        A repeatable request is asked a second time, of a new child, when the session was lost or the child died.
        """
        loop = asyncio.get_running_loop()
        self._refuse_early(loop.time())
        answer: asyncio.Future[_T] = loop.create_future()
        job = _Job(request, accept, repeatable, loop.time() + seconds, answer)
        self._submit(job)
        try:
            async with asyncio.timeout_at(job.until):
                return await answer
        except TimeoutError:
            raise self._unavailable(f"it did not answer within {seconds:g} s") from None
        finally:
            with contextlib.suppress(ValueError):
                self._jobs.remove(job)

    def _refuse_early(self, now: float) -> None:
        if self._refused is not None:
            raise PinRefused(str(self._refused))
        if self._closed:
            raise self._unavailable("it is closed")
        if self._down_since is not None and now - self._down_since > _DOWN_AFTER:
            raise self._unavailable(self._trouble or "none of its processes is logged in")

    def _submit(self, job: _Job[Any]) -> None:
        while self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(job)
                return
        if len(self._jobs) >= self._settings.queue:
            raise QueueFull(
                f"{self._settings.name}: {len(self._jobs)} requests wait already, which is its limit (queue); "
                "try again, or raise its sessions if the device allows more"
            )
        self._jobs.append(job)

    async def _slot(self, number: int, child: Child | None) -> None:
        if child is not None:
            self._arrived(number, child)
        try:
            while True:
                if child is None or not child.alive:
                    child = await self._replaced(number, child)
                job = await self._next(child)
                if job is not None:
                    self._busy += 1
                    try:
                        await self._work(number, child, job)
                    finally:
                        self._busy -= 1
                        job.fail(self._unavailable("its process ended while it worked"))
                    child = self._children.get(number)
        except PinRefused as refused:
            self._stop(refused)

    async def _next(self, child: Child) -> _Job[Any] | None:
        """The next request that somebody still waits for, or None when the child has died meanwhile."""
        while self._jobs:
            job = self._jobs.popleft()
            if not job.answer.done():
                return job
        loop = asyncio.get_running_loop()
        idle: asyncio.Future[_Job[Any] | None] = loop.create_future()

        def died(_: object) -> None:
            if not idle.done():
                idle.set_result(None)

        child.exited.add_done_callback(died)
        self._idle.append(idle)
        try:
            return await idle
        finally:
            child.exited.remove_done_callback(died)
            with contextlib.suppress(ValueError):
                self._idle.remove(idle)

    async def _work(self, number: int, child: Child, job: _Job[Any]) -> None:
        """The job has its answer. The child of this slot may be another one, or dead, afterwards."""
        loop = asyncio.get_running_loop()
        for last in (not job.repeatable, True):
            try:
                request = job.current(loop.time())
                # A healthy child is not killed because the queue ate the deadline.
                reply = await child.ask(request, loop.time() + request.seconds)
                if isinstance(reply, wire.Failed) and reply.reason == "session-lost":
                    raise ChildGone(reply.text)
                value = job.accept(reply)
            except TimeoutError:
                await self._lost(number, child)
                return job.fail(self._unavailable("it hung; its process was killed at the deadline"))
            except ChildGone as gone:
                await self._lost(number, child)
                if last or job.answer.done():
                    return job.fail(self._unavailable(str(gone)))
                child = await self._replaced(number, None)
            except SignatureInvalid as error:
                await self._lost(number, child)
                return job.fail(error)
            except TokenError as error:
                return job.fail(error)
            else:
                if not job.answer.done():
                    job.answer.set_result(value)
                return None
        return None

    async def _first(self) -> Child:
        for attempt in range(_FIRST_TRIES):
            try:
                return await self._started()
            except TokenError as error:
                if isinstance(error, PinRefused) or "cannot be loaded" in str(error) or attempt == _FIRST_TRIES - 1:
                    raise
            await _pause(attempt)
        raise AssertionError("unreachable")

    async def _replaced(self, number: int, dead: Child | None) -> Child:
        """A new logged-in child for this slot, however long that takes; `PinRefused` when it may not log in."""
        if dead is not None:
            await self._lost(number, dead)
        attempt = 0
        while True:
            try:
                child = await self._started()
            except PinRefused:
                raise
            except TokenError as error:
                self._trouble = str(error)
            else:
                self._arrived(number, child)
                return child
            await _pause(attempt)
            attempt += 1

    async def _started(self) -> Child:
        """A child that is logged in."""
        child = await Child.start(self._settings.environment)
        settings = self._settings
        try:
            async with self._login:
                if self._refused is not None:
                    raise self._refused
                order = wire.Open(settings.module, settings.label, settings.serial, settings.pin, _OPENING)
                reply = await child.ask(order, asyncio.get_running_loop().time() + _OPENING)
                if isinstance(reply, wire.Failed) and reply.reason == "pin-refused":
                    self._memory.refused()
                    self._refused = PinRefused(f"{reply.text}. It is not tried again; correct the PIN and start again.")
                    raise self._refused
            return _or_raise(reply, wire.Opened, child)
        except (TimeoutError, ChildGone) as error:
            await child.kill()
            text = str(error) or f"its module did not open within {_OPENING:g} s"
            raise self._unavailable(text) from error
        except (TokenError, asyncio.CancelledError):
            await child.kill()
            raise

    def _arrived(self, number: int, child: Child) -> None:
        self._children[number] = child
        self._trouble = self._down_since = None

    async def _lost(self, number: int, child: Child) -> None:
        if self._children.pop(number, None) is not None:
            self._restarts += 1
        if not self._children and self._down_since is None:
            self._down_since = asyncio.get_running_loop().time()
        await child.kill()

    def _stop(self, refused: PinRefused) -> None:
        self._refused = refused
        while self._jobs:
            self._jobs.popleft().fail(refused)

    def _unavailable(self, why: str) -> TokenUnavailable:
        return TokenUnavailable(f"{self._settings.name}: {why}" if self._settings.name not in why else why)


def expect(reply: wire.Reply, kind: type[_T]) -> _T:
    """The reply as the kind that was asked for, or the error it stands for."""
    if isinstance(reply, wire.Failed):
        raise _ERRORS[reply.reason](reply.text)
    if not isinstance(reply, kind):
        raise TokenError(f"the token's process answered with {type(reply).__name__} where {kind.__name__} was due")
    return reply


def _or_raise(reply: wire.Reply, kind: type[object], child: Child) -> Child:
    expect(reply, kind)
    return child


async def _pause(attempt: int) -> None:
    longest = min(_LONGEST_PAUSE, 0.1 * 2**attempt)
    await asyncio.sleep(SystemRandom().uniform(0.02, longest))
