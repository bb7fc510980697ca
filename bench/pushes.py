"""Signed pushes: how many requests they cost upstream and how much time, with and without the referrers API.

Also a whole index as a client pushes it, and how many signatures a slow HSM is kept busy with.
"""

from __future__ import annotations

import asyncio
import json
from itertools import count
from pathlib import Path
from statistics import median
from time import perf_counter

import yaml
from aiohttp import ClientSession

from bench.images import Image, image, index, push_blobs, push_manifest
from bench.load import Measured, clients
from bench.report import Row, spread
from bench.run import Run, at_most, url
from bench.systems import Bench, free_port
from tests.faults.pkcs11_fault.faulty import ALWAYS, Faulty, build

CHILDREN = 4
PLATFORMS = 12
HSM_MS, SESSIONS, PUSHERS = 20, 2, 16


async def pushes(run: Run) -> list[Row]:
    """A small image in two formats: to a real registry without the referrers API, to one in memory that has it."""
    rows = []
    for which, port, bound, child, added in (
        ("no referrers API", await run.bench.registry(), 14, 8, 25),
        ("referrers API", await run.bench.memory_registry(), 8, 6, 15),
    ):
        run.say(f"signed pushes, {which}")
        rows += await _pushes(run, which, port, bound, child, added)
    run.say(f"signed pushes, an HSM that takes {HSM_MS} ms")
    return [*rows, await _slow_hsm(run)]


async def _pushes(run: Run, which: str, registry: int, bound: int, child: int, most: int) -> list[Row]:
    bench, port, name = run.bench, free_port(), which.replace(" ", "-")
    watched = await bench.reverse_proxy(registry, name, log_requests=True)
    home = Bench(bench.folder / name, bench.stack)
    home.folder.mkdir()
    config = home.init(registry, port)
    direct: list[float] = []
    ours: list[float] = []
    whole: tuple[list[float], list[float]] = ([], [])
    async with home.countersign(config, port), clients(4) as session:
        await _signs(session, url(port))
        for n in range(run.images):
            one = image(f"push {n}")
            for base, taken, repository in ((url(registry), direct, "bench/direct"), (url(port), ours, "bench/signed")):
                await push_blobs(session, base, repository, one)
                taken.append(await _timed(session, base, repository, f"t{n}", one))
        for n in range(run.rounds * 2):
            for base, taken, repository in (
                (url(registry), whole[0], "bench/direct"),
                (url(port), whole[1], "bench/signed"),
            ):
                taken.append(await _platforms(session, base, repository, f"index{n}"))
    config.write_text(config.read_text().replace(url(registry), url(watched)))
    async with home.countersign(config, port), clients(4) as session:
        await _signs(session, url(port))
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
    straight, signed = (Measured(tuple(taken[1:])) for taken in whole)
    ratio = signed.median / straight.median
    return [
        at_most(f"{what}, {which}", "at most", f"{beyond}", f"{bound}", beyond, bound),
        at_most(f"the same per child of an index, {which}", "at most", f"{per_child:g}", f"{child}", per_child, child),
        at_most(f"signed push, added p50, {which}", "direct push", mine, theirs, added, most, "ms"),
        at_most(
            f"an index of {PLATFORMS} platforms, signed, {which}", "direct push", spread(signed, "ms", 1e-3),
            spread(straight, "ms", 1e-3), ratio, 3, "blobs and children included, four manifests at a time",
        ),
    ]  # fmt: skip


async def _platforms(session: ClientSession, base: str, repository: str, tag: str) -> float:
    """Push an index with all that it lists, as most clients do: several images at a time, then the index."""
    children = [image(f"{tag} {n}") for n in range(PLATFORMS)]
    start, gate = perf_counter(), asyncio.Semaphore(4)

    async def push(child: Image) -> None:
        async with gate:
            await push_blobs(session, base, repository, child)
            await push_manifest(session, base, repository, child.digest, child)

    await asyncio.gather(*map(push, children))
    await push_manifest(session, base, repository, tag, index(children))
    return perf_counter() - start


async def _slow_hsm(run: Run) -> Row:
    """How many signatures a second many pushers get, of those that the sessions of the HSM could make."""
    home = Bench(run.bench.folder / "slow-hsm", run.bench.stack)
    home.folder.mkdir()
    registry, port = await run.bench.registry(), free_port()
    config = home.init(registry, port)
    token = _slow(config, home.folder)
    numbers, small = count(), image("slow")
    made = []

    async def pusher(session: ClientSession, until: float) -> None:
        while perf_counter() < until:
            tag = f"v{next(numbers)}"
            body = json.dumps({**json.loads(small.body), "annotations": {"name": tag}}).encode()
            await push_manifest(session, url(port), "bench/slow", tag, Image(body))

    async with home.countersign(config, port), clients(PUSHERS) as session:
        await _signs(session, url(port))
        await push_blobs(session, url(port), "bench/slow", small)
        for _ in range(run.rounds):
            before, start = token.seen("sign"), perf_counter()
            await asyncio.gather(*(pusher(session, start + run.seconds) for _ in range(PUSHERS)))
            made.append((token.seen("sign") - before) / (perf_counter() - start))
    ours, limit = Measured(tuple(made)), SESSIONS * 1000 / HSM_MS
    return Row(
        f"signatures per second, an HSM that takes {HSM_MS} ms", f"{SESSIONS} sessions / {HSM_MS} ms",
        spread(ours, "/s"), f"{limit:.0f} /s", ours.median / limit, 0.9, note=f"{PUSHERS} pushers",
    )  # fmt: skip


def _slow(config: Path, folder: Path) -> Faulty:
    """Put the faulty module before the token; every signature takes so long."""
    control = folder / "control"
    control.mkdir()
    settings = yaml.safe_load(config.read_text())
    token = settings["tokens"]["hsm"]
    token["environment"] |= {"PKCS11_FAULT_REAL": token["module"], "PKCS11_FAULT_CONTROL": str(control)}
    token |= {"module": str(build(folder)), "sessions": SESSIONS}
    config.write_text(json.dumps(settings))
    slow = Faulty(control, None)  # type: ignore[arg-type]  # the settings are the server's
    slow.inject("slow", HSM_MS, ALWAYS)
    return slow


async def _signs(session: ClientSession, base: str) -> None:
    """Return once a push is signed: a busy machine opens the token after the server has begun to serve."""
    first = image("opening")
    await push_blobs(session, base, "bench/opening", first)
    target, kind = f"{base}/v2/bench/opening/manifests/v1", {"Content-Type": first.media_type}
    for _ in range(300):
        async with session.put(target, data=first.body, headers=kind) as reply:
            if reply.status == 201:
                return
        await asyncio.sleep(0.1)
    raise RuntimeError("the token does not sign; see the logs")


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
