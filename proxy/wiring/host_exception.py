"""The exception that root made on this host while nothing answered: in force within a second, on record when it can be.

Who may write the file decides who may break the glass: root, or the user that the server runs as, and nobody else.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from proxy.flows.breakglass import event, is_over
from proxy.flows.denying import Asker
from proxy.flows.house import House
from proxy.oci.faults import Corrupt
from proxy.store.interventions import StoredInterventions
from proxy.trust.event import Kind
from proxy.trust.exception import PolicyException
from proxy.trust.offline import FILE_BYTES, NAME, read

LOOK_S = 0.3


class HostException:
    """Watches the file beside the configuration."""

    def __init__(
        self, directory: Path, house: Callable[[], House], there: StoredInterventions, log: FilteringBoundLogger
    ) -> None:
        """`house` returns the one in force."""
        self._path = directory / NAME
        self._house = house
        self._there = there
        self._log = log
        self._known: PolicyException | None = None

    async def look(self) -> None:
        """Have what the file says be in force, then on record; over and recorded, the file goes.

        Raises Corrupt for a file that is not honoured, Unavailable while the store is away.
        """
        found = self._found()
        self._show(found)
        if found is None:
            if self._known is not None:
                await self._ended(self._known)
            return
        self._known = found
        recorded = self._recorded(found)
        if recorded is None:
            await self._note(Kind.EXCEPTION_OPENED, found, found.reason)
            await self._there.keep(found)
        elif is_over(recorded, self._house()):
            self._path.unlink(missing_ok=True)
            self._known = None

    def _show(self, found: PolicyException | None) -> None:
        if found is not None and found != self._known:
            until = found.until.isoformat(timespec="seconds")
            self._log.warning("break-glass on this host", exception=found.id, scope=found.scope, until=until)
        self._there.put_offline(found)

    async def _ended(self, gone: PolicyException) -> None:
        """Close what was ended by taking the file away. Raises Unavailable: then it is tried again."""
        recorded = self._recorded(gone)
        if recorded is None:  # it was not on record before it was taken away
            await self._note(Kind.EXCEPTION_OPENED, gone, gone.reason)
            recorded = gone
        if recorded.closed is None:
            closed = replace(recorded, closed=min(self._house().clock.now(), recorded.until), closed_by=recorded.by)
            await self._note(Kind.EXCEPTION_CLOSED, closed, "its file was taken away")
            await self._there.keep(closed)
        self._known = None

    def _recorded(self, found: PolicyException) -> PolicyException | None:
        return next((e for e in self._there.recorded().exceptions if e.id == found.id), None)

    async def _note(self, kind: Kind, exception: PolicyException, why: str) -> None:
        house = self._house()
        await house.journal.record(event(kind, exception, Asker(exception.by, exception.how, why), house))

    def _found(self) -> PolicyException | None:
        """Return the exception in the file, None where there is none. Raises Corrupt where it is not honoured."""
        try:
            handle = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as wrong:
            self._there.put_offline(None)
            raise Corrupt(f"{self._path} is not honoured: {wrong.strerror}") from None
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(handle)
            problem = _problem(status)
            data = b"" if problem else file.read(FILE_BYTES + 1)
        if problem or len(data) > FILE_BYTES:
            self._there.put_offline(None)
            raise Corrupt(f"{self._path} is not honoured: {problem or f'more than {FILE_BYTES} bytes'}")
        try:
            return read(data, datetime.fromtimestamp(status.st_ctime, UTC))
        except Corrupt:
            self._there.put_offline(None)
            raise


def _problem(status: os.stat_result) -> str | None:
    """Return why a file of this owner and mode decides nothing, or None."""
    if not stat.S_ISREG(status.st_mode):
        return "it is no regular file"
    if status.st_uid not in {0, os.geteuid()}:
        return f"it belongs to user {status.st_uid}, not to root or to the user the server runs as"
    if status.st_mode & 0o022:
        return f"others may write it (mode {stat.S_IMODE(status.st_mode):04o})"
    return None
