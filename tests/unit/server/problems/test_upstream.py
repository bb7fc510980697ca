"""Our account upstream: how often a refused password is shown again, and what makes it be shown at once."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from proxy.journal.problem import ProblemId
from proxy.oci.faults import ConfigError, Unavailable
from proxy.oci.operation import Operation
from proxy.registry.ports.upstream import Credential
from proxy.server.problems.upstream import UpstreamWatch
from proxy.upstream.client import Upstream
from proxy.web.logs import open_log
from tests.worlds.memory import FrozenClock


class Registry(Upstream):
    """Takes one password, and counts how often it was shown any."""

    def __init__(self, clock: FrozenClock, right: str) -> None:
        super().__init__("http://127.0.0.1:1", credentials=("us", "old"), monotonic=clock.monotonic)
        self.password, self.right, self.shown, self.realm_is_down = "old", right, 0, False

    async def perform(self, operation: Operation, credential: Credential, **_more: object) -> None:  # type: ignore[override]
        assert credential.ours
        assert self._ours is not None
        self.shown += 1
        if self.realm_is_down:
            raise Unavailable("the realm answers 503")
        self._ours.answered(200 if self.password == self.right else 401)
        raise Unavailable("nobody reads the rest")

    def renew_password(self, password: str) -> bool:
        self.password = password
        return super().renew_password(password)


class Scene:
    def __init__(self, right: str = "new") -> None:
        self.clock, self.written = FrozenClock(), "old"
        self.registry = Registry(self.clock, right)
        log = open_log(io.StringIO(), as_json=True)
        self.watch = UpstreamWatch(self.registry, self.clock, Path("c.yaml"), log, self.read)

    def read(self) -> str:
        if not self.written:
            raise ConfigError("cannot read it")
        return self.written

    async def looks(self, seconds: int) -> int:
        """How often a password was shown in so many looks, a second apart."""
        before = self.registry.shown
        for _ in range(seconds):
            await self.watch.look()
            self.clock.advance(1)
        return self.registry.shown - before

    @property
    def problems(self) -> list[ProblemId]:
        return [each.id for each in self.watch.problems()]


async def test_a_refused_password_was_shown_every_second() -> None:
    s = Scene()
    assert await s.looks(1) == 1
    assert s.problems == [ProblemId.ACCOUNT], "status says so after the first refusal"
    assert await s.looks(59) == 0
    assert await s.looks(1) == 1
    assert await s.looks(600) == 10
    s.registry.right = "old"
    assert await s.looks(60) == 1
    assert s.problems == []
    assert await s.looks(600) == 0, "an account that works is not asked about"


async def test_another_password_is_shown_at_once() -> None:
    s = Scene()
    await s.looks(3)
    s.written = ""
    assert await s.looks(3) == 0, "the file is being replaced"
    s.written = "wrong, too"
    assert await s.looks(3) == 1
    s.written = "new"
    assert await s.looks(1) == 1
    assert s.problems == []


async def test_a_reload_shows_it_at_once() -> None:
    s = Scene()
    await s.looks(3)
    s.registry.right = "old"
    s.watch.again()
    assert await s.looks(1) == 1
    assert s.problems == []
    s.registry.right = "new"
    s.watch.again()
    await s.looks(1)
    s.written = "new"
    s.watch.again()
    assert await s.looks(1) == 1, "and not the one that was refused before"
    assert s.problems == []


async def test_a_realm_that_is_down_is_no_refusal_and_is_asked_every_second() -> None:
    s = Scene()
    await s.looks(60)
    s.registry.realm_is_down = True
    assert await s.looks(5) == 5
    s.registry.realm_is_down, s.registry.right = False, "old"
    assert await s.looks(1) == 1
    assert s.problems == []


@pytest.mark.parametrize("written", ["old", ""])
async def test_what_is_written_is_not_looked_at_while_the_account_works(written: str) -> None:
    s = Scene(right="old")
    await s.looks(1)
    s.written = written
    assert await s.looks(100) == 0
