"""A store that has grown, beside one that has not: the same pushes, pulls and starts, in turn."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from subprocess import Popen

from aiohttp import ClientSession

from bench.images import MANIFEST, Image, image, push_blobs, push_manifest
from bench.load import clients, requests_per_second
from bench.report import Row
from bench.run import Run, at_most, url
from bench.start import served
from bench.systems import Bench, cpu_seconds, free_port

ROWS, MANIFESTS, POLICIES = 1_000_000, 100_000, 10_000
AT = "2026-01-02T03:04:05.000000Z"
WHAT = ("push", "cold pull", "warm pull", "start to the first pull")


@dataclass
class Home:
    """One server, and what its steps have cost: seconds of processor time, by step."""

    config: Path
    port: int
    bench: Bench
    repository: str
    taken: dict[str, list[float]] = field(default_factory=lambda: {what: [] for what in WHAT})


async def growth(run: Run) -> list[Row]:
    """The processor time of each step in the grown store over that in the other."""
    registry, homes = await run.bench.registry(), []
    made = [image(f"growth {n}") for n in range(run.images // 2)]
    for name in ("small", "grown"):
        bench, port = Bench(run.bench.folder / name, run.bench.stack), free_port()
        bench.folder.mkdir()
        homes.append(Home(bench.init(registry, port), port, bench, f"bench/{name}"))
    for home in homes:
        async with home.bench.countersign(home.config, home.port), clients(4) as session:
            for n, one in enumerate(made):
                await _push(session, home, one, f"t{n}")
    run.say("growing a store")
    await asyncio.to_thread(_grow, homes[1].config, run.grown)
    run.say("steps in a store that has grown, and in one that has not")
    for turn in range(run.rounds):
        for home in homes:
            await _steps(run, home, turn, made)
    size = ", ".join(f"{int(most * run.grown):,} {of}" for most, of in _SIZES)
    return [_row(what, homes, size) for what in WHAT]


_SIZES = ((ROWS, "journal rows"), (MANIFESTS, "manifests"), (POLICIES, "policies"))


def _row(what: str, homes: list[Home], size: str) -> Row:
    small, grown = (median(home.taken[what]) for home in homes)
    ours, theirs = (f"{seconds * 1000:.3g} ms" for seconds in (grown, small))
    return at_most(f"{what} in a grown store, processor time", "an empty store", ours, theirs, grown / small, 1.2, size)


async def _steps(run: Run, home: Home, turn: int, old: list[Image]) -> None:
    """Start, pull what is not remembered, pull it again and again, push something new."""
    new = [image(f"new {turn} {n}") for n in range(len(old))]
    path = f"{url(home.port)}/v2/{home.repository}/manifests/"
    async with home.bench.countersign(home.config, home.port, wait=False) as running, clients(4) as session:
        await served(path + old[0].digest, running)
        home.taken["start to the first pull"].append(cpu_seconds(running.pid))
        await asyncio.sleep(2)  # what a start does beside

        async def pull(one: Image, _tag: str) -> None:
            async with session.get(path + one.digest, headers={"Accept": MANIFEST}) as reply:
                assert reply.status == 200, await reply.text()

        home.taken["cold pull"].append(await _each(running, old[1:], pull))
        before = cpu_seconds(running.pid)
        _, count = await requests_per_second(path + old[1].digest, run.seconds)
        home.taken["warm pull"].append((cpu_seconds(running.pid) - before) / count)
        for one in new:
            await push_blobs(session, url(home.port), home.repository, one)
        await _push(session, home, image(f"first of {turn}"), "first")  # the token signs from here on

        async def push(one: Image, tag: str) -> None:
            await push_manifest(session, url(home.port), home.repository, f"{tag}-{turn}", one)

        home.taken["push"].append(await _each(running, new, push))


async def _each(running: Popen[bytes], images: list[Image], step: Callable[[Image, str], Awaitable[None]]) -> float:
    """Return the processor seconds of the server for one step."""
    before = cpu_seconds(running.pid)
    for n, one in enumerate(images):
        await step(one, f"n{n}")
    return (cpu_seconds(running.pid) - before) / len(images)


async def _push(session: ClientSession, home: Home, one: Image, tag: str) -> None:
    """Push an image; a server that has just started may need a moment until its token signs."""
    await push_blobs(session, url(home.port), home.repository, one)
    for patience in range(30, -1, -1):
        try:
            await push_manifest(session, url(home.port), home.repository, tag, one)
        except AssertionError:
            if not patience:
                raise
            await asyncio.sleep(1)
        else:
            return


def _grow(config: Path, part: float) -> None:
    """Add rows as a year of use would leave them, and policies for as many teams."""
    teams = int(POLICIES * part)
    store = sqlite3.connect(config.parent / "countersign.db")
    with store:
        store.executemany(
            "INSERT INTO manifests (repository, digest, media_type, size, children, blobs, passed)"
            " VALUES (?, ?, ?, 700, '[]', ?, ?)",
            (
                (repository, digest, MANIFEST, json.dumps(blobs), AT)
                for repository, digest, blobs in _manifests(int(MANIFESTS * part), teams)
            ),
        )
        store.execute(
            "INSERT OR IGNORE INTO listed SELECT repository, value, 'blob', manifests.id"
            " FROM manifests, json_each(manifests.blobs)"
        )
        store.executemany(
            "INSERT INTO journal (at, last, kind, who, how, repository, reference, digest, reason, decision_id,"
            " request_id, policy_revision, key_revision, detail, count, tally)"
            " VALUES (?1, ?1, 'pull.allowed', 'anonymous', '', ?2, ?3, ?4, '', '', '', '', '', '{}', 7, ?5)",
            ((AT, f"team{n % teams}/app", f"v{n}", _digest("m", n), _digest("t", n)) for n in range(int(ROWS * part))),
        )
    store.close()
    rules = "pull: {require: [{signed_by: [release]}]}"  # as short as the size of a configuration demands
    more = "\n".join(f'  - {{repositories: ["team{n}/**"], {rules}}}' for n in range(teams))
    config.write_text(config.read_text().replace("\npolicies:\n", f"\npolicies:\n{more}\n"))


def _manifests(count: int, teams: int) -> Iterator[tuple[str, str, list[str]]]:
    for n in range(count):
        yield f"team{n % teams}/app", _digest("m", n), [_digest("config", n), _digest("layer", n // 3)]


def _digest(kind: str, number: int) -> str:
    return "sha256:" + hashlib.sha256(f"{kind} {number}".encode()).hexdigest()
