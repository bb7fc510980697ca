"""The policies in force, and their source: the configuration file, or the newest revision in the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from proxy.config import Settings
from proxy.config.advice import quoted
from proxy.config.policy_file import PolicyFile, in_the_file
from proxy.journal.event import Event, EventKind
from proxy.journal.port import Journal
from proxy.journal.problem import Problem, ProblemId
from proxy.oci.faults import ConfigError, Conflict, Corrupt, Fault, Forbidden
from proxy.oci.slices import Slice
from proxy.policies.lint import none_for
from proxy.policies.process import PolicyTexts, Reader, Turns
from proxy.policies.revision import LINES_KEPT, Change, PolicyRevision, event_of
from proxy.store.clock import Clock
from proxy.trust.actor import Actor
from proxy.trust.policy import PolicySet, outside

OURS = "countersign"
BEHIND = timedelta(seconds=5)  # how long another server's revision may stay unread before that is reported
TRIES = 3  # attempts, if the configuration is reloaded while a text is read
Taken = tuple[PolicyFile, PolicyRevision | None]  # the revision is None if the policies are those of the file


class PolicyBook(Protocol):
    """Stores the revisions of policies that are changed through the API. All methods raise Unavailable.

    `newest` and `find` raise Corrupt for a revision that was altered after it was written.
    """

    async def newest(self) -> PolicyRevision | None:
        """Return the newest revision, or None if there has never been one."""

    async def find(self, number: int) -> PolicyRevision | None:
        """Return the revision with this number, or None."""

    async def history(self, part: Slice) -> tuple[PolicyRevision, ...]:
        """Return revisions, newest first, including altered ones; their key is the number."""

    async def tip(self) -> tuple[int, str]:
        """Return number and hash of the newest revision, even if it was altered; 0 and "" without one."""

    async def append(
        self, revision: PolicyRevision, canonical: str, event: Event, then: Callable[[bool | None], None] | None = None
    ) -> bool:
        """Add this revision, its policies by hash and its journal row; all of it or nothing.

        Returns False, and changes nothing, when the revision does not follow the newest: another one came first. `then`
        gets the same result at that moment, even if the caller was cancelled; None if the outcome is unknown.
        """


class RulesInForce:
    """Holds one policy set; `replace` puts another in force for all later requests."""

    def __init__(self, policies: PolicySet) -> None:
        """Put these policies in force."""
        self._current = policies

    def current(self) -> PolicySet:
        """Return all policies at their current revision."""
        return self._current

    def replace(self, policies: PolicySet) -> None:
        """Put these policies in force instead. Requests already judged keep the revision they were judged under."""
        self._current = policies


class Policies:
    """The policies of one process.

    Every replacement of the policies holds `lock`, including a reload of the configuration, but never while a text is
    parsed or compared: that comes first, and its result is put in force only if it is still the newest.
    """

    def __init__(
        self,
        settings: Settings,
        book: PolicyBook,
        rules: RulesInForce,
        journal: Journal,
        clock: Clock,
        reader: Reader,
    ) -> None:
        """Start with the policies of the file, until `put` gets the result of `taken`. `reader` parses the texts."""
        self.settings = settings
        self.file = in_the_file(settings)
        self.revision: PolicyRevision | None = None
        self.lock = asyncio.Lock()
        self.trouble: tuple[datetime, str] | None = None  # since when and why a newer revision is not in force
        self._reading: datetime | None = None  # since when a possibly newer revision is being read
        self.unsure = False  # whether a revision of ours may be in the store although the write was not confirmed
        self._book = book
        self._rules = rules
        self._journal = journal
        self._clock = clock
        self.texts = PolicyTexts(reader)
        few = settings.limits.policy_checks
        self.trying, self.changing = Turns(few), Turns(few)  # of callers, for texts that are tried and put in force

    async def taken(self, settings: Settings) -> Taken:
        """Return the policies in force under these settings. Without a revision, those of the file become the first.

        Raises ConfigError if the newest revision was altered or is invalid with these settings; Unavailable.
        """
        if settings.policies_from == "file":
            return in_the_file(settings), None
        newest = await self._newest(settings)
        if newest is None:
            file = in_the_file(settings)
            why = f"as {settings.path} has them"
            first = PolicyRevision(1, "", file.text, file.policies.revision, self._clock.now(), OURS, "file", why)
            if await self._book.append(first, file.canonical, event_of(first, [f"first: {why}"])):
                return file, first
            newest = await self._newest(settings)
        if newest is None:
            raise ConfigError("the store has lost the first revision of the policies; restore it from a backup")
        return await self._in_force(newest, settings), newest

    async def _newest(self, settings: Settings) -> PolicyRevision | None:
        try:
            return await self._book.newest()
        except Corrupt as altered:
            raise ConfigError(f"{altered.what}; {fix(settings)}") from None

    def put(self, settings: Settings, taken: Taken) -> None:
        """Put these policies in force for all later requests."""
        self.settings, (self.file, self.revision) = settings, taken
        self.trouble = None
        self._rules.replace(self.file.policies)

    async def refresh(self) -> None:
        """Put another process's newest revision in force; if it is unreadable, the old one stays."""
        reading, loaded = True, False
        self.unsure = False  # reset first: doubts about later changes set it again
        self._reading = self._reading or self._clock.now()
        try:
            while reading and (settings := self.settings).policies_from != "file":
                found = await self._found(settings)
                async with self.lock:
                    reading = self.settings is not settings  # after a reload names have other meanings: read again
                    loaded = not reading and self._overtake(found)
            reading, self._reading = False, None
        finally:
            self.unsure = self.unsure or reading
        if loaded:
            now = self.file.policies.revision
            await self._journal.record(Event(self._clock.now(), EventKind.POLICY_LOADED, policy_revision=now))

    async def _found(self, settings: Settings) -> Taken | str:
        """Return the newest policies, or why they are invalid; those in force already are not parsed again."""
        try:
            newest = await self._newest(settings)
            if newest is not None and self.revision is not None and newest.hash == self.revision.hash:
                return self.file, self.revision
            return await self.taken(settings)
        except ConfigError as wrong:
            return str(wrong)

    def _overtake(self, found: Taken | str) -> bool:
        """Put the result in force; return False if it is already, or if a change made here is newer."""
        if isinstance(found, str):
            self.trouble = self.trouble or (self._clock.now(), found)
            return False
        if self.overtaken(found):
            return False
        new, before = found[1], self.revision
        self.trouble = None
        if new is None or (before is not None and before.hash == new.hash):
            return False
        self.put(self.settings, found)
        return True

    def overtaken(self, taken: Taken) -> bool:
        """True if a revision newer than this one is in force: it was added while this one was read."""
        return taken[1] is not None and self.revision is not None and self.revision.number > taken[1].number

    @property
    def source(self) -> dict[str, str | int]:
        """The source of the policies in force, for logs and status."""
        if self.revision is None:
            return {"policies_from": "file"}
        return {"policies_from": "api", "policies_number": self.revision.number}

    @property
    def described(self) -> str:
        """The policies in force and their source, for people."""
        if self.revision is None:
            return f"those of {self.settings.path}"
        differ = self.settings.policies.revision != self.file.policies.revision
        besides = f"; what {self.settings.path} says under `policies` is another matter, and not in force"
        return f"{self.revision.name}{besides if differ else ''}"

    def problems(self, server: str = "") -> list[Problem]:
        """Return the current problems with the policies, their effects and the next command."""
        late = self._reading is not None and self._clock.now() - self._reading > BEHIND
        since, why = self.trouble or (self._reading if late else None, "it could not be read yet")
        if since is None:
            return []
        there = "none" if self.revision is None else f"revision {self.revision.number}"
        return [
            Problem(
                ProblemId.POLICIES,
                f"a newer revision of the policies is not in force here: {why}",
                f"nothing; {there} stays in force here",
                f"countersign policy history --config {quoted(self.settings.path)}",
                since=since,
                server=server,
            )
        ]

    async def checked(self, text: str, name: str, *, urgent: bool = False) -> PolicyFile:
        """Return the policies in this text, under the configuration in force. Raises Fault, Unavailable."""
        return await self.texts.read(text, name, self.settings, urgent=urgent)

    async def _in_force(self, revision: PolicyRevision, settings: Settings) -> PolicyFile:
        try:
            return await self.texts.read_kept(revision.text, f"revision-{revision.number}", settings)
        except Fault as wrong:
            raise ConfigError(
                f"{revision.name} cannot be put in force with {settings.path}:\n{wrong.message}\n"
                f"restore the names that it uses there, or {fix(settings)}"
            ) from None

    def may_change(self) -> None:
        """Raise Fault if policies are pinned to the file."""
        if self.settings.policies_from == "file":
            raise Conflict(
                f"policies are pinned to {self.settings.path}: change them there and reload; "
                "to change them by the API, set policies_from: api"
            )

    def may_change_only(self, by: Actor, file: PolicyFile) -> None:
        """Raise Fault if these policies differ from those in force for repositories that are not the caller's."""
        if others := outside(by.scope, self.file.policies, file.policies):
            own = f"{by.name!a} is for {', '.join(by.scope)}"
            raise Forbidden(
                f"this changes the policy of {', '.join(others[:5])}, and {own}; leave it as it is in force"
            )

    async def planned(
        self, change: Change, *, urgent: bool = False, known: Sequence[str] = ()
    ) -> tuple[PolicyFile, list[str]]:
        """Return the result of the change, and how it differs from the policies in force. Raises Fault, Unavailable.

        The last line warns if it leaves one of the `known` repositories without a policy.
        """
        self.may_change()
        file = await self.checked(change.text, change.name, urgent=urgent)
        self.may_change_only(change.by, file)
        if not self._there(change):
            await self._based(change)
        compared = await self.texts.compare(self.file, file, urgent=urgent, known=known)
        left = [f"WARNING: {none_for(compared['left'])}"] if compared["left"] else []
        return file, [*compared["lines"], *left]

    async def change(self, change: Change) -> bool:
        """Put this text in force as a new revision; return False, and change nothing, if it is in force already.

        Raises Fault (refused, or another revision came first), Unavailable.
        """
        for _ in range(TRIES):
            settings, against = self.settings, self.file
            file, lines = await self.planned(change, urgent=True)
            async with self.lock:
                if self.settings is not settings or self.file is not against:
                    continue  # after a reload names have other meanings, or other policies are in force: read again
                if self._there(change):
                    return False
                if await self._append(change, file, lines, settings):
                    return True
            raise await self._overtaken(change)
        text = "the configuration was reloaded each time while these policies were read; try again"
        raise Conflict(text)

    async def _append(self, change: Change, file: PolicyFile, lines: list[str], settings: Settings) -> bool:
        """Return False, and change nothing, if the base is not the newest revision. Raises Unavailable."""
        number, parent = await self._book.tip()
        if number != change.base:
            return False
        by, at = change.by, self._clock.now()
        new = PolicyRevision(
            number + 1, parent, change.text, file.policies.revision, at, by.name, by.authenticated_by, by.reason
        )

        def then(added: bool | None) -> None:
            if added and self.settings is settings:  # the caller may have been cancelled and released the lock
                self.put(settings, (file, new))
            elif added is not False:
                self.unsure = True

        return await self._book.append(new, file.canonical, event_of(new, lines, change), then)

    def _there(self, change: Change) -> bool:
        """True if this exact text is in force already, whatever its base."""
        return self.revision is not None and self.trouble is None and self.revision.text == change.text

    async def _based(self, change: Change) -> None:
        number, _ = await self._book.tip()
        if number != change.base:
            raise await self._overtaken(change)

    async def _overtaken(self, change: Change) -> Fault:
        """Return a Fault that shows the changes in between, so that they are not undone by mistake.

        A caller that is for some repositories is not told what changed.
        """
        base = change.base
        newest, *_ = await self._book.history(Slice(1)) or (None,)
        if newest is None or base > newest.number:
            there = 0 if newest is None else newest.number
            return Conflict(f"there is no revision {base}; the newest is {there}")
        told = "other repositories, perhaps" if change.by.scope else await self._since(base, newest)
        text = f"{newest.name} is in force, and this was made from revision {base}; it changed: {told}"
        return Conflict(f"{text}; start from it (countersign policy show)")

    async def _since(self, base: int, newest: PolicyRevision) -> str:
        try:
            old = await self._book.find(base)
            lines = [] if old is None else await self.between(old, newest)
        except (Corrupt, Fault) as unreadable:
            return f"what cannot be shown ({unreadable})"
        return "; ".join(" ".join(line.split()) for line in lines[:LINES_KEPT]) or "only the text"

    async def between(self, old: PolicyRevision, new: PolicyRevision) -> list[str]:
        """Return how two revisions differ, as lines for people. Raises Fault if one is no longer valid."""
        before, after = [await self.understood(each, urgent=True) for each in (old, new)]
        lines: list[str] = (await self.texts.compare(before, after, urgent=True))["lines"]
        return lines

    async def understood(self, revision: PolicyRevision, *, urgent: bool = False) -> PolicyFile:
        """Return an older revision as it would be read now. Raises Fault."""
        return await self.checked(revision.text, f"revision-{revision.number}", urgent=urgent)


def fix(settings: Settings) -> str:
    """Return the command to use when the newest revision cannot be used."""
    return (
        "with the server stopped, put another revision in force: "
        f"countersign policy revert NUMBER --offline --reason TEXT --config {quoted(settings.path)}"
    )
