"""`python -m bench [--quick] [ROW ...]`: measure, write bench/results/, print the table."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from bench import report
from bench.blobs import blobs
from bench.growth import growth
from bench.hostile import hostile
from bench.pulls import pulls
from bench.pushes import pushes
from bench.run import MIB, Run
from bench.servers import servers
from bench.start import start
from bench.systems import Bench

PARTS = {
    "pulls": pulls,
    "servers": servers,
    "pushes": pushes,
    "blobs": blobs,
    "start": start,
    "growth": growth,
    "hostile": hostile,
}


async def main() -> int:
    """Run the chosen parts; the exit code is 0 whatever the targets say: this is a benchmark, never a test."""
    options = argparse.ArgumentParser(prog="python -m bench", description="Side-by-side benchmark of countersign.")
    options.add_argument("parts", nargs="*", help=f"which parts ({', '.join(PARTS)}); all when none is named")
    options.add_argument("--quick", action="store_true", help="shorter and smaller: to see that it runs")
    options.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="where results go")
    chosen = options.parse_args()
    facts, measured = report.machine(), list[report.Row]()
    for name in chosen.parts or PARTS:
        with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
            bench = Bench(Path(folder) / "run")
            bench.folder.mkdir()
            run = Run(bench, _say)
            if chosen.quick:
                run = Run(bench, _say, rounds=1, seconds=1, large=30 * MIB, parallel=8, images=10, grown=0.01)
            with bench.stack:
                measured += await PARTS[name](run)
    sys.stdout.write(report.write(measured, chosen.out, facts))
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"- {text}\n")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
