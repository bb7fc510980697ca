"""Prints answers: JSON, inert lines, aligned tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from unicodedata import combining, east_asian_width

from proxy.cli.exits import Exit, OutputFormat
from proxy.oci.faults import visible

_LINE = 1000


def json_out(answer: object) -> Exit:
    sys.stdout.write(json.dumps(answer, indent=2) + "\n")  # ASCII only: inert on a terminal, whole for programs
    return Exit.FINE


def told(form: OutputFormat, answer: object, text: str) -> Exit:
    """Print the answer as JSON, or its text as it is."""
    if form is OutputFormat.JSON:
        return json_out(answer)
    sys.stdout.write(text)
    return Exit.FINE


def lines_out(lines: Sequence[str]) -> Exit:
    """Print the lines, inert: names and annotations come from strangers."""
    sys.stdout.write("".join(visible(line, _LINE).rstrip() + "\n" for line in lines))
    return Exit.FINE


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows as inert, aligned lines, also with letters that take two columns or none."""
    told = [[visible(cell, _LINE) for cell in row] for row in rows]
    widths = [max(_width(row[at]) for row in told) for at in range(len(told[0]))]
    return ["  ".join(c + " " * (w - _width(c)) for c, w in zip(row, widths, strict=True)) for row in told]


def _width(cell: str) -> int:
    return len(cell) if cell.isascii() else sum((not combining(c)) + (east_asian_width(c) in "WF") for c in cell)
