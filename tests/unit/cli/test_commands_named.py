"""Whatever our texts tell people to type exists: the command, what is under it, and its options."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from proxy.cli.app import app

ROOT = Path(__file__).parents[3]
_TOLD = re.compile(r"countersign ((?:[a-z][a-z-]*(?: |$|\b))+)([^`;)\n]*)")
# What is in a text and no command to type.
_PROSE = {"countersign key evidence", "countersign denials and", "countersign admin"}


def texts(path: Path) -> Iterator[str]:
    """Every text in a file, with `X` for what is filled in; docstrings too, which name commands as well."""
    inside: set[ast.AST] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            inside |= set(node.values)
            parts = (str(v.value) if isinstance(v, ast.Constant) else "X" for v in node.values)
            yield "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside:
            yield node.value


def wrong(text: str) -> Iterator[str]:
    """What it tells to type and is not there."""
    for told in _TOLD.finditer(text):
        words, rest = told[1].split(), told[2]
        here, said = get_command(app), "countersign"
        for word in words:
            below = getattr(here, "commands", None)
            if below is None:  # what follows is its argument, or prose
                break
            said += f" {word}"
            if word not in below:
                if not _PROSE & {said, " ".join(("countersign", *words[:2]))}:
                    yield said
                break
            here = below[word]
        else:
            there = {name for each in here.params for name in (*each.opts, *each.secondary_opts)}
            yield from (f"{said} {option}" for option in re.findall(r"(?<!\S)--[a-z-]+", rest) if option not in there)


@pytest.mark.parametrize("part", ["proxy", "hsm"])
def test_what_a_text_tells_to_type_exists(part: str) -> None:
    found = {
        f"{path.relative_to(ROOT)}: {each}"
        for path in (ROOT / part).rglob("*.py")
        for text in texts(path)
        for each in wrong(text)
    }
    assert found == set()


@pytest.mark.parametrize("text", ["countersign keys forget KEY", "`countersign nosuch`", "countersign why --not"])
def test_what_does_not_exist_is_found(text: str) -> None:
    assert list(wrong(text))
