"""An exception that root makes on this host during an outage: in force within a second, recorded when possible.

The right to write the file is the right to break the glass: only root and the user of the server have it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from proxy.journal.event import EventKind
from proxy.oci.faults import Corrupt
from proxy.overrides.exceptions import event, is_over
from proxy.overrides.offline_file import FILE_BYTES, PATTERN, file_of, read
from proxy.overrides.store import StoredOverrides
from proxy.registry.ports_in_use import Ports
from proxy.trust.actor import Actor
from proxy.trust.exception import PolicyException

LOOK_S = 0.3
FILES = 20  # most files examined


class HostException:
    """Watches the files beside the configuration; one exception at a time is in force."""

    def __init__(
        self, directory: Path, ports: Callable[[], Ports], there: StoredOverrides, log: FilteringBoundLogger
    ) -> None:
        """`ports` returns the current ports."""
        self._directory = directory
        self._ports = ports
        self._there = there
        self._log = log
        self._known: PolicyException | None = None

    async def look(self) -> None:
        """Put the exception of a file in force, then record it; once it has ended and is recorded, remove the file.

        Raises Corrupt for an invalid file, Unavailable while the store is away.
        """
        found, problem = self._found()
        now = self._ports().clock.now()
        open_now = next((e for e in found if e.open_at(now)), None)
        if open_now is not None and open_now != self._known:
            until = open_now.until.isoformat(timespec="seconds")
            self._log.warning("break-glass on this host", exception=open_now.id, scope=open_now.scope, until=until)
        self._there.put_offline(open_now)
        if self._known is not None and all(e.id != self._known.id for e in found):
            await self._taken_away(self._known)
        self._known = open_now or self._known
        for each in found:
            await self._record(each)
        if problem is not None:
            raise Corrupt(problem)

    async def _record(self, found: PolicyException) -> None:
        """Record the next step of this file's exception. Raises Unavailable: the step is then tried again."""
        recorded = self._recorded(found)
        if recorded is None:
            await self._note(EventKind.EXCEPTION_OPENED, found, found.reason)
            await self._there.keep(found)
        elif recorded.closed is None and found.until < recorded.until:
            await self._close(recorded, found.until, "it was ended on the host")
        elif is_over(recorded, self._ports()):
            (self._directory / file_of(found.id)).unlink(missing_ok=True)
            self._known = None if self._known is not None and self._known.id == found.id else self._known

    async def _taken_away(self, gone: PolicyException) -> None:
        recorded = self._recorded(gone)
        if recorded is None:  # the file was removed before the exception was recorded
            await self._note(EventKind.EXCEPTION_OPENED, gone, gone.reason)
            recorded = gone
        if recorded.closed is None:
            await self._close(recorded, min(self._ports().clock.now(), recorded.until), "its file was removed")
        self._known = None

    async def _close(self, recorded: PolicyException, at: datetime, why: str) -> None:
        closed = replace(recorded, closed=at, closed_by=recorded.by)
        await self._note(EventKind.EXCEPTION_CLOSED, closed, why)
        await self._there.keep(closed)

    def _recorded(self, found: PolicyException) -> PolicyException | None:
        return next((e for e in self._there.recorded().exceptions if e.id == found.id), None)

    async def _note(self, kind: EventKind, exception: PolicyException, why: str) -> None:
        ports = self._ports()
        await ports.journal.record(event(kind, exception, Actor(exception.by, exception.how, why), ports))

    def _found(self) -> tuple[list[PolicyException], str | None]:
        """Return the exceptions in the files, newest first, and why a file is invalid, if one is."""
        found, problem = [], None
        for path in sorted(self._directory.glob(PATTERN))[:FILES]:
            try:
                found.append(_read(path))
            except FileNotFoundError:
                continue  # just removed
            except OSError as wrong:
                problem = f"{path} is not honoured: {wrong.strerror}"
            except Corrupt as wrong:
                problem = f"{path} is not honoured: {wrong.what}"
        return sorted(found, key=lambda e: e.opened, reverse=True), problem


def _read(path: Path) -> PolicyException:
    """Return the exception in a file. Raises Corrupt, OSError."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        if (why := _problem(status)) is not None:
            raise Corrupt(why)
        data = file.read(FILE_BYTES + 1)
    if len(data) > FILE_BYTES:
        raise Corrupt(f"more than {FILE_BYTES} bytes")
    found = read(data, datetime.fromtimestamp(status.st_ctime, UTC))
    if path.name != file_of(found.id):
        raise Corrupt(f"it is about {found.id}")
    return found


def _problem(status: os.stat_result) -> str | None:
    """Return why a file with this owner and mode is not trusted, or None."""
    if not stat.S_ISREG(status.st_mode):
        return "it is no regular file"
    if status.st_uid not in {0, os.geteuid()}:
        return f"it belongs to user {status.st_uid}, not to root or to the user the server runs as"
    if status.st_mode & 0o022:
        return f"others may write it (mode {stat.S_IMODE(status.st_mode):04o})"
    return None
