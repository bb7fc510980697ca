"""Does the registry behind us answer? Requests find out; where one did not, it is asked until it does."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.operation import CheckApi
from proxy.ports import Clock, Credential
from proxy.trust.problem import Problem, ProblemId
from proxy.upstream.client import Upstream


class UpstreamWatch:
    """A part of what is wrong: the last request to upstream got no answer."""

    every_s = 1.0  # between two looks

    def __init__(self, upstream: Upstream, clock: Clock, path: Path, log: FilteringBoundLogger) -> None:
        """Take it for well. `path` is the configuration."""
        self._upstream = upstream
        self._clock = clock
        self._path = path
        self._log = log
        self._since: datetime | None = None

    async def look(self) -> None:
        """Ask upstream, where it was silent; whether it is well shows `problems` from then on."""
        if self._upstream.silent is not None:
            self._seen()
            with suppress(Unavailable, Corrupt, Fault):
                await (await self._upstream.perform(CheckApi(), Credential())).close()
        self._seen()

    def problems(self, server: str = "") -> list[Problem]:
        """Return the one problem there may be."""
        self._seen()
        if self._since is None:
            return []
        return [
            Problem(
                ProblemId.UPSTREAM,
                str(self._upstream.silent),
                "pulls, pushes and signing, until it answers again; they are answered 503",
                f"countersign doctor --config {self._path}",
                since=self._since,
                server=server,
            )
        ]

    def _seen(self) -> None:
        why = self._upstream.silent
        if why is None:
            if self._since is not None:
                self._log.info("upstream answers again")
            self._since = None
        elif self._since is None:
            self._since = self._clock.now()
            self._log.error("upstream does not answer", why=why)
