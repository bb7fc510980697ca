"""Pulls: warm, cold and in a crowd; in front of a real registry, and of static files, which show our own cost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from statistics import median

from bench.images import Image, image, mirror, push_blobs, push_manifest
from bench.load import Measured, clients, crowd, latency, requests_per_second, timed
from bench.report import Row, spread
from bench.run import Measure, Run, at_most, faster, side_by_side, url
from bench.systems import HOST, Bench, cpu_seconds, free_port
from tests.interop.builds import place

NGINX, BARE, DIRECT = "nginx as reverse proxy", "bare aiohttp pass-through", "direct"


async def pulls(run: Run) -> list[Row]:
    """Sign images through us into a registry, then pull them from there and from static copies behind nginx."""
    bench, port, registry = run.bench, free_port(), await run.bench.registry()
    config = bench.init(registry, port)
    made = [image(f"pull {n}") for n in range(run.images)]
    crowds = [image(f"crowd {n}") for n in range(run.rounds)]
    rows = []
    async with bench.countersign(config, port) as running, clients(16) as session:
        for n, one in enumerate(made):
            await push_blobs(session, url(port), "bench/app", one)
            await push_manifest(session, url(port), "bench/app", f"t{n}", one)
        for n, one in enumerate(crowds):
            await push_blobs(session, url(port), "bench/app", one)
            await push_manifest(session, url(port), "bench/app", f"crowd{n}", one)
        server = await mirror(session, url(registry), "bench/app", bench.folder / "static")
        run.say("warm pulls in front of a registry")
        reverse = await bench.reverse_proxy(registry, "reverse-registry")
        rivals = {NGINX: reverse, DIRECT: registry}
        what = "warm pull by digest, Docker registry behind"
        rows.append(await _warm(run, what, made[0].digest, port, rivals, NGINX, 1.2))
    server += "location = /v2/ { default_type application/json; return 200 '{}'; } location / { return 404; }"
    upstream = await bench.nginx("static", server)
    watched = await bench.nginx("watched", server, log_requests=True)
    before = config.read_text()
    config.write_text(before.replace(url(registry), url(upstream)))
    rivals = {NGINX: await bench.reverse_proxy(upstream), BARE: await bench.passthrough(upstream), DIRECT: upstream}
    async with bench.countersign(config, port) as running:
        run.say("warm pulls in front of static files")
        for what, reference, rival, target in (
            ("warm pull by digest, static files behind", made[0].digest, NGINX, 1.2),
            ("warm pull by tag, static files behind", "t0", BARE, 1.0),
        ):
            rows.append(await _warm(run, what, reference, port, rivals, rival, target))
        rows += [
            await _cpu(run, made[0].digest, port, running.pid, "an empty aiohttp handler", await bench.empty(), 2.0),
            await _cpu(run, "t0", port, running.pid, BARE, (rivals[BARE], bench.pids["bench.passthrough"]), 1.0),
        ]
    text = before.replace(url(registry), url(watched))
    config.write_text(text)
    async with bench.countersign(config, port):
        run.say("cold pulls, our ledger knows the signatures")
        rows += await _cold(run, "known to our ledger", made, port, upstream)
        run.say("500 clients at one new tag")
        rows.append(await _crowd(run, len(crowds), port))
    config.write_text(text.replace("countersign.db", "another.db"))
    async with bench.countersign(config, port):
        run.say("cold pulls, signatures only upstream")
        rows += await _cold(run, "found upstream", made, port, upstream)
    return [*rows, *await _cosign(run.bench, config.parent, made[1], rows[-1], watched)]


async def _warm(
    run: Run, what: str, reference: str, port: int, rivals: dict[str, int], rival: str, target: float
) -> Row:
    path = f"/v2/bench/app/manifests/{reference}"

    async def ours() -> float:
        return (await requests_per_second(url(port) + path, run.seconds))[0]

    def theirs(at: int) -> Measure:
        async def measure() -> float:
            return (await requests_per_second(url(at) + path, run.seconds))[0]

        return measure

    found = await side_by_side(run.rounds, {"ours": ours, **{name: theirs(at) for name, at in rivals.items()}})
    return faster(what, rival, found, target, "/s")


async def _cpu(run: Run, reference: str, port: int, pid: int, rival: str, theirs: tuple[int, int], most: float) -> Row:
    """Processor time per warm pull, ours and that of another process, in turn: it says the same on a busy machine."""
    path = f"/v2/bench/app/manifests/{reference}"

    def cost(at: int, of: int) -> Measure:
        async def measure() -> float:
            before = cpu_seconds(of)
            _, count = await requests_per_second(url(at) + path, run.seconds)
            return (cpu_seconds(of) - before) / count * 1e6

        return measure

    found = await side_by_side(run.rounds, {"ours": cost(port, pid), rival: cost(*theirs)})
    ratio = found["ours"].median / found[rival].median
    what = f"warm pull by {'digest' if ':' in reference else 'tag'}, processor time of one"
    return at_most(what, rival, spread(found["ours"], "µs"), spread(found[rival], "µs"), ratio, most)


async def _cold(run: Run, which: str, made: list[Image], port: int, upstream: int) -> list[Row]:
    """The first pull of each image after a start: nothing is remembered, every signature is verified."""
    paths = [f"/v2/bench/app/manifests/{one.digest}" for one in made]
    async with clients(1) as session:
        await latency(session, [url(upstream) + paths[0], url(port) + "/v2/"])
        before = len(run.bench.counted("watched"))
        direct = await latency(session, [url(upstream) + path for path in paths])
        ours = await latency(session, [url(port) + path for path in paths])
    await asyncio.sleep(0.5)
    asked = (len(run.bench.counted("watched")) - before) / len(made)
    added = (median(ours) - median(direct)) * 1000
    mine, theirs = (f"{median(taken) * 1000:.2f} ms" for taken in (ours, direct))
    return [
        at_most(f"cold pull, requests, signatures {which}", "at most", f"{asked:.2f}", "6", asked, 6),
        at_most(f"cold pull, added p50, signatures {which}", DIRECT, mine, theirs, added, 5, "ms"),
    ]


async def _crowd(run: Run, crowds: int, port: int) -> Row:
    counts, taken = [], []
    for n in range(crowds):
        before = len(run.bench.counted("watched"))
        taken.append(await crowd(f"{url(port)}/v2/bench/app/manifests/crowd{n}", 500))
        await asyncio.sleep(0.5)
        fresh = run.bench.counted("watched")[before:]
        counts.append(float(sum("/manifests/" in line for line in fresh)))
    shown = spread(Measured(tuple(counts)), "requests")
    note = f"last answer after {median(taken):.2f} s"
    return at_most("500 clients at one new tag", "at most", shown, "500", max(counts), 5, note)


async def _cosign(bench: Bench, home: Path, one: Image, cold: Row, watched: int) -> list[Row]:
    """What the other way to be sure costs: `cosign verify` of an image, beside our cold pull; where cosign is built."""
    program, key = place("cosign"), home / "keys" / "release.pub"
    if not await asyncio.to_thread(program.exists):
        return []
    before = len(bench.counted("watched"))
    name = f"{HOST}:{watched}/bench/app@{one.digest}"
    command = (str(program), "verify", "--key", str(key), "--insecure-ignore-tlog", "--allow-http-registry", name)
    code, seconds = await timed(*command)
    await asyncio.sleep(0.5)
    asked = len(bench.counted("watched")) - before
    ours, theirs = float(cold.ours.split()[0]) / 1000, f"{seconds * 1000:.0f} ms, {asked} requests"
    note = "" if code == 0 else f"cosign: exit code {code}"
    return [Row("cold pull that verifies", "cosign verify", cold.ours, theirs, seconds / ours, 1, note=note)]
