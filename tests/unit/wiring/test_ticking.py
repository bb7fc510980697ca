"""Work again and again: what fails is said once, tried again, and said to work again."""

from __future__ import annotations

import asyncio
import io
import json

from proxy.oci.faults import Unavailable
from proxy.web.logs import open_log
from proxy.wiring.ticking import Ticking


async def test_it_goes_on_after_failures_and_says_each_change_once() -> None:
    out = io.StringIO()
    ticking = Ticking(open_log(out, as_json=True))
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
