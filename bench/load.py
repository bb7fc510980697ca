"""Load: wrk for requests per second, aiohttp clients for crowds, streams for large blobs."""

from __future__ import annotations

import asyncio
import re
import statistics
from dataclasses import dataclass
from time import perf_counter

from aiohttp import ClientSession, ClientTimeout, TCPConnector

from bench.images import MANIFEST

CHUNK = 1 << 20


@dataclass(frozen=True)
class Measured:
    """Repeated measurements of one thing: median, lowest, highest."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        return min(self.values), max(self.values)


async def requests_per_second(url: str, seconds: int, connections: int = 16) -> tuple[float, int]:
    """Return the rate that wrk measures on one URL and how many requests that were; every answer must be 2xx."""
    command = ("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-H", f"Accept: {MANIFEST}", url)
    run = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await run.communicate()
    text = out.decode()
    if "Non-2xx" in text:
        raise RuntimeError(f"{url}: {text}")
    rate, count = re.search(r"Requests/sec:\s+([0-9.]+)", text), re.search(r"([0-9]+) requests in", text)
    if rate is None or count is None:
        raise RuntimeError(f"wrk said: {text}")
    return float(rate[1]), int(count[1])


async def timed(*command: str) -> tuple[int, float]:
    """Run a program; return its exit code and the seconds it took."""
    start = perf_counter()
    quiet = asyncio.subprocess.DEVNULL
    run = await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=quiet)
    return await run.wait(), perf_counter() - start


def clients(count: int = 1024) -> ClientSession:
    """Return a session that opens as many connections as are asked for."""
    return ClientSession(connector=TCPConnector(limit=count), timeout=ClientTimeout(total=900))


async def latency(session: ClientSession, urls: list[str]) -> list[float]:
    """GET each URL in turn; return the seconds of each."""
    taken = []
    for url in urls:
        start = perf_counter()
        async with session.get(url, headers={"Accept": MANIFEST}) as reply:
            await reply.read()
            assert reply.status == 200, (url, reply.status)
        taken.append(perf_counter() - start)
    return taken


async def crowd(url: str, count: int) -> float:
    """GET one URL with `count` clients at once; return the seconds until the last has its answer."""
    async with clients(count) as session:
        start = perf_counter()
        await asyncio.gather(*(latency(session, [url]) for _ in range(count)))
        return perf_counter() - start


async def download(session: ClientSession, url: str) -> int:
    """Read a blob and throw it away; return its bytes."""
    got = 0
    async with session.get(url) as reply:
        assert reply.status == 200, (url, reply.status)
        async for chunk in reply.content.iter_any():
            got += len(chunk)
    return got


async def curl_rate(url: str) -> float:
    """Return bytes per second of one download by curl."""
    command = ("curl", "-sf", "-o", "/dev/null", "-w", "%{speed_download}", url)
    run = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await run.communicate()
    if run.returncode:
        raise RuntimeError(f"curl failed on {url}")
    return float(out)


async def curl_upload(base: str, repository: str, path: str, digest: str) -> float:
    """Upload a file as one blob with curl; return bytes per second of the PUT."""
    async with clients(4) as session, session.post(f"{base}/v2/{repository}/blobs/uploads/") as started:
        location = started.headers["Location"]
    target = location if location.startswith("http") else base + location
    target += ("&" if "?" in target else "?") + f"digest={digest}"
    command = (
        "curl", "-sf", "-X", "PUT", "-H", "Content-Type: application/octet-stream", "-H", "Expect:",
        "-T", path, "-o", "/dev/null", "-w", "%{speed_upload}", target,
    )  # fmt: skip
    run = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await run.communicate()
    if run.returncode:
        raise RuntimeError(f"upload failed: {target}")
    return float(out)
