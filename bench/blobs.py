"""Large blobs down and up, and the memory of many at once."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from bench.images import digest_of
from bench.load import clients, curl_rate, curl_upload, download
from bench.report import Row
from bench.run import MIB, Measure, Run, at_most, faster, side_by_side, url
from bench.systems import Bench, free_port, resident

NGINX, DIRECT = "nginx as reverse proxy", "direct"


async def blobs(run: Run) -> list[Row]:
    """Down from a file that nginx serves, up into a registry; nginx in between buffers as it does when nobody asks."""
    run.say("large blobs")
    bench, port, registry = run.bench, free_port(), await run.bench.registry()
    folder = bench.folder / "large"
    folder.mkdir()
    file = folder / "blob"
    digest = _random_file(file, run.large)
    down = await bench.nginx(
        "blobs",
        f"location = /v2/ {{ return 200 '{{}}'; }} location = /v2/bench/big/blobs/{digest} "
        f"{{ alias {file}; default_type application/octet-stream; }} location / {{ return 404; }}",
    )
    path = f"/v2/bench/big/blobs/{digest}"
    home = Bench(bench.folder / "big", bench.stack)
    home.folder.mkdir()
    config = home.init(down, port)
    text = config.read_text().replace("mode: enforce", "blobs: open\n      mode: enforce")
    config.write_text(text)
    downs = {"ours": port, NGINX: await bench.reverse_proxy(down, "reverse-down"), DIRECT: down}
    async with home.countersign(config, port) as running:
        found = await side_by_side(run.rounds, {name: _down(url(at) + path) for name, at in downs.items()})
        rows = [faster("blob download", NGINX, found, 1.0, "MB/s"), await _memory(run, running.pid, url(port) + path)]
    config.write_text(text.replace(url(down), url(registry)))
    ups = {"ours": port, NGINX: await bench.reverse_proxy(registry, "reverse-up"), DIRECT: registry}
    async with home.countersign(config, port):
        contestants = {name: _up(url(at), f"bench/up{at}", str(file), digest) for name, at in ups.items()}
        found = await side_by_side(run.rounds, contestants)
    return [*rows, faster("blob upload", NGINX, found, 0.9, "MB/s")]


def _random_file(path: Path, size: int) -> str:
    data = os.urandom(MIB) * (size // MIB)
    path.write_bytes(data)
    return digest_of(data)


def _down(target: str) -> Measure:
    return lambda: curl_rate(target)


def _up(base: str, repository: str, file: str, digest: str) -> Measure:
    return lambda: curl_upload(base, repository, file, digest)


async def _memory(run: Run, pid: int, target: str) -> Row:
    idle = peak = resident(pid)
    async with clients(run.parallel) as session:
        todo = [asyncio.create_task(download(session, target)) for _ in range(run.parallel)]
        while not all(task.done() for task in todo):
            peak = max(peak, resident(pid))
            await asyncio.sleep(0.05)
        await asyncio.gather(*todo)
    what = f"memory, {run.parallel} downloads of {run.large // MIB} MiB"
    return at_most(what, "idle", f"{peak / MIB:.0f} MiB", f"{idle / MIB:.0f} MiB", (peak - idle) / MIB, 64, "MiB more")
