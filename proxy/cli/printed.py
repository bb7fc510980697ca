"""The output of commands that are generated from operations."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from proxy.admin.operation import Command, Given, Printed, Row
from proxy.cli.ask import json_out, lines_out, table
from proxy.cli.exits import Exit, OutputFormat
from proxy.oci.faults import visible

_COLOURS = {"+": "32", "-": "31"}


def listed(command: Command, rows: Sequence[Row], empty: str, below: Row | None, form: OutputFormat) -> Exit:
    """Print the rows of a list, and below them the answer `below`; the exit code says whether some wait."""
    waits = command.waits is not None and command.waits(rows)
    shown, lines = {command.rows: rows}, table(command.table(rows)) if rows and command.table else [empty]
    if below is not None and command.below is not None:
        under = command.below.command
        waits = waits or (under.waits is not None and under.waits(below))
        shown |= {under.rows if name == "items" else name: value for name, value in below.items()}
        lines += _laid_out(under.lines(below) if under.lines else ())
    if form is OutputFormat.JSON:
        json_out(shown)
    else:
        lines_out(lines)
    return Exit.NO if waits else Exit.FINE


def saved(command: Command, answer: Row, given: Given) -> bool:
    """Write the answer to the files that the user named; return whether there are any."""
    files = [(each, given[each.spelled.strip("-")]) for each in command.saved_as]
    for each, file in files:
        if file is not None:
            file.write_text(each.text(answer), encoding="utf-8")
    return any(file is not None for _, file in files)


def printed(command: Command, answer: Row, shown: Printed | None, form: OutputFormat) -> Exit:
    """Print the answer to one call, as `shown` has it or as lines; without either it is JSON."""
    if shown is None:
        lines = command.lines(answer) if command.lines else ()
        code = Exit.NO if command.waits is not None and command.waits(answer) else Exit.FINE
        shown = Printed(lines, code=code)
    aside = command.aside(answer) if command.aside else shown.aside if form is OutputFormat.TEXT else ()
    sys.stderr.write("".join(f"{visible(line, 1000)}\n" for line in aside))
    if form is OutputFormat.JSON or (command.lines is None and command.shows is None):
        json_out(answer if shown.json is None else shown.json)
    else:
        sys.stdout.write("".join(f"{line}\n" for line in coloured(shown.diff)) + shown.raw)
        lines_out(_laid_out(shown.lines))
    return Exit(shown.code)


def _laid_out(lines: Sequence[str | tuple[str, ...]]) -> list[str]:
    rows = [line for line in lines if isinstance(line, tuple)]
    aligned = iter(table(rows) if rows else [])
    return [next(aligned) if isinstance(line, tuple) else line for line in lines]


def coloured(lines: Sequence[str]) -> list[str]:
    """Return the lines of a difference without control characters; in green and red if the output is a terminal."""
    told = [visible(line, 1000) for line in lines]
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return told
    marks = [_COLOURS.get(line.lstrip()[:1], "1") for line in told]
    return [f"\x1b[{mark}m{line}\x1b[0m" for mark, line in zip(marks, told, strict=True)]
