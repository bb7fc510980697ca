"""What others notice while somebody attacks, and what the proxy still holds afterwards."""

from __future__ import annotations

import asyncio
import http.client
import json
import sys
from contextlib import suppress
from statistics import quantiles
from time import monotonic, sleep

from bench.attacks import ATTACKS, STRANGERS
from bench.images import MANIFEST, image, push_blobs, push_manifest
from bench.load import clients
from bench.report import Row
from bench.run import MIB, Run, at_most, url
from bench.systems import ENVIRONMENT, HOST, cpu_seconds, free_port, resident

OTHERS_MS, KEPT_MIB = 250, 20
SETTLE_S = 10.0  # a proxy gives memory back 5 s after a crowd has gone
EVERY_S = 0.05


async def hostile(run: Run) -> list[Row]:
    """Each attack in turn on one proxy that anybody may push to, while other clients pull a signed image."""
    bench, port, registry = run.bench, free_port(), await run.bench.registry()
    config = bench.init(registry, port)
    rows: list[Row] = []
    one = image("hostile")
    seconds = 2.5 * run.seconds
    path = f"/v2/bench/app/manifests/{one.digest}"
    async with bench.countersign(config, port), clients(4) as session:
        await push_blobs(session, url(port), "bench/app", one)
        await push_manifest(session, url(port), "bench/app", "v1", one)
    for name in ATTACKS:
        run.say(f"hostile: {name}")
        async with bench.countersign(config, port) as running:
            calm = await _probe(port, path, seconds / 2)
            before, spent = resident(running.pid), cpu_seconds(running.pid)
            attack = await _python("bench.attacks", name, str(port), str(seconds))
            found = await _probe(port, path, seconds)
            await attack.wait()
            spent = cpu_seconds(running.pid) - spent
            await asyncio.sleep(SETTLE_S)
            kept = (resident(running.pid) - before) / MIB
        rows.append(_others(name, calm, found, spent))
        if name in STRANGERS:
            held = f"{kept:+.0f} MiB"
            rows.append(at_most(f"memory kept after {name}", "at most", held, f"{KEPT_MIB} MiB", kept, KEPT_MIB))
    return rows


def _others(name: str, calm: list[float], found: list[float], spent: float) -> Row:
    """Return the row of the p95 of everybody else, in milliseconds."""
    late = sum(taken < 0 for taken in found)
    ours, quiet = (_p95([t if t >= 0 else 60.0 for t in taken]) * 1000 for taken in (found, calm))
    note = f"ms; {len(found)} answers, worst {max(found) * 1000:.0f} ms, {late} refused; {spent:.1f} s of CPU"
    return at_most(
        f"others' p95 during {name}", "without the attack", f"{ours:.0f} ms", f"{quiet:.0f} ms", ours, OTHERS_MS, note
    )


def _p95(taken: list[float]) -> float:
    return quantiles(taken, n=20)[-1] if len(taken) > 1 else taken[0]


async def _python(module: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, env=ENVIRONMENT, stdout=asyncio.subprocess.PIPE
    )


async def _probe(port: int, path: str, seconds: float) -> list[float]:
    """Return the seconds of each answer that a client in a process of its own got; -1 where it got none or no 200."""
    probe = await _python("bench.hostile", str(port), path, str(seconds))
    out, _ = await probe.communicate()
    taken: list[float] = json.loads(out)
    return taken


def ask(port: int, path: str, seconds: float) -> list[float]:
    """GET one path on a new connection every 50 ms; return what each took, -1 for what was refused."""
    end, taken = monotonic() + seconds, []
    while monotonic() < end:
        begun, status = monotonic(), 0
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection(HOST, port, timeout=60)
            connection.request("GET", path, headers={"Accept": MANIFEST})
            status = connection.getresponse().status
            connection.close()
        taken.append(monotonic() - begun if status == 200 else -1.0)
        sleep(EVERY_S)
    return taken


if __name__ == "__main__":
    sys.stdout.write(json.dumps(ask(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))))
