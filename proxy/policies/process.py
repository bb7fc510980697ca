"""Texts of policies are read, compared and looked through in processes of their own: see `proxy.policies.worker`.

Two of them, each asked one thing at a time: what is to be put in force never waits behind what somebody tries out.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Protocol

from hsm.child import Child, ChildGone
from proxy.oci.faults import Fault, Unavailable
from proxy.oci.limits import MIB, Limits
from proxy.oci.shares import Shares
from proxy.policies.worker import Json, answer

REPLY_BYTES = 64 * MIB
IDLE_S = 60.0  # after which a process that nobody needs ends
NICE = 5  # of what is tried out: answering registry clients comes first


class Reader(Protocol):
    """Answers what `proxy.policies.worker.answer` answers."""

    async def ask(self, request: Json, *, urgent: bool) -> Json:
        """Return the reply; `urgent` is what is to be put in force. Raises Fault, Unavailable."""


class Here:
    """Answers in this process: for commands and for a start, where nobody else waits."""

    async def ask(self, request: Json, *, urgent: bool) -> Json:  # noqa: ARG002
        """Return the reply."""
        return answer(request)


class PolicyProcesses:
    """The two processes; each is started when it is first needed."""

    def __init__(self, limits: Limits) -> None:
        """No process runs yet."""
        self._urgent, self._trying = _Lane(limits, 0), _Lane(limits, NICE)

    async def ask(self, request: Json, *, urgent: bool) -> Json:
        """Return the reply, within `limits.policy_check_s` of its turn. Raises Fault, Unavailable."""
        return await (self._urgent if urgent else self._trying).ask(request)

    async def close(self) -> None:
        """No process runs any more, and none is started again."""
        await asyncio.gather(self._urgent.close(), self._trying.close())

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of those that run."""
        return tuple(lane.child.pid for lane in (self._urgent, self._trying) if lane.child is not None)


class _Lane:
    def __init__(self, limits: Limits, nice: int) -> None:
        self._limits, self._nice = limits, nice
        self._turn = asyncio.Lock()
        self._closed = False
        self._idle: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None
        self.child: Child | None = None

    async def ask(self, request: Json) -> Json:
        seconds = self._limits.policy_check_s
        body = json.dumps({**request, "seconds": seconds}).encode()
        async with self._turn:
            if self._idle is not None:
                self._idle.cancel()
            try:
                reply: Json = json.loads(await self._answered(body, seconds))
            finally:
                self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._end_unless_asked)
            return reply

    async def _answered(self, body: bytes, seconds: float) -> bytes:
        """Return the answer of the process. One that died is replaced once: a text might kill one after another."""
        for last in (False, True):
            child = await self._running()
            try:
                return await child.ask(body, asyncio.get_running_loop().time() + seconds, REPLY_BYTES)
            except TimeoutError:
                await self._killed(child)
                text = f"these policies take longer than {seconds:g} s to look through (limits.policy_check_s)"
                raise Fault("UNSUPPORTED", f"{text}; make the text smaller", status=400) from None
            except ChildGone as gone:
                await self._killed(child)
                if last:
                    text = f"these policies cannot be looked through: {gone}, twice"
                    raise Fault("UNSUPPORTED", f"{text}; make the text smaller", status=400) from None
            except BaseException:  # nobody waits for this answer any more, and it must not be taken for the next one
                await self._killed(child)
                raise
        raise AssertionError

    async def _running(self) -> Child:
        if self._closed:
            raise Unavailable("the server is leaving: policies are not looked at any more")
        if self.child is not None and not self.child.alive:
            await self._killed(self.child)
        if self.child is None:
            memory = self._limits.policy_check_bytes
            try:
                self.child = await Child.start(
                    "proxy.policies.worker", "looks through policies", {}, str(self._nice), str(memory)
                )
            except OSError as error:
                raise Unavailable(f"no process to look through policies could be started: {error.strerror}") from None
        return self.child

    async def _killed(self, child: Child) -> None:
        self.child = None
        await child.kill()

    def _end_unless_asked(self) -> None:
        if not self._turn.locked() and self.child is not None:
            child, self.child = self.child, None
            self._ending = asyncio.get_running_loop().create_task(child.end())

    async def close(self) -> None:
        self._closed = True
        if self._idle is not None:
            self._idle.cancel()
        if self._ending is not None:
            await self._ending
        if self.child is not None:
            await self._killed(self.child)


class Turns:
    """Whose policies are looked through: each holder's one after the other, and one who asks for many stops nobody."""

    def __init__(self, limit: int) -> None:
        """`limit` is how many may be under way or wait, of all holders together; see `proxy.oci.shares`."""
        self._shares = Shares(limit)
        self._locks: dict[Hashable, asyncio.Lock] = {}

    @asynccontextmanager
    async def of(self, holder: Hashable) -> AsyncIterator[None]:
        """It is this holder's turn until the block ends. Raises Fault TOOMANYREQUESTS (429) where too many wait."""
        if not self._shares.take(holder):
            held = self._shares.held(holder)
            text = f"{held} of your checks of policies wait already (limits.policy_checks: {self._shares.limit} of all)"
            raise Fault("TOOMANYREQUESTS", f"{text}; ask again when they are done", headers={"Retry-After": "10"})
        try:
            async with self._locks.setdefault(holder, asyncio.Lock()):
                yield
        finally:
            self._shares.give_back(holder)
            if not self._shares.held(holder):
                del self._locks[holder]
