"""Read, compare and lint policy texts in separate processes: see `proxy.policies.worker`.

There are two processes, each with one request at a time, so that a text to be put in force never waits for one that is
only tried.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Protocol

from hsm.child import Child, ChildGone
from proxy.config import Settings
from proxy.config.policy_file import PolicyFile, policies_of
from proxy.oci.faults import Fault, Invalid, Unavailable
from proxy.oci.limits import MIB, Limits
from proxy.oci.shares import Shares
from proxy.policies.lint import LintContext
from proxy.policies.revision import TEXT_BYTES
from proxy.policies.worker import Json, answer

REPLY_BYTES = 64 * MIB
SEGMENTS = 3000  # of all patterns of one text together
IDLE_S = 60.0  # after this an unused process ends
NICE = 5  # of the process for trials: registry clients have priority


class Reader(Protocol):
    """Answers the requests of `proxy.policies.worker.answer`."""

    async def ask(self, request: Json, *, urgent: bool) -> Json:
        """Return the reply; `urgent` marks a text to be put in force. Raises Fault, Unavailable."""


class Here:
    """Answers in this process: for commands and for a start, when no other request waits."""

    async def ask(self, request: Json, *, urgent: bool) -> Json:  # noqa: ARG002
        """Return the reply."""
        return answer(request)


class PolicyProcesses:
    """The two processes; each starts when it is first needed."""

    def __init__(self, limits: Limits) -> None:
        """Start with no process."""
        self._urgent, self._trying = _Lane(limits, 0), _Lane(limits, NICE)

    async def ask(self, request: Json, *, urgent: bool) -> Json:
        """Return the reply, within `limits.policy_check_s` of its turn. Raises Fault, Unavailable."""
        return await (self._urgent if urgent else self._trying).ask(request)

    async def close(self) -> None:
        """End both processes; no process can start after this."""
        await asyncio.gather(self._urgent.close(), self._trying.close())

    @property
    def pids(self) -> tuple[int, ...]:
        """The ids of the running processes."""
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
        """Return the answer of the process. A process that died is replaced once: a text might kill every process."""
        for last in (False, True):
            child = await self._running()
            try:
                return await child.ask(body, asyncio.get_running_loop().time() + seconds, REPLY_BYTES)
            except TimeoutError:
                await self._killed(child)
                text = f"these policies take longer than {seconds:g} s to check (limits.policy_check_s)"
                raise Invalid(f"{text}; make the text smaller") from None
            except ChildGone as gone:
                await self._killed(child)
                if last:
                    text = f"these policies cannot be checked: {gone}, twice"
                    raise Invalid(f"{text}; make the text smaller") from None
            except BaseException:  # the caller is gone: the late answer must not be read as the next one
                await self._killed(child)
                raise
        raise AssertionError

    async def _running(self) -> Child:
        if self._closed:
            raise Unavailable("the server is stopping: policies are no longer checked")
        if self.child is not None and not self.child.alive:
            await self._killed(self.child)
        if self.child is None:
            memory = self._limits.policy_check_bytes
            try:
                self.child = await Child.start(
                    "proxy.policies.worker", "checks policies", {}, str(self._nice), str(memory)
                )
            except OSError as error:
                raise Unavailable(f"no process to check policies could be started: {error.strerror}") from None
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
    """Gives turns for policy checks: each holder's checks run one by one, and no holder can block the others."""

    def __init__(self, limit: int) -> None:
        """`limit` is the number of running and waiting checks of all holders together; see `proxy.oci.shares`."""
        self._shares = Shares(limit)
        self._locks: dict[Hashable, asyncio.Lock] = {}

    @asynccontextmanager
    async def of(self, holder: Hashable) -> AsyncIterator[None]:
        """Hold this holder's turn until the block ends. Raises Fault TOOMANYREQUESTS (429) if too many checks wait."""
        if not self._shares.take(holder):
            held = self._shares.held(holder)
            text = f"{held} of your policy checks wait already (limits.policy_checks: {self._shares.limit} of all)"
            raise Fault("TOOMANYREQUESTS", f"{text}; try again when they are done", headers={"Retry-After": "10"})
        try:
            async with self._locks.setdefault(holder, asyncio.Lock()):
                yield
        finally:
            self._shares.give_back(holder)
            if not self._shares.held(holder):
                del self._locks[holder]


class PolicyTexts:
    """Operations on policy texts. An `urgent` text, to be put in force, does not wait for texts that are only tried.

    All methods raise Fault, for a refused text and for one that takes too long, and Unavailable.
    """

    def __init__(self, reader: Reader) -> None:
        """`reader` answers the requests."""
        self._reader = reader

    async def read(self, text: str, name: str, settings: Settings, *, urgent: bool = False) -> PolicyFile:
        """Return the policies in a submitted text. Raises Fault for the reasons that refuse a configuration."""
        _bounded(text)
        return await self._read(_request("read", text, name, settings), urgent=urgent)

    async def read_kept(self, text: str, name: str, settings: Settings) -> PolicyFile:
        """Return the policies in a text that was accepted earlier: size limits added since then do not apply."""
        return await self._read({**_request("read", text, name, settings), "segments": None}, urgent=True)

    async def _read(self, request: Json, *, urgent: bool) -> PolicyFile:
        reply = await self._reader.ask(request, urgent=urgent)
        if "refused" in reply:
            raise Invalid("; ".join(reply["refused"]))
        policies = policies_of(reply["canonical"])
        return PolicyFile(request["text"], policies, reply["canonical"], reply["written"], request["name"])

    async def compare(
        self, old: PolicyFile, new: PolicyFile, *, urgent: bool = False, known: Sequence[str] = ()
    ) -> Json:
        """Return the differences: `changes` as values, and `lines` for people.

        `left` has those of the known repositories that are left without a policy; None if that is too much work.
        """
        request = {"do": "compare", "old": old.written, "new": new.written, "known": list(known)}
        return await self._reader.ask(request, urgent=urgent)

    async def lint(self, text: str, name: str, settings: Settings, around: LintContext) -> tuple[Json, ...]:
        """Return the findings in a submitted text, including refusals.

        Each finding has `level`, `code`, `where`, `text`, and a `line` if it is in the text.
        """
        _bounded(text)
        return await self._linted(_request("lint", text, name, settings), around)

    async def lint_kept(self, file: PolicyFile, settings: Settings, around: LintContext) -> tuple[Json, ...]:
        """Return the findings in the policies in force."""
        text = "\n" * (file.line - 1) + file.text
        return await self._linted({**_request("lint", text, file.name, settings), "segments": None}, around)

    async def _linted(self, request: Json, around: LintContext) -> tuple[Json, ...]:
        about = {**asdict(around), "now": around.now.isoformat()}
        return tuple((await self._reader.ask({**request, "around": about}, urgent=False))["findings"])


def _bounded(text: str) -> None:
    if len(text.encode("utf-8", "surrogatepass")) > TEXT_BYTES:
        raise Fault("SIZE_INVALID", f"policies have at most {TEXT_BYTES // 1024} KiB of text", status=413)


def _request(what: str, text: str, name: str, settings: Settings) -> Json:
    return {"do": what, "text": text, "name": name, "signers": asdict(settings.signers), "segments": SEGMENTS}
