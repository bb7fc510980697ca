"""Two servers that share a PostgreSQL: what a warm pull costs each of them, and what it asks the store."""

from __future__ import annotations

import asyncio
import shutil

import psycopg

from bench.images import image, push_blobs, push_manifest
from bench.load import Measured, clients, requests_per_second
from bench.report import Row, spread
from bench.run import Run, at_most, url
from bench.systems import cpu_seconds, free_port
from tests.worlds.postgres import Cluster, postgres_cluster, postgres_programs


async def servers(run: Run) -> list[Row]:
    """Requests per second of processor time, of one server alone and of both at once; skipped without PostgreSQL."""
    if postgres_programs() is None:
        run.say("two servers: PostgreSQL is not installed")
        return []
    with postgres_cluster() as cluster:
        return await _servers(run, cluster)


async def _servers(run: Run, cluster: Cluster) -> list[Row]:
    bench, registry, ports, one = run.bench, await run.bench.registry(), [free_port(), free_port()], image("servers")
    first = bench.init(registry, ports[0])
    text = first.read_text().replace("sqlite:///countersign.db", cluster.create("shared"))
    first.write_text(text)
    second = shutil.copytree(first.parent, bench.folder / "second") / first.name
    admin = next(line for line in text.splitlines() if "/metrics" in line).split('"')[1].rpartition(":")[2]
    second.write_text(text.replace(f'listen: "127.0.0.1:{ports[0]}"', f'listen: "127.0.0.1:{ports[1]}"').replace(
        f'listen: "127.0.0.1:{admin}"', f'listen: "127.0.0.1:{free_port()}"'
    ))  # fmt: skip
    run.say("two servers on one PostgreSQL")
    async with (
        bench.countersign(first, ports[0]) as a,
        bench.countersign(second, ports[1]) as b,
        clients(4) as session,
    ):
        await push_blobs(session, url(ports[0]), "bench/app", one)
        await push_manifest(session, url(ports[0]), "bench/app", "v1", one)
        targets = {
            at: (f"{url(at)}/v2/bench/app/manifests/{one.digest}", of.pid) for at, of in zip(ports, (a, b), strict=True)
        }
        await asyncio.gather(*(_per_second(run, [target]) for target in targets.values()))  # warm from here on
        alone, both, asked = list[float](), list[float](), list[float]()
        for _ in range(run.rounds):
            alone.append((await _per_second(run, [targets[ports[0]]]))[0])
            counts = [_transactions(cluster)]
            await asyncio.sleep(run.seconds)
            counts.append(_transactions(cluster))
            rate, served = await _per_second(run, list(targets.values()))
            counts.append(_transactions(cluster))
            both.append(rate)
            asked.append(max(counts[2] - 2 * counts[1] + counts[0], 0) / served * 1000)
    ratio = Measured(tuple(both)).median / Measured(tuple(alone)).median
    unit = "/s of processor time"
    per_thousand = Measured(tuple(asked))
    return [
        Row(
            "two servers on one PostgreSQL, warm pulls",
            "one",
            spread(Measured(tuple(both)), unit),
            spread(Measured(tuple(alone)), unit),
            ratio,
            0.9,
        ),
        at_most(
            "their questions to the store, per 1,000 warm pulls",
            "at most",
            spread(per_thousand, "more than idle"),
            "1",
            per_thousand.median,
            1,
        ),
    ]


async def _per_second(run: Run, targets: list[tuple[str, int]]) -> tuple[float, int]:
    """Pull from each target at once; return the pulls per second of their processor time, and how many they were."""
    before = sum(cpu_seconds(pid) for _, pid in targets)
    done = await asyncio.gather(*(requests_per_second(target, run.seconds) for target, _ in targets))
    served = sum(count for _, count in done)
    return served / (sum(cpu_seconds(pid) for _, pid in targets) - before), served


def _transactions(cluster: Cluster) -> int:
    """Return how many transactions the store has ended, as it counts them itself."""
    query = b"SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'shared'"
    with psycopg.connect(cluster.url("postgres")) as connection:
        row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0
