"""The table: Markdown for people, JSON for programs, SVG for those who would rather look."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bench.load import Measured


@dataclass(frozen=True)
class Row:
    """One target and what was measured. `ratio` is compared with `target`; `at_most` says in which direction."""

    what: str
    against: str
    ours: str
    theirs: str
    ratio: float
    target: float
    at_most: bool = False
    note: str = ""

    @property
    def holds(self) -> bool:
        """True when the target is reached."""
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target


def spread(measured: Measured, unit: str, scale: float = 1.0) -> str:
    """Return `median unit (lowest to highest)`."""
    median, low, high = (_short(value / scale) for value in (measured.median, *measured.spread))
    return f"{median} {unit} ({low} to {high})"


def _short(value: float) -> str:
    """Return three digits, and whole numbers in full."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def machine() -> dict[str, str]:
    """Return what this was measured on."""
    found = shutil.which("nginx")
    nginx = subprocess.run((found, "-v"), check=False, capture_output=True, text=True).stderr.strip() if found else ""
    return {
        "cpus": str(len(os.sched_getaffinity(0))),
        "load of others before the start": f"{os.getloadavg()[0]:.1f}",
        "kernel": platform.release(),
        "python": sys.version.split()[0],
        "aiohttp": version("aiohttp"),
        "sqlite": sqlite3.sqlite_version,
        "nginx": nginx.rpartition("/")[2],
    }


def write(rows: list[Row], folder: Path, facts: dict[str, str]) -> str:
    """Write results.md, results.json and results.svg; return the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        "# Benchmark",
        "",
        "Ratios measured side by side in one run; absolute numbers mean little on a shared machine.",
        "",
        ", ".join(f"{k} {v}" for k, v in facts.items()),
        "",
        "| what | countersign | against | theirs | ratio | target | holds |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        sign = "≤" if r.at_most else "≥"
        note = f" ({r.note})" if r.note else ""
        lines.append(
            f"| {r.what} | {r.ours} | {r.against} | {r.theirs} | {r.ratio:.3g} | {sign} {r.target:g} "
            f"| {'yes' if r.holds else '**no**'}{note} |"
        )
    text = "\n".join(lines) + "\n"
    (folder / "results.md").write_text(text)
    values = [{**vars(r), "holds": r.holds} for r in rows]
    (folder / "results.json").write_text(json.dumps({"machine": facts, "rows": values}, indent=1) + "\n")
    (folder / "results.svg").write_text(picture(rows))
    return text


def picture(rows: list[Row]) -> str:
    """Return a bar per row: how far it is from its target, which is the line; to the right is better."""
    width, bar, left = 900, 34, 430
    scale = (width - left - 70) / 3.0
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {len(rows) * bar + 50}" ',
        'font-family="system-ui,sans-serif" font-size="13"><rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="{left + scale}" y="18" text-anchor="middle" fill="#555">target</text>',
    ]
    for n, r in enumerate(rows):
        score = (r.target / r.ratio if r.ratio else 3.0) if r.at_most else r.ratio / r.target
        y = 30 + n * bar
        colour = "#2f7d4f" if r.holds else "#b3402e"
        parts.append(f'<text x="{left - 8}" y="{y + 17}" text-anchor="end" fill="#222">{r.what[:64]}</text>')
        parts.append(f'<rect x="{left}" y="{y + 4}" width="{min(score, 3) * scale:.0f}" height="18" fill="{colour}"/>')
        parts.append(f'<text x="{left + min(score, 3) * scale + 6:.0f}" y="{y + 17}" fill="#222">{score:.2f} x</text>')
    x = left + scale
    parts.append(f'<line x1="{x}" x2="{x}" y1="24" y2="{len(rows) * bar + 34}" stroke="#555" stroke-dasharray="4 3"/>')
    return "".join(parts) + "</svg>\n"
