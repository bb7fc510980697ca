"""One benchmark run: how long, how large, and contestants measured in turn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bench.load import Measured
from bench.report import Row, spread
from bench.systems import HOST, Bench

MIB = 1 << 20
Measure = Callable[[], Awaitable[float]]


@dataclass
class Run:
    """How long, how large the large things are, and where progress is told."""

    bench: Bench
    say: Callable[[str], None]
    rounds: int = 3
    seconds: int = 4
    large: int = 300 * MIB
    parallel: int = 64
    images: int = 40
    grown: float = 1.0  # of a million journal rows, 100,000 manifests and 10,000 policies


def url(port: int) -> str:
    """Return the URL of a port here."""
    return f"http://{HOST}:{port}"


async def side_by_side(rounds: int, contestants: dict[str, Measure]) -> dict[str, Measured]:
    """Measure each contestant once per round, in turn."""
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, measure in contestants.items():
            taken[name].append(await measure())
    return {name: Measured(tuple(values)) for name, values in taken.items()}


def faster(what: str, rival: str, found: dict[str, Measured], target: float, unit: str, *, note: str = "") -> Row:
    """Return the row of a rate: `ours` against one contestant, the others named in the note."""
    scale = 1e6 if unit == "MB/s" else 1.0
    others = [f"{k} {v.median / scale:,.0f} {unit}" for k, v in found.items() if k not in ("ours", rival)]
    said = "; ".join([*others, *([note] if note else [])])
    ours, theirs = found["ours"], found[rival]
    ratio = ours.median / theirs.median
    return Row(what, rival, spread(ours, unit, scale), spread(theirs, unit, scale), ratio, target, note=said)


def at_most(what: str, against: str, ours: str, theirs: str, value: float, bound: float, note: str = "") -> Row:
    """Return the row of something that must not exceed a bound."""
    return Row(what, against, ours, theirs, value, bound, at_most=True, note=note)
