"""What the written pages say, against what they speak of: commands, events, reasons, metrics, links."""

import ast
import json
import re
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from prometheus_client.parser import text_string_to_metric_families

from proxy import config
from proxy.cli.app import whole
from proxy.exports.clients import Client, instructions
from proxy.exports.table import EXPORTS
from proxy.journal.event import EventKind
from proxy.trust.reason import Reason
from proxy.web.metrics import (
    Metrics,
    watch_books,
    watch_endings,
    watch_interventions,
    watch_key_times,
    watch_problems,
    watch_signing,
)
from tests.worlds.memory import FrozenClock, MemoryOverrides, MemoryUnsigned

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
REASONS = ROOT / "docs" / "reasons.md"
README_LENGTH = 200


def named(path: Path) -> str:
    """`docs/events.md`."""
    return str(path.relative_to(ROOT))


def code(text: str) -> list[str]:
    """The lines of code blocks, fenced and indented, with continuation lines joined and prompts taken off."""
    lines: list[str] = []
    fenced = False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            lines.append(line.strip().removeprefix("$ "))
    return "\n".join(lines).replace("\\\n", " ").splitlines()


def calls(text: str) -> list[list[str]]:
    """What is typed after `countersign`, as words: in code blocks, and in `...` within sentences."""
    written = [*code(text), *re.findall(r"`([^`\n]+)`", text)]
    found = []
    for line in written:
        match = re.match(r"(?:runuser -u \w+ -- )?(?:\S*/bin/)?countersign (?!serves)(\S.*)", line)
        if match:
            found.append(shlex.split(match.group(1).partition("|")[0], comments=True))
    return found


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command these words begin with, and the words after its name."""
    at: Any = typer.main.get_command(whole())
    rest = list(words)
    while rest and rest[0][0] != "-" and getattr(at, "commands", None):
        assert rest[0] in at.commands, f"countersign has no command {rest[0]!r}: {words}"
        at = at.commands[rest.pop(0)]
    return at, rest


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_and_their_options_exist(page: Path) -> None:
    for words in calls(page.read_text()):
        if words[0] == "COMMAND":
            continue
        command, rest = command_of(words)
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        unknown = [word for word in rest if re.match(r"-{1,2}[a-z]", word) and word.partition("=")[0] not in known]
        assert not unknown, f"{named(page)}: countersign {' '.join(words)}: no option {unknown}"


def test_the_readme_has_commands_to_check() -> None:
    typed = {words[0] for words in calls((ROOT / "README.md").read_text())}
    assert {"init", "serve", "verify", "sign"} <= typed


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        written = [*code(page.read_text()), *re.findall(r"`([^`\n]+)`", page.read_text())]
        asked = {line.split()[1] for line in written if line.startswith("make ") and len(line.split()) > 1}
        assert asked <= targets, f"{named(page)}: {asked - targets}"
    assert {"make run", "make test"} <= {" ".join(line.split()[:2]) for line in code((ROOT / "README.md").read_text())}


def test_the_readme_can_be_read_in_one_go() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LENGTH


def anchors(text: str) -> set[str]:
    """What `#...` may name in a page: its headings, as they are linked to."""
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        place, _, anchor = target.partition("#")
        there = page.parent / place if place else page
        assert there.exists(), f"{named(page)}: {target} is not there"
        assert not anchor or anchor in anchors(there.read_text()), f"{named(page)}: {target} names no heading"


def test_the_glossary_stays_small() -> None:
    glossary = (ROOT / "docs" / "architecture.md").read_text().partition("## Words")[2]
    assert 20 < len(re.findall(r"^\| [a-z]", glossary, re.M)) - 1 <= 30


def test_functions_that_the_walks_name_are_where_they_say() -> None:
    walks = re.findall(r"`([\w/]+\.py): (\w+)`", (ROOT / "docs" / "architecture.md").read_text())
    assert len(walks) > 20
    for file, function in walks:
        tree = ast.parse((ROOT / "proxy" / file).read_text())
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert function in defined, f"{file} has no function {function}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_files_that_are_named_exist(page: Path) -> None:
    roots = "proxy|hsm|tests|deploy|docs|bench"
    for name in re.findall(rf"`((?:{roots})/[\w./-]+)`", page.read_text()):
        made_up = re.search(r"NAME|NN|WHAT", name)
        assert made_up or (ROOT / name).exists(), f"{named(page)}: {name} is not there"


def first_column(page: Path) -> list[str]:
    """The code words that rows of a page's tables begin with."""
    return re.findall(r"^\| `([^`]+)` \|", page.read_text(), re.MULTILINE)


def test_every_event_is_documented_and_no_other() -> None:
    assert first_column(ROOT / "docs" / "events.md") == [kind.value for kind in EventKind]


def reasons_table() -> str:
    """The table of docs/reasons.md."""
    lines = ["| code | what happened | who pulls | who pushes |", "|---|---|---|---|"]
    lines += [f"| `{r}` | {r.row.what} | {r.row.pull_fix} | {r.row.push_fix} |" for r in Reason]
    return "\n".join(lines) + "\n"


def test_every_reason_is_documented() -> None:
    assert reasons_table() in REASONS.read_text(), "docs/reasons.md: run `python -m tests.test_docs_pages`"


def test_every_metric_is_documented_and_no_other() -> None:
    metrics = Metrics()
    watch_interventions(metrics, MemoryOverrides(FrozenClock()), MemoryUnsigned())
    watch_books(metrics, lambda: 0.0)
    watch_signing(metrics, lambda: None, lambda: 0)
    watch_problems(metrics, list)
    watch_endings(metrics, lambda: {"key chain": 1.0})
    watch_key_times(metrics, lambda: 0, lambda: 0.0)
    shown = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(metrics.text().decode())
        if not family.name.endswith("_created")
    }
    written = {name for name in first_column(ROOT / "docs" / "operations.md") if name.startswith("countersign_")}
    assert written == shown


def test_every_export_is_documented_and_no_other() -> None:
    page = (ROOT / "docs" / "verify-elsewhere.md").read_text()
    rows = "".join(f"| `{export.name}` | {export.what} |\n" for export in EXPORTS)
    assert f"|---|---|\n{rows}\n" in page


def test_every_decision_record_is_listed() -> None:
    folder = ROOT / "docs" / "adr"
    listed = set(re.findall(r"\]\((\d{4}-[^)]+)\)", (folder / "README.md").read_text()))
    assert listed == {path.name for path in folder.glob("0*.md")}


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of that language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_examples_can_be_read_by_whom_they_are_for(page: Path) -> None:
    readers: dict[str, Callable[[str], Any]] = {"json": json.loads, "yaml": yaml.safe_load, "toml": tomllib.loads}
    for language, read in readers.items():
        for block in blocks(page, language):
            assert read(block)


def test_the_readme_shows_what_client_config_prints() -> None:
    settings = config.load(ROOT / "config.example.yaml")
    server = settings.server
    printed = "\n".join(instructions(client, server.hosts[0], server.url) for client in Client)
    shown = blocks(ROOT / "README.md", "toml")
    assert len(shown) == 2
    assert [block for block in shown if block not in printed] == []


def test_the_unit_does_not_restart_after_a_refused_pin() -> None:
    unit = (ROOT / "deploy" / "systemd" / "countersign.service").read_text()
    assert re.search(r"^RestartPreventExitStatus=.*\b10\b", unit, re.MULTILINE)


def renew() -> None:
    """Write the table of the code into the page, in place of the one that stands there."""
    text = REASONS.read_text()
    old = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert old is not None
    REASONS.write_text(text.replace(old.group(), reasons_table()))


if __name__ == "__main__":
    renew()
