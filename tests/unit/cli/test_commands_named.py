"""Whatever our texts tell people to type can be typed: the command is there, and its options and arguments fit."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from proxy.cli.app import whole

ROOT = Path(__file__).parents[3]
COMMANDS = get_command(whole())
_LINE = re.compile(r"countersign ([a-z][a-z-]*[^`;()\n]*)")
_ENDS = re.compile(r"[,.:]? *$|[,.:] .*$")
# What is in a text and no command to type: names of things, and commands that are spoken of.
_PROSE = (
    "countersign key evidence",
    "countersign denials and",
    "countersign admin",
    "countersign init`",  # "made by ..."
    "countersign tokens draft",  # "of a token that its holder drafted"
    "countersign serve",
)


def texts(path: Path) -> Iterator[str]:
    """Every text in a file, with `X` for what is filled in; docstrings name commands without being advice."""
    tree = ast.parse(path.read_text())
    inside: set[ast.AST] = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inside |= set(node.values)
            parts = (str(v.value) if isinstance(v, ast.Constant) else "X" for v in node.values)
            yield "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside:
            yield node.value


def lines(text: str) -> Iterator[str]:
    """Every command line in a text, as one would type it."""
    for told in _LINE.finditer(text):
        if text != "countersign init" and not text[told.start() :].startswith(_PROSE):
            yield "countersign " + _ENDS.sub("", told[1])


def wrong(text: str) -> Iterator[str]:
    """The command lines in it that the command line itself would refuse, each with why."""
    for line in lines(text):
        if why := refusal(line):
            yield f"{line}: {why}"


def refusal(line: str) -> str | None:
    """Why the program would refuse this line: command, options and arguments; values are placeholders often."""
    here, rest = COMMANDS, shlex.split(line)[1:]
    while (below := getattr(here, "commands", None)) is not None:
        word = rest.pop(0) if rest else ""
        if word not in below:
            return f"there is no command {word!r}"
        here = below[word]
    options = {name: each for each in here.params for name in (*each.opts, *each.secondary_opts) if name[0] == "-"}
    arguments = [each for each in here.params if each.param_type_name == "argument"]
    given: set[str | None] = set()
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            if not arguments:
                return f"{word!r} is too much"
            given.add(arguments.pop(0).name)
        elif word not in options:
            return f"there is no option {word}"
        elif not getattr(options[word], "is_flag", False) and not rest:
            return f"{word} has no value"
        else:
            given.add(options[word].name)
            rest = rest if getattr(options[word], "is_flag", False) else rest[1:]
    missing = [str(each.name) for each in here.params if each.required and each.name not in given]
    return f"without {', '.join(missing)}" if missing else None


@pytest.mark.parametrize("part", ["proxy", "hsm"])
def test_what_a_text_tells_to_type_can_be_typed(part: str) -> None:
    found = {
        f"{path.relative_to(ROOT)}: {each}"
        for path in (ROOT / part).rglob("*.py")
        for text in texts(path)
        for each in wrong(text)
    }
    assert found == set()


@pytest.mark.parametrize(
    "text",
    [
        "countersign keys forget KEY",
        "`countersign nosuch`",
        "countersign why --not",
        "make one: countersign tokens create",
        "countersign keys retire X",
        "countersign keys retire X --reason",
        "(countersign status of X)",
        "countersign keys chain set X --reason TEXT",
        "countersign sign X; then",
    ],
)
def test_what_cannot_be_typed_is_found(text: str) -> None:
    assert list(wrong(text))


@pytest.mark.parametrize(
    "text",
    [
        "see: countersign keys list, GET /x",
        "`countersign init` made it",
        "run countersign keys chain set X FILE --reason TEXT",
        "countersign exceptions close X --reason TEXT --config X; and then",
    ],
)
def test_what_can_be_typed_is_let_be(text: str) -> None:
    assert list(wrong(text)) == []


def test_the_pipelines_of_the_page_about_policies_are_yaml_and_type_what_exists() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs" / "policies.md").read_text(), re.MULTILINE | re.DOTALL)
    pipelines = [yaml.safe_load(block) for block in blocks]
    assert [sorted(map(str, each)) for each in pipelines] == [
        ["True", "env", "jobs", "permissions"],  # `on` is true in YAML 1.1, also where GitHub reads it
        ["apply", "plan", "variables"],
    ]
    steps = [step["run"] for job in pipelines[0]["jobs"].values() for step in job["steps"] if "run" in step]
    steps += [line for job in ("plan", "apply") for line in pipelines[1][job]["script"]]
    typed = [found for step in steps for found in re.findall(r"countersign [^;|>]*", step)]
    assert len(typed) == 6
    assert [why for line in typed if (why := refusal(line.strip()))] == []
