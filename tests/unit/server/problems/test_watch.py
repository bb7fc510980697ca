"""A problem is told once when it begins and once when it ends, in the log and in the journal."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import cast

from proxy.journal.event import Event, EventKind
from proxy.journal.port import Journal
from proxy.journal.problem import Problem
from proxy.oci.faults import Unavailable
from proxy.server.problems.watch import ProblemWatch
from proxy.web.logs import open_log
from tests.unit.journal.test_problem import ONE
from tests.worlds.memory import MemoryStore


class Scene:
    def __init__(self) -> None:
        self.store, self.out, self.wrong = MemoryStore(), io.StringIO(), list[Problem]()
        self.watch = self.watched(self.store.journal)

    def watched(self, journal: Journal) -> ProblemWatch:
        return ProblemWatch(lambda: self.wrong, journal, self.store.clock.now, open_log(self.out, as_json=True))

    def rows(self) -> list[tuple[EventKind, str]]:
        return [(event.kind, str(event.detail["id"])) for event in self.store.journal.events]


async def test_it_is_told_once_when_it_begins_and_once_when_it_ends() -> None:
    s = Scene()
    await s.watch.look()
    assert s.rows() == []
    for why in ("away", "still away"):
        s.wrong = [replace(ONE, what=why)]
        await s.watch.look()
    s.wrong = []
    for _ in range(2):
        await s.watch.look()
    assert s.rows() == [(EventKind.PROBLEM_BEGAN, "token_away"), (EventKind.PROBLEM_ENDED, "token_away")]
    assert s.out.getvalue().count('"level": "error"') == 1
    assert s.out.getvalue().count("a problem ended") == 1


async def test_what_the_journal_cannot_take_is_told_at_the_next_look_and_logged_once() -> None:
    s = Scene()

    class Full:
        full = True

        async def record(self, *events: Event) -> None:
            if self.full:
                raise Unavailable("disk full")
            await s.store.journal.record(*events)

    journal = Full()
    watch = s.watched(cast("Journal", journal))
    s.wrong = [ONE]
    await watch.look()
    journal.full = False
    for _ in range(2):
        await watch.look()
    assert s.rows() == [(EventKind.PROBLEM_BEGAN, "token_away")]
    assert s.out.getvalue().count("a problem began") == 1
