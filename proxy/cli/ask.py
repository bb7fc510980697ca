"""Prints answers: JSON, inert lines, aligned tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from proxy.cli.exits import Exit
from proxy.oci.faults import plain

_LINE = 1000


def json_out(answer: object) -> Exit:
    sys.stdout.write(json.dumps(answer, indent=2) + "\n")  # ASCII only: inert on a terminal
    return Exit.FINE


def lines_out(lines: Sequence[str]) -> Exit:
    """Print the lines without control characters: names and annotations come from strangers."""
    sys.stdout.write("".join(plain(line, _LINE).rstrip() + "\n" for line in lines))
    return Exit.FINE


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
