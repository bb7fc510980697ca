"""`python -m bench [--quick] [ROW ...]`: measure, write bench/results/, print the table."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from bench import report, rows
from bench.systems import Bench

PARTS = {"pulls": rows.pulls, "pushes": rows.pushes, "blobs": rows.blobs}


async def main() -> int:
    """Run the chosen parts; the exit code is 0 whatever the targets say: this is a benchmark, never a test."""
    options = argparse.ArgumentParser(prog="python -m bench", description="Side-by-side benchmark of countersign.")
    options.add_argument("parts", nargs="*", help=f"which parts ({', '.join(PARTS)}); all when none is named")
    options.add_argument("--quick", action="store_true", help="shorter and smaller: to see that it runs")
    options.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="where results go")
    chosen = options.parse_args()
    measured: list[report.Row] = []
    for name in chosen.parts or PARTS:
        with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
            bench = Bench(rows.cleared(Path(folder) / "run"))
            run = rows.Run(bench, say=lambda text: print(f"- {text}", file=sys.stderr, flush=True))
            if chosen.quick:
                run = rows.Run(bench, rounds=1, seconds=1, large=30 * rows.MIB, parallel=8, say=run.say)
            with bench.stack:
                measured += await PARTS[name](run)
    print(report.write(measured, chosen.out))
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
