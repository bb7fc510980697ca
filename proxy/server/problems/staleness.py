"""Reports in status and log when this server's view of denials and keys is stale."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from proxy.config.advice import quoted
from proxy.journal.problem import Problem, ProblemId
from proxy.oci.limits import Limits
from proxy.store.versions import Watch

LOOK_S = 0.5  # a timer separate from the store look, because the store may hang


class Staleness:
    """Reports a problem from the moment signing stops until the changes of other servers are known again."""

    def __init__(self, watch: Watch, limits: Limits, now: Callable[[], datetime], log: FilteringBoundLogger) -> None:
        """`watch` knows the age of the books."""
        self._watch = watch
        self._limits = limits
        self._now = now
        self._log = log
        self._told: str | None = None

    async def look(self) -> None:
        """Log, once each, that signing stops, that pulls stop, and that both work again."""
        stops = self._stops()
        if stops != self._told:
            if stops is not None:
                self._log.error("denials and keys are not known", stops=stops, why=self._why())
            else:
                self._log.info("denials and keys are known again")
        self._told = stops

    def problems(self, path: Path, server: str = "") -> list[Problem]:
        """Return the problem, its effect and the next command; `path` is the configuration file."""
        stops = self._stops()
        if stops is None:
            return []
        since = self._now() - timedelta(seconds=self._watch.age())
        return [
            Problem(
                ProblemId.BOOKS,
                f"denials and key changes of other servers are not known here: {self._why()}",
                stops,
                f"countersign doctor --config {quoted(path)}",
                since=since,
                server=server,
            )
        ]

    def _stops(self) -> str | None:
        age, limits = self._watch.age(), self._limits
        if age > limits.books_pull_s:
            return "pulls, pushes and signing"
        if age > limits.books_sign_s:
            return f"pushes and signing; pulls too from {limits.books_pull_s:g} s on (limits.books_pull_s)"
        return None

    def _why(self) -> str:
        return self._watch.trouble or "this process had no time to read them"
