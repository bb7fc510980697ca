"""Reports in log and journal when a problem begins and ends; `problems` defines the problems."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from structlog.typing import FilteringBoundLogger

from proxy.journal.event import Event, EventKind
from proxy.journal.port import Journal
from proxy.journal.problem import Problem, Severity
from proxy.oci.faults import Unavailable


class ProblemWatch:
    """Compares the problems at each look; reports each once when it begins and once when it ends."""

    def __init__(
        self,
        problems: Callable[[], list[Problem]],
        journal: Journal,
        now: Callable[[], datetime],
        log: FilteringBoundLogger,
    ) -> None:
        """Start with nothing reported."""
        self._problems = problems
        self._journal = journal
        self._now = now
        self._log = log
        self._logged: dict[tuple[str, str, str], Problem] = {}
        self._recorded: dict[tuple[str, str, str], Problem] = {}

    async def look(self) -> None:
        """Report problems that began or ended since the last look; retry failed journal rows at the next look."""
        now = {each.key: each for each in self._problems()}
        for key, each in now.items():
            if key not in self._logged:
                write = self._log.error if each.severity is Severity.ERROR else self._log.warning
                write("a problem began", **_said(each))
        for key, each in self._logged.items():
            if key not in now:
                self._log.info("a problem ended", **_said(each))
        self._logged = now
        began = [each for key, each in now.items() if key not in self._recorded]
        ended = [each for key, each in self._recorded.items() if key not in now]
        rows = [self._row(EventKind.PROBLEM_BEGAN, each) for each in began]
        rows += [self._row(EventKind.PROBLEM_ENDED, each) for each in ended]
        if rows:
            try:
                await self._journal.record(*rows)
            except Unavailable:
                return  # the failing journal is a problem itself, shown in status
            self._recorded = now

    def _row(self, kind: EventKind, each: Problem) -> Event:
        return Event(self._now(), kind, repository=each.repository or "", detail=_said(each))


def _said(each: Problem) -> dict[str, str]:
    said = {**each.shown(), "what": each.what[:500]}
    return {name: said[name] for name in ("id", "severity", "what", "stops", "next", "about", "server") if said[name]}
