"""Signed pushes: how many requests they cost upstream, and how much time, with and without the referrers API."""

from __future__ import annotations

import asyncio
from statistics import median
from time import perf_counter

from aiohttp import ClientSession

from bench.images import Image, image, index, push_blobs, push_manifest
from bench.load import clients
from bench.report import Row
from bench.run import Run, at_most, url
from bench.systems import Bench, free_port

CHILDREN = 4


async def pushes(run: Run) -> list[Row]:
    """A small image in two formats: to a real registry without the referrers API, to one in memory that has it."""
    rows = []
    for which, port, bound in (
        ("no referrers API", await run.bench.registry(), 14),
        ("referrers API", await run.bench.memory_registry(), 9),
    ):
        run.say(f"signed pushes, {which}")
        rows += await _pushes(run, which, port, bound)
    return rows


async def _pushes(run: Run, which: str, registry: int, bound: int) -> list[Row]:
    bench, port, name = run.bench, free_port(), which.replace(" ", "-")
    watched = await bench.reverse_proxy(registry, name, log_requests=True)
    home = Bench(bench.folder / name, bench.stack)
    home.folder.mkdir()
    config = home.init(registry, port)
    direct: list[float] = []
    ours: list[float] = []
    async with home.countersign(config, port), clients(4) as session:
        for n in range(run.images):
            one = image(f"push {n}")
            for base, taken, repository in ((url(registry), direct, "bench/direct"), (url(port), ours, "bench/signed")):
                await push_blobs(session, base, repository, one)
                taken.append(await _timed(session, base, repository, f"t{n}", one))
    config.write_text(config.read_text().replace(url(registry), url(watched)))
    async with home.countersign(config, port), clients(4) as session:
        await _count(
            bench, name, session, url(port), "first", image("first")
        )  # what is asked once per start is not counted
        beyond = await _count(bench, name, session, url(port), "counted", image("counted"))
        children = [image(f"child {n}") for n in range(CHILDREN)]
        spent = sum([await _count(bench, name, session, url(port), one.digest, one) for one in children])
        spent += await _count(bench, name, session, url(port), "index", index(children)) - beyond
    per_child = spent / CHILDREN
    added = (median(ours[5:]) - median(direct[5:])) * 1000
    mine, theirs = (f"{median(taken[5:]) * 1000:.1f} ms" for taken in (ours, direct))
    what = "signed push, requests beyond the client's own"
    return [
        at_most(f"{what}, {which}", "at most", f"{beyond}", f"{bound}", beyond, bound),
        at_most(f"the same per child of an index, {which}", "at most", f"{per_child:g}", "6", per_child, 6),
        at_most(f"signed push, added p50, {which}", "direct push", mine, theirs, added, 25, "ms"),
    ]  # fmt: skip


async def _timed(session: ClientSession, base: str, repository: str, tag: str, what: Image) -> float:
    start = perf_counter()
    await push_manifest(session, base, repository, tag, what)
    return perf_counter() - start


async def _count(bench: Bench, name: str, session: ClientSession, base: str, reference: str, what: Image) -> int:
    """Return the requests upstream got for one manifest, beyond the one the client sent."""
    await push_blobs(session, base, "bench/counted", what)
    before = await _settled(bench, name)
    await push_manifest(session, base, "bench/counted", reference, what)
    return await _settled(bench, name) - before - 1


async def _settled(bench: Bench, name: str) -> int:
    await asyncio.sleep(0.4)
    return len(bench.counted(name))
