"""The children of one token: assignment of requests, deadlines, and replacement of dead children.

Each child serves one request at a time. A child that hangs is killed at the deadline; one that died is replaced before
its next use, with jitter and without limit. Only one child logs in at any moment, and a refused PIN stops all of them
for good.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from secrets import SystemRandom
from typing import Any, TypeVar

from hsm import wire
from hsm.allowance import SessionLimit
from hsm.child import LOGGING_IN, Child, ChildGone
from hsm.errors import ModuleMissing, PinRefused, SignatureInvalid, TokenError, TokenNotFound, TokenUnavailable
from hsm.line import PendingRequest, RequestQueue
from hsm.pin import PinMemory
from hsm.replies import by_the_session, expect, told
from hsm.settings import TokenSettings

_T = TypeVar("_T")
_OPENING = 30.0  # seconds for a child to load its module and log in
_FIRST_TRIES = 6  # several processes starting at once on one SoftHSM token fail about one time in eight
_LONGEST_PAUSE = 5.0  # seconds between attempts to replace a child
_DOWN_AFTER = 2.0  # seconds without any child after which requests are refused instead of queued


@dataclass(frozen=True)
class Stats:
    """The number of busy children, queued requests, logged-in children and replacements so far."""

    busy: int
    queued: int
    alive: int
    restarts: int


class Pool:
    """The children of one token."""

    def __init__(self, settings: TokenSettings) -> None:
        self._settings = settings
        self._memory = PinMemory(settings.pin_memory, settings.pin_identity)
        self._line = RequestQueue(settings.queue, settings.name)
        self._children: dict[int, Child] = {}
        self._slots: list[asyncio.Task[None]] = []
        self._login = asyncio.Lock()
        self._refused: str | None = None
        self._trouble: str | None = None
        self._down_since: float | None = None
        self._busy = self._restarts = 0
        self._closed = False
        self.allowance = SessionLimit(settings.sessions)

    async def open(self) -> None:
        """Log in one child; the others follow. Raises the token's error if it cannot."""
        self._memory.check(self._settings.name)
        self.allowance.seat(0)
        first = await self._first()
        self._arrived(0, first)
        with contextlib.suppress(OSError):  # a leftover file records another PIN's refusal, which blocks nothing
            self._memory.accepted()
        self._slots = [
            asyncio.create_task(self._slot(number, first if number == 0 else None), name=f"hsm-{number}")
            for number in range(self._settings.sessions)
        ]

    async def close(self) -> None:
        """End every child; waiting requests fail with `TokenUnavailable`."""
        self._closed = True
        for slot in self._slots:
            slot.cancel()
        await asyncio.gather(*self._slots, return_exceptions=True)
        self._line.clear(self._unavailable("it was closed"))
        children, self._children = list(self._children.values()), {}
        await asyncio.gather(*(child.end() for child in children))

    @property
    def health(self) -> str | None:
        """Return None while signing can be expected to work, else the reason why not."""
        if self._refused is not None:
            return self._refused
        if self._closed:
            return f"{self._settings.name} is closed"
        if not self.allowance.sessions:
            return self._no_session()
        if any(child.alive for child in self._children.values()):
            return None
        return self._trouble or f"{self._settings.name}: its process is being replaced"

    @property
    def stats(self) -> Stats:
        """Return the current numbers."""
        alive = sum(child.alive for child in self._children.values())
        return Stats(self._busy, len(self._line), alive, self._restarts)

    @property
    def pids(self) -> tuple[int, ...]:
        """Return the process ids of the children that are logged in."""
        return tuple(child.pid for child in self._children.values())

    async def ask(
        self, request: wire.Request, accept: Callable[[wire.Reply], _T], *, seconds: float, repeatable: bool = True
    ) -> _T:
        """Return what `accept` made of the token's answer, within `seconds`, time in the queue included.

        A repeatable request is sent a second time, to a new child, when the session was lost or the child died.
        """
        loop = asyncio.get_running_loop()
        self._refuse_early(loop.time())
        answer: asyncio.Future[_T] = loop.create_future()
        job = PendingRequest(request, accept, repeatable, loop.time() + seconds, answer)
        self._line.join(job)
        try:
            async with asyncio.timeout_at(job.until):
                return await answer
        except TimeoutError:
            raise self._unavailable(f"it did not answer within {seconds:g} s") from None
        finally:
            self._line.leave(job)

    def _refuse_early(self, now: float) -> None:
        if self._refused is not None:
            raise PinRefused(self._refused)
        if self._closed:
            raise self._unavailable("it is closed")
        if not self.allowance.sessions:
            raise self._unavailable(self._no_session())
        if self._down_since is not None and now - self._down_since > _DOWN_AFTER:
            raise self._unavailable(self._trouble or "none of its processes is logged in")

    async def _slot(self, number: int, child: Child | None) -> None:
        try:
            while True:
                if not self.allowance.permits(number):
                    child = await self._dismissed(number, child)
                if child is None or not child.alive:
                    child = await self._replaced(number, child)
                if child is not None and (job := await self._next(number, child)) is not None:
                    child = await self._busy_with(number, child, job)
        except PinRefused as refused:
            self._line.clear(refused)

    async def _next(self, number: int, child: Child) -> PendingRequest[Any] | None:
        """Return the next job for this child; None once it has died, or its slot must give it up."""
        over = self.allowance.until_over(number)

        def ended(_: object) -> None:
            if not over.done():
                over.set_result(None)

        child.exited.add_done_callback(ended)
        try:
            return await self._line.next(unless=over)
        finally:
            child.exited.remove_done_callback(ended)

    async def _dismissed(self, number: int, child: Child | None) -> Child | None:
        """Return None once the child has logged out and the slot may have one again."""
        self._children.pop(number, None)
        if child is not None:
            await child.end(LOGGING_IN)
        await self.allowance.left(number)
        return None

    async def _busy_with(self, number: int, child: Child, job: PendingRequest[Any]) -> Child | None:
        self._busy += 1
        try:
            await self._work(number, child, job)
        except PinRefused as refused:
            job.fail(refused)
            raise
        finally:
            self._busy -= 1
            job.fail(self._unavailable("its process ended while it worked"))
        return self._children.get(number)

    async def _work(self, number: int, child: Child, job: PendingRequest[Any]) -> None:
        """Answer the job. Afterwards this slot's child may be another one, or none."""
        loop = asyncio.get_running_loop()
        for last in (not job.repeatable, True):
            if job.abandoned:
                return None
            request = job.current(loop.time())
            try:
                reply = await told(child, request, loop.time() + request.seconds)
                if by_the_session(reply, request) and not (last and reply.reason == "key-missing"):
                    raise ChildGone(reply.text)
                return job.work(reply)
            except TimeoutError:
                await self._lost(number, child)
                return job.fail(self._unavailable("it hung; its process was killed at the deadline"))
            except ChildGone as gone:
                await self._lost(number, child)
                if last or job.abandoned:
                    return job.fail(self._unavailable(str(gone)))
                fresh = await self._replaced(number, None, job)
                if fresh is None:
                    return job.fail(self._unavailable(str(gone)))
                child = fresh
            # an old handle may point at another key: a new session finds the right one
            except SignatureInvalid as error:
                await self._lost(number, child)
                return job.fail(error)
            except TokenError as error:
                return job.fail(error)
        return None

    async def _first(self) -> Child:
        attempt = 0
        while True:
            try:
                return await self._started()
            except (TokenNotFound, TokenUnavailable) as error:
                attempt += 1
                if attempt == _FIRST_TRIES or isinstance(error, ModuleMissing):
                    raise
            await _pause(attempt)

    async def _replaced(self, number: int, dead: Child | None, job: PendingRequest[Any] | None = None) -> Child | None:
        """Return a new logged-in child for this slot, however long that takes. Raises PinRefused if it may not log in.

        None if the slot must not have a child any more. A job that waits for the child fails after a while.
        """
        loop = asyncio.get_running_loop()
        patience = loop.time() + _DOWN_AFTER
        if dead is not None:
            await self._lost(number, dead)
        attempt = 0
        self.allowance.seat(number)
        while self.allowance.permits(number):
            try:
                child = await self._started()
            except PinRefused:
                raise
            except TokenError as error:
                self._trouble = str(error)
                if job is not None and loop.time() > patience:
                    job.fail(self._unavailable(self._trouble))
            else:
                self._arrived(number, child)
                return child
            attempt += 1
            await _pause(attempt)
        return None

    async def _started(self) -> Child:
        """Return a child that is logged in. PinRefused is recorded, here and on disk, before it is raised."""
        settings = self._settings
        try:
            child = await Child.start("hsm.worker", "holds the token", settings.environment)
        except OSError as error:
            raise self._unavailable(f"no child process for the token could be started: {error}") from error
        try:
            async with self._login:
                if self._refused is not None:
                    raise PinRefused(self._refused)
                order = wire.Open(settings.module, settings.label, settings.serial, settings.pin, _OPENING)
                reply = await told(child, order, asyncio.get_running_loop().time() + _OPENING)
                if isinstance(reply, wire.Failed) and reply.reason == "pin-refused":
                    self._refused = f"{reply.text}. It is not tried again; correct the PIN and start again."
                    try:
                        self._memory.refused()
                    except OSError as error:
                        self._refused += f" A restart would try it again: it could not be remembered ({error})."
                    raise PinRefused(self._refused)
            expect(reply, wire.Opened)
        except (TimeoutError, ChildGone) as error:
            await child.kill()
            raise self._unavailable(str(error) or f"its module did not open within {_OPENING:g} s") from error
        except BaseException:  # refused or cancelled: only this function knows the process, and it may be logging in
            await child.end(LOGGING_IN)
            raise
        return child

    def _arrived(self, number: int, child: Child) -> None:
        self._children[number] = child
        self._trouble = self._down_since = None

    async def _lost(self, number: int, child: Child) -> None:
        if self._children.pop(number, None) is not None:
            self._restarts += 1
        if not self._children and self._down_since is None:
            self._down_since = asyncio.get_running_loop().time()
        await child.kill()

    def _no_session(self) -> str:
        return f"{self._settings.name}: other processes hold all its sessions; raise its sessions, or run fewer of them"

    def _unavailable(self, why: str) -> TokenUnavailable:
        return TokenUnavailable(why if self._settings.name in why else f"{self._settings.name}: {why}")


async def _pause(attempt: int) -> None:
    """Wait for a random time, longer with each attempt, so that several processes do not collide again."""
    await asyncio.sleep(SystemRandom().uniform(0.02, min(_LONGEST_PAUSE, 0.1 * 2 ** min(attempt, 10))))
