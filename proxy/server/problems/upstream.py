"""Whether upstream answers and accepts our account. Requests detect a failure; probes run until it has ended.

While upstream is silent, a probe runs about every second. A refused password is sent again only once a minute, because
registries lock accounts; it is sent at once when the file holds another password, or after a reload.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from proxy.config.advice import quoted
from proxy.journal.problem import Problem, ProblemId
from proxy.oci.faults import ConfigError, Corrupt, Fault, Unavailable
from proxy.oci.operation import CheckApi
from proxy.registry.ports.upstream import Credential
from proxy.store.clock import Clock
from proxy.upstream.client import Upstream


class UpstreamWatch:
    """Reports a problem while upstream does not answer, or while it refuses our own account."""

    every_s = 1.0  # between two looks
    refused_s = 60.0  # from a refusal of our account to the next attempt with the same password

    def __init__(
        self,
        upstream: Upstream,
        clock: Clock,
        path: Path,
        log: FilteringBoundLogger,
        password: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Assume upstream works. `path`: the configuration; `password` reads our password, may raise ConfigError."""
        self._password = password
        self._upstream = upstream
        self._clock = clock
        self._path = path
        self._log = log
        self._since: datetime | None = None
        self._refused_since: datetime | None = None
        self._now = True  # try our account at the next look, whatever the last answer was

    async def look(self) -> None:
        """Probe upstream if it was silent or refused our account; `problems` shows the result from then on."""
        if self._upstream.silent is not None:
            self._seen()
            await self._ask(Credential())
        elif self._due():
            self._now = False
            await self._ask(Credential(ours=True))
        self._seen()

    def again(self) -> None:
        """Try our account at the next look: its password or the configuration may have changed."""
        self._now = True

    def _due(self) -> bool:
        if self._upstream.account_refused is None:
            return self._now
        return self._renewed() or self._now or self._waited()

    def _renewed(self) -> bool:
        """Take over a changed password from the file; return whether there was one."""
        try:
            written = self._password()
        except ConfigError:  # the file may be half written: the next look reads it again
            return False
        return written is not None and self._upstream.renew_password(written)

    def _waited(self) -> bool:
        return self._clock.monotonic() - self._upstream.account_refused_at >= self.refused_s

    async def _ask(self, credential: Credential) -> None:
        with suppress(Unavailable, Corrupt, Fault):
            await (await self._upstream.perform(CheckApi(), credential)).close()

    def problems(self, server: str = "") -> list[Problem]:
        """Return the present problem: silence, or else a refusal of our account."""
        self._seen()
        doctor = f"countersign doctor --config {quoted(self._path)}"
        if self._since is not None:
            stops = "pulls, pushes and signing, until it answers again; they are answered 503"
            what = str(self._upstream.silent)
            return [Problem(ProblemId.UPSTREAM, what, stops, doctor, since=self._since, server=server)]
        if self._refused_since is not None:
            stops = "verify, why and sign, and lost signatures are not put back"
            what = (
                f"the registry behind this proxy refuses our account ({self._upstream.account_refused}): correct "
                f"upstreams[0].credentials in {self._path}"
            )
            return [Problem(ProblemId.ACCOUNT, what, stops, doctor, since=self._refused_since, server=server)]
        return []

    def _seen(self) -> None:
        refused = self._upstream.account_refused
        if refused is None:
            self._refused_since = None
        elif self._refused_since is None:
            self._refused_since = self._clock.now()
            self._log.error("upstream refuses our account", why=refused)
        why = self._upstream.silent
        if why is None:
            if self._since is not None:
                self._log.info("upstream answers again")
            self._since = None
        elif self._since is None:
            self._since = self._clock.now()
            self._log.error("upstream does not answer", why=why)
