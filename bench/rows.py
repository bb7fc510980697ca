"""What is measured, row by row. Every comparison runs its contestants in turn, several times, in one go."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

from bench.images import Image, digest_of, image, mirror, push_blobs, push_manifest
from bench.load import Measured, clients, crowd, curl_rate, curl_upload, download, latency, requests_per_second
from bench.report import Row, spread
from bench.systems import HOST, Bench, free_port, resident

MIB = 1 << 20
COLD = 60


@dataclass
class Run:
    """One benchmark run: how long, and how large the large things are."""

    bench: Bench
    rounds: int = 3
    seconds: int = 4
    large: int = 300 * MIB
    parallel: int = 64
    say: Callable[[str], None] = print


def url(port: int) -> str:
    """Return the URL of a port here."""
    return f"http://{HOST}:{port}"


async def side_by_side(rounds: int, contestants: dict[str, Callable[[], Awaitable[float]]]) -> dict[str, Measured]:
    """Measure each contestant once per round, in turn."""
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, measure in contestants.items():
            taken[name].append(await measure())
    return {name: Measured(tuple(values)) for name, values in taken.items()}


async def pulls(run: Run) -> list[Row]:
    """Warm and cold pulls, and a crowd, in front of static files served by nginx: what shows the proxy's own cost."""
    bench, port, registry = run.bench, free_port(), await run.bench.registry()
    config = bench.init(registry, port)
    made = [image(f"pull {n}") for n in range(COLD + 1)]
    crowds = [image(f"crowd {n}") for n in range(run.rounds)]
    async with bench.countersign(config, port), clients(16) as session:
        for n, one in enumerate([*made, *crowds]):
            await push_blobs(session, url(port), "bench/app", one)
            await push_manifest(session, url(port), "bench/app", f"t{n}", one)
        server = await mirror(session, url(registry), "bench/app", bench.folder / "static")
    server += "location = /v2/ { default_type application/json; return 200 '{}'; } location / { return 404; }"
    upstream = await bench.nginx("static", server)
    watched = await bench.nginx("watched", server, log_requests=True)
    reverse, bare = await bench.reverse_proxy(upstream), await bench.passthrough(upstream)
    before = config.read_text()
    config.write_text(before.replace(url(registry), url(upstream)))
    rows = []
    async with bench.countersign(config, port):
        rows += await _warm(run, made[0], port, upstream, reverse, bare)
    config.write_text(before.replace(url(registry), url(watched)))
    async with bench.countersign(config, port):
        rows += await _cold(run, made[1:], port, upstream)
        rows.append(await _crowd(run, crowds, port))
    return rows


async def _warm(run: Run, one: Image, port: int, upstream: int, reverse: int, bare: int) -> list[Row]:
    run.say("warm pulls")
    rows = []
    for what, reference, rival, target in (
        ("warm pull by digest", one.digest, "nginx as reverse proxy", 1.2),
        ("warm pull by tag", "t0", "bare aiohttp pass-through", 0.9),
    ):
        path = f"/v2/bench/app/manifests/{reference}"
        found = await side_by_side(
            run.rounds,
            {
                name: (lambda p=p: requests_per_second(url(p) + path, run.seconds))  # type: ignore[misc]
                for name, p in (
                    ("ours", port),
                    ("nginx as reverse proxy", reverse),
                    ("bare aiohttp pass-through", bare),
                    ("direct", upstream),
                )
            },
        )
        ours, theirs = found["ours"], found[rival]
        note = "; ".join(f"{k} {found[k].median:,.0f}/s" for k in found if k not in ("ours", rival))
        rows.append(
            Row(
                what,
                rival,
                spread(ours, "/s"),
                spread(theirs, "/s"),
                ours.median / theirs.median,
                target,
                note=f"({note})",
            )
        )
    return rows


async def _cold(run: Run, made: list[Image], port: int, upstream: int) -> list[Row]:
    """The first pull of each image after a start: nothing is remembered, every signature is verified."""
    run.say("cold pulls")
    before = len(run.bench.counted("watched"))
    paths = [f"/v2/bench/app/manifests/{one.digest}" for one in made]
    async with clients(1) as session:
        await latency(session, [url(upstream) + paths[0], url(port) + "/v2/"])
        direct = await latency(session, [url(upstream) + path for path in paths])
        ours = await latency(session, [url(port) + path for path in paths])
    await asyncio.sleep(0.5)
    asked = (len(run.bench.counted("watched")) - before) / len(made)
    added = (median(ours) - median(direct)) * 1000
    return [
        Row("cold pull, upstream requests", "at most", f"{asked:.2f}", "6", asked, 6, at_most=True),
        Row("cold pull, added p50", "direct", f"{median(ours) * 1000:.2f} ms", f"{median(direct) * 1000:.2f} ms", added, 5, at_most=True, note="(ms)"),
    ]  # fmt: skip


async def _crowd(run: Run, crowds: list[Image], port: int) -> Row:
    run.say("500 clients at one new tag")
    counts, taken = [], []
    for n in range(len(crowds)):
        before = len(run.bench.counted("watched"))
        taken.append(await crowd(f"{url(port)}/v2/bench/app/manifests/t{COLD + 1 + n}", 500))
        await asyncio.sleep(0.5)
        fresh = run.bench.counted("watched")[before:]
        counts.append(float(sum("/manifests/" in line for line in fresh)))
    worst = max(counts)
    return Row(
        "500 clients at one new tag", "at most", spread(Measured(tuple(counts)), "requests"), "500", worst, 5,
        at_most=True, note=f"(last answer after {median(taken):.2f} s)",
    )  # fmt: skip


async def blobs(run: Run) -> list[Row]:
    """Large blobs down and up, and the memory of many at once."""
    run.say("large blobs")
    bench, port, registry = run.bench, free_port(), await run.bench.registry()
    folder = bench.folder / "large"
    folder.mkdir()
    data = os.urandom(MIB) * (run.large // MIB)
    digest = digest_of(data)
    (folder / "blob").write_bytes(data)
    down = await bench.nginx(
        "blobs",
        f"location = /v2/ {{ return 200 '{{}}'; }} location = /v2/bench/big/blobs/{digest} "
        f"{{ alias {folder}/blob; default_type application/octet-stream; }} location / {{ return 404; }}",
    )
    del data
    reverse_down = await bench.reverse_proxy(down, "reverse-down")
    reverse_up = await bench.reverse_proxy(registry, "reverse-up")
    big = Bench(bench.folder / "big", bench.stack)
    big.folder.mkdir()
    config = big.init(down, port)
    text = config.read_text().replace("mode: enforce", "blobs: open\n      mode: enforce")
    config.write_text(text)
    path = f"/v2/bench/big/blobs/{digest}"
    rows = []
    async with big.countersign(config, port) as running:
        found = await side_by_side(
            run.rounds,
            {
                "ours": lambda: curl_rate(url(port) + path),
                "nginx": lambda: curl_rate(url(reverse_down) + path),
                "direct": lambda: curl_rate(url(down) + path),
            },
        )
        rows.append(_rates("blob download", found, 1.0))
        idle = resident(running.pid)
        async with clients(run.parallel) as session:
            todo = [asyncio.create_task(download(session, url(port) + path)) for _ in range(run.parallel)]
            peak = idle
            while any(not t.done() for t in todo):
                peak = max(peak, resident(running.pid))
                await asyncio.sleep(0.05)
            await asyncio.gather(*todo)
        rows.append(
            Row(f"memory, {run.parallel} transfers of {run.large // MIB} MiB", "idle", f"{peak / MIB:.0f} MiB",
                f"{idle / MIB:.0f} MiB", (peak - idle) / MIB, 64, at_most=True, note="(MiB above idle)")
        )  # fmt: skip
    config.write_text(text.replace(url(down), url(registry)))
    async with big.countersign(config, port):
        file = str(folder / "blob")
        found = await side_by_side(
            run.rounds,
            {
                "ours": lambda: curl_upload(url(port), "bench/up1", file, digest),
                "nginx": lambda: curl_upload(url(reverse_up), "bench/up2", file, digest),
                "direct": lambda: curl_upload(url(registry), "bench/up3", file, digest),
            },
        )
        rows.append(_rates("blob upload", found, 0.9))
    return rows


def _rates(what: str, found: dict[str, Measured], target: float) -> Row:
    ours, theirs = found["ours"], found["nginx"]
    return Row(
        what, "nginx as reverse proxy", spread(ours, "MB/s", 1e6), spread(theirs, "MB/s", 1e6),
        ours.median / theirs.median, target, note=f"(direct {found['direct'].median / 1e6:,.0f} MB/s)",
    )  # fmt: skip


async def pushes(run: Run) -> list[Row]:
    """A small image signed in two formats, on a registry without the referrers API."""
    run.say("signed pushes")
    bench, port, registry = run.bench, free_port(), await run.bench.registry()
    watched = await bench.reverse_proxy(registry, "pushes", log_requests=True)
    other = Bench(bench.folder / "push", bench.stack)
    other.folder.mkdir()
    config = other.init(watched, port)
    made = [image(f"push {n}") for n in range(40)]
    direct: list[float] = []
    ours: list[float] = []
    async with other.countersign(config, port), clients(4) as session:
        for n, one in enumerate(made):
            for base, taken, repository in ((url(watched), direct, "bench/direct"), (url(port), ours, "bench/signed")):
                await push_blobs(session, base, repository, one)
                start = perf_counter()
                await push_manifest(session, base, repository, f"t{n}", one)
                taken.append(perf_counter() - start)
        await asyncio.sleep(0.5)
        before = len(bench.counted("pushes"))
        extra = image("push counted")
        await push_blobs(session, url(port), "bench/signed", extra)
        await asyncio.sleep(0.5)
        blobs_cost = len(bench.counted("pushes"))
        await push_manifest(session, url(port), "bench/signed", "counted", extra)
        await asyncio.sleep(0.5)
        beyond = len(bench.counted("pushes")) - blobs_cost - 1
        assert blobs_cost > before
    added = (median(ours) - median(direct)) * 1000
    return [
        Row("signed push, requests beyond the client's own", "no referrers API", f"{beyond}", "14", beyond, 14, at_most=True),
        Row("signed push, added p50", "direct push", f"{median(ours) * 1000:.1f} ms", f"{median(direct) * 1000:.1f} ms", added, 25, at_most=True, note="(ms)"),
    ]  # fmt: skip


def cleared(folder: Path) -> Path:
    """Return the folder, empty."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
