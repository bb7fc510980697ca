"""From the first bound on status, metrics and log say that what other servers denied is not known, and what to type."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from proxy.journal.problem import ProblemId
from proxy.oci.limits import Limits
from proxy.server.problems.staleness import Staleness
from proxy.web.logs import open_log
from proxy.web.metrics import Metrics, watch_books
from tests.worlds.memory import NOON

PATH = Path("/etc/countersign/countersign.yaml")


@dataclass
class Aged:
    """A watch whose last look is as old as a test says."""

    seconds: float = 0.0
    trouble: str | None = None

    def age(self) -> float:
        return self.seconds


def made() -> tuple[Staleness, Aged, io.StringIO]:
    watch, out = Aged(), io.StringIO()
    return Staleness(cast("Any", watch), Limits(), lambda: NOON, open_log(out)), watch, out


async def test_it_is_said_from_the_first_bound_on_once_and_when_it_is_over() -> None:
    staleness, watch, out = made()
    metrics = Metrics()
    watch_books(metrics, watch.age)
    watch.seconds = 5.0
    await staleness.look()
    assert staleness.problems(PATH) == []
    watch.seconds, watch.trouble = 6.0, "store: connection refused"
    for _ in range(3):
        await staleness.look()
    (problem,) = staleness.problems(PATH)
    assert problem.what.endswith("are not known here: store: connection refused")
    assert problem.id is ProblemId.BOOKS
    assert problem.shown()["since"] == "2026-01-02T11:59:54+00:00"
    assert problem.stops == "pushes and signing; pulls too from 60 s on (limits.books_pull_s)"
    assert problem.next == f"countersign doctor --config {PATH}"
    assert b"countersign_books_age_seconds 6.0" in metrics.text()
    watch.seconds = 61.0
    await staleness.look()
    assert staleness.problems(PATH)[0].stops == "pulls, pushes and signing"
    watch.seconds, watch.trouble = 0.1, None
    await staleness.look()
    assert staleness.problems(PATH) == []
    said = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["level"] for line in said] == ["error", "error", "info"]
    assert said[0]["why"] == "store: connection refused"


async def test_a_process_that_had_no_time_to_look_says_that() -> None:
    staleness, watch, _ = made()
    watch.seconds = 9.0
    assert "had no time" in staleness.problems(PATH)[0].what
