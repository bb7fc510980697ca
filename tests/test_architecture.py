"""The shape of the house: who may import whom, how large a file or folder may be, and which names nothing may have.

The import contracts are in .importlinter; this file runs them and adds what they cannot say. Each test lists everything
that breaks its rule.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[1]
LONGEST = 350
MOST_FILES = 24
# Names that say nothing, and so collect everything.
EMPTY_NAMES = {"utils", "util", "helpers", "common", "models", "manager", "service", "base", "core", "misc"}
VAGUE = ("manager", "service", "helper", "utils")
# Words that only this project gave their meaning: each has a term of the field in its place (docs/architecture.md).
PRIVATE_WORDS = {
    "House",
    "Asked",
    "Asker",
    "Standing",
    "Wish",
    "Manner",
    "StandIn",
    "Ours",
    "Orders",
    "Interventions",
    "Holder",
    "Person",
    "Place",
    "Form",
    "Desk",
    "Topic",
    "Acting",
    "Reach",
    "Turn",
    "Owed",
    "Ticking",
    "Coming",
    "What",
    "Ending",
    "Ends",
    "Everything",
    "TokenFacts",
    "Stray",
    "Setting",
    "Around",
    "Looked",
    "Found",
    "Memory",
    "Once",
    "Line",
    "Allowance",
    "Certified",
    "Window",
    "Granted",
    "Hours",
    "Mortal",
    "Answer",
    "Reply",
}
# What only computes: the same input gives the same output, on any day, on any machine.
PURE_FOLDERS = ("proxy/oci", "proxy/trust", "proxy/formats", "proxy/exports")
WITH_A_WORLD = ("proxy/exports/pages.py", "proxy/exports/publish.py")
PURE_FILES = (
    "hsm/uri.py",
    "hsm/encoding.py",
    "proxy/admin/approval.py",
    "proxy/admin/token.py",
    "proxy/jobs/job.py",
    "proxy/journal/event.py",
    "proxy/journal/problem.py",
    "proxy/keys/ring.py",
    "proxy/keys/states.py",
    "proxy/overrides/changes.py",
    "proxy/overrides/offline_file.py",
    "proxy/policies/diff.py",
    "proxy/policies/impact.py",
    "proxy/policies/lint.py",
    "proxy/policies/revision.py",
    "proxy/server/problems/expiry.py",
    "proxy/tokens/token_key.py",
)
IMPURE = {"aiohttp", "asyncio", "logging", "structlog", "time", "os", "socket", "subprocess", "sqlalchemy", "random"}
IMPURE |= {"secrets", "threading", "pathlib", "shutil", "requests", "urllib.request", "http.client", "yaml"}


def sources() -> list[Path]:
    return sorted(path for top in ("proxy", "hsm") for path in (ROOT / top).rglob("*.py"))


def pure_sources() -> list[Path]:
    inside = [path for folder in PURE_FOLDERS for path in (ROOT / folder).rglob("*.py")]
    return [path for path in inside if named(path) not in WITH_A_WORLD] + [ROOT / name for name in PURE_FILES]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text()))


def imported_by(path: Path) -> set[str]:
    found: set[str] = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


def test_imports_keep_their_contracts(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT))
    status = lint_imports(config_filename=str(ROOT / ".importlinter"))
    assert status == 0, capsys.readouterr().out


def test_files_and_folders_fit_in_one_sitting() -> None:
    lengths = {named(path): len(path.read_text().splitlines()) for path in sources()}
    assert lengths
    assert not {name: length for name, length in lengths.items() if length > LONGEST}
    folders = Counter(str(Path(name).parent) for name in lengths if not name.endswith("__init__.py"))
    assert not {name: count for name, count in folders.items() if count > MOST_FILES}


def test_names_say_something() -> None:
    empty = [named(path) for path in sources() if EMPTY_NAMES & {path.stem, *path.relative_to(ROOT).parts}]
    assert not empty, "these could hold anything; name them after what they hold"
    classes = [(named(path), node.name) for path in sources() for node in nodes(path) if isinstance(node, ast.ClassDef)]
    vague = [each for each in classes if each[1].lower().endswith(VAGUE)]
    assert not vague, "these could hold anything; name them after what they hold"
    private = [each for each in classes if each[1] in PRIVATE_WORDS or each[1].endswith("Wish")]
    assert not private, "use the term of the field; the glossary has it"


def test_what_computes_has_no_world() -> None:
    world = {named(path): found for path in pure_sources() if (found := impure(imported_by(path)))}
    assert not world, "take what it needs as an argument"
    waits = [named(path) for path in pure_sources() for node in nodes(path) if isinstance(node, ast.AsyncFunctionDef)]
    assert not waits, "only the request path, verbs and adapters wait"


def impure(imported: set[str]) -> set[str]:
    return {name for name in imported if name in IMPURE or name.split(".")[0] in IMPURE}


def catches_everything(handler: ast.ExceptHandler) -> bool:
    caught = handler.type
    everything = caught is None or (isinstance(caught, ast.Name) and caught.id in {"Exception", "BaseException"})
    last = handler.body[-1]
    passes_it_on = isinstance(last, ast.Raise) and last.exc is None
    return everything and not passes_it_on


def test_only_the_outermost_web_layer_catches_everything() -> None:
    inward = [path for path in sources() if not named(path).startswith("proxy/web/")]
    handlers = [(named(path), node) for path in inward for node in nodes(path) if isinstance(node, ast.ExceptHandler)]
    everything = [f"{name}:{node.lineno}" for name, node in handlers if catches_everything(node)]
    assert not everything, "name the exceptions, or raise them again"
