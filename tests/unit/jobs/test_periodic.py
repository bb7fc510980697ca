"""Work again and again: what fails is said once, tried again, and said to work again."""

from __future__ import annotations

import asyncio
import io
import json

import pytest

from proxy.jobs.periodic import Periodic
from proxy.oci.faults import Unavailable
from proxy.web.logs import open_log


async def test_it_goes_on_after_failures_and_says_each_change_once() -> None:
    out = io.StringIO()
    ticking = Periodic(open_log(out, as_json=True))
    outcomes = iter([None, Unavailable("away"), Unavailable("away"), PermissionError("no"), None])
    ran, over = 0, asyncio.Event()

    async def work() -> None:
        nonlocal ran
        ran += 1
        outcome = next(outcomes, None)
        if ran >= 6:
            over.set()
        if outcome is not None:
            raise outcome

    ticking.every(0, "looking", work)
    async with asyncio.timeout(5):
        await over.wait()
    await ticking.stop()
    before = ran
    await asyncio.sleep(0)
    assert ran == before
    said = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(row["event"], row["work"]) for row in said] == [
        ("failed and is tried again", "looking"),
        ("failed and is tried again", "looking"),
        ("works again", "looking"),
    ]
    assert [row.get("why") for row in said] == ["away", "PermissionError('no')", None]


async def test_what_is_under_way_at_the_end_is_finished_and_what_takes_long_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("proxy.jobs.periodic.GRACE_S", 0.05)
    ticking, begun, ends = Periodic(open_log(io.StringIO(), as_json=True)), asyncio.Semaphore(0), []

    async def short() -> None:
        begun.release()
        await asyncio.sleep(0)
        ends.append("finished")

    async def long() -> None:
        begun.release()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ends.append("cut")
            raise

    ticking.every(60, "short", short)
    ticking.every(60, "long", long)
    async with asyncio.timeout(5):
        await begun.acquire()
        await begun.acquire()
        await ticking.stop()
    assert sorted(ends) == ["cut", "finished"]
