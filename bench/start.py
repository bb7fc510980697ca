"""How long a start takes, until the first manifest is served."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from statistics import median
from subprocess import Popen
from time import perf_counter

from aiohttp import ClientConnectionError

from bench.images import image, push_blobs, push_manifest
from bench.load import Measured, clients
from bench.report import Row, spread
from bench.run import Run, at_most, url
from bench.systems import free_port
from proxy.config import load
from proxy.server.token_plans import tokens_plan
from proxy.tokens.setup import opened, token_settings


async def start(run: Run) -> list[Row]:
    """From the start of the process to a verified pull; what opening the token takes is not ours and taken off."""
    run.say("start-up")
    bench, port, registry = run.bench, free_port(), await run.bench.registry()
    config = bench.init(registry, port)
    async with bench.countersign(config, port), clients(4) as session:
        await push_blobs(session, url(port), "bench/app", image("start"))
        await push_manifest(session, url(port), "bench/app", "v1", image("start"))
    taken = []
    token = [await _token(config) for _ in range(run.rounds)]
    for _ in range(run.rounds):
        begun = perf_counter()
        async with bench.countersign(config, port, wait=False) as running:
            await served(f"{url(port)}/v2/bench/app/manifests/{image('start').digest}", running)
            taken.append(perf_counter() - begun)
    ours = Measured(tuple(taken))
    own = ours.median - median(token)
    note = f"s; opening the token takes {median(token):.2f} s of it"
    return [
        at_most("start-up to the first pull, without the token", "at most", spread(ours, "s"), "1.5 s", own, 1.5, note)
    ]


async def served(target: str, running: Popen[bytes]) -> None:
    """Return once the server answers this pull. Raises RuntimeError when it has ended."""
    async with clients(1) as session:
        while True:
            try:
                async with session.get(target) as reply:
                    json.loads(await reply.read())
                    assert reply.status == 200, reply.status
                    return
            except ClientConnectionError:
                if running.poll() is not None:
                    raise RuntimeError(f"the server ended with {running.returncode}; see its log") from None
                await asyncio.sleep(0.01)


async def _token(config: Path) -> float:
    (plan,) = tokens_plan(load(config)).tokens.values()
    begun = perf_counter()
    async with opened(token_settings(plan)) as token:
        await token.describe()
        return perf_counter() - begun
