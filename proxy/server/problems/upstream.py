"""Does the registry behind us answer, and take our account? Requests find out; it is asked until it does again.

Silence is asked about every second. A refused password is shown again once a minute, as registries lock accounts; at
once where another one is written in its place, or the configuration is read again.
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
from proxy.store.port import Clock
from proxy.upstream.client import Upstream


class UpstreamWatch:
    """A part of what is wrong: the last request to upstream got no answer, or its answer to our own account was no."""

    every_s = 1.0  # between two looks
    refused_s = 60.0  # from one refusal of our account to the next question with the same password

    def __init__(
        self,
        upstream: Upstream,
        clock: Clock,
        path: Path,
        log: FilteringBoundLogger,
        password: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Take it for well. `path` is the configuration; `password` reads our account's, and raises ConfigError."""
        self._password = password
        self._upstream = upstream
        self._clock = clock
        self._path = path
        self._log = log
        self._since: datetime | None = None
        self._refused_since: datetime | None = None
        self._now = True  # our account is to be tried at the next look, whatever was answered before

    async def look(self) -> None:
        """Ask upstream, where it was silent or refused us; whether it is well shows `problems` from then on."""
        if self._upstream.silent is not None:
            self._seen()
            await self._ask(Credential())
        elif self._due():
            self._now = False
            await self._ask(Credential(ours=True))
        self._seen()

    def again(self) -> None:
        """Try our account at the next look: what it depends on may have changed."""
        self._now = True

    def _due(self) -> bool:
        if self._upstream.account_refused is None:
            return self._now
        return self._renewed() or self._now or self._waited()

    def _renewed(self) -> bool:
        """Take over a password that was written since, and say whether there was one."""
        try:
            written = self._password()
        except ConfigError:  # half of a change: the other half comes
            return False
        return written is not None and self._upstream.renew_password(written)

    def _waited(self) -> bool:
        return self._clock.monotonic() - self._upstream.account_refused_at >= self.refused_s

    async def _ask(self, credential: Credential) -> None:
        with suppress(Unavailable, Corrupt, Fault):
            await (await self._upstream.perform(CheckApi(), credential)).close()

    def problems(self, server: str = "") -> list[Problem]:
        """Return what is wrong: silence, or else a refusal of our account."""
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
