"""The shape of the house: who may import whom, how large a room may be, and which names nothing may have.

The import contracts are in .importlinter; this file runs them and adds what they cannot say.
"""

import ast
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[1]
LONGEST = 300
# Names that say nothing, and so collect everything.
EMPTY_NAMES = {"utils", "util", "helpers", "common", "models", "manager", "service", "base", "core", "misc"}
# Rooms that only compute: the same input gives the same output, on any day, on any machine.
PURE_ROOMS = ("proxy/oci", "proxy/trust", "proxy/formats", "proxy/exports")
PURE_FILES = ("hsm/uri.py", "hsm/encoding.py")
IMPURE = {"aiohttp", "asyncio", "logging", "structlog", "time", "os", "socket", "subprocess", "sqlalchemy", "random"}
IMPURE |= {"secrets", "threading", "pathlib", "shutil", "requests", "urllib.request", "http.client", "yaml"}


def sources() -> list[Path]:
    return sorted(path for room in ("proxy", "hsm") for path in (ROOT / room).rglob("*.py"))


def pure_sources() -> list[Path]:
    rooms = [path for room in PURE_ROOMS for path in (ROOT / room).rglob("*.py")]
    return sorted(rooms + [ROOT / name for name in PURE_FILES if (ROOT / name).exists()])


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported_by(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    found: set[str] = set()
    for node in ast.walk(tree):
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


def test_there_is_something_to_check() -> None:
    assert sources()
    assert pure_sources()


@pytest.mark.parametrize("path", sources(), ids=named)
def test_a_file_fits_in_one_sitting(path: Path) -> None:
    length = len(path.read_text().splitlines())
    assert length <= LONGEST, f"{named(path)} has {length} lines; split it along what it does (at most {LONGEST})"


@pytest.mark.parametrize("path", sources(), ids=named)
def test_names_say_something(path: Path) -> None:
    empty = EMPTY_NAMES & {path.stem, *path.relative_to(ROOT).parts}
    assert not empty, f"{named(path)}: {empty} could hold anything; name it after what it holds"
    classes = [node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]
    vague = [name for name in classes if name.lower().endswith(("manager", "service", "helper", "utils"))]
    assert not vague, f"{named(path)}: {vague} could hold anything; name them after what they hold"


@pytest.mark.parametrize("path", pure_sources(), ids=named)
def test_pure_rooms_have_no_world(path: Path) -> None:
    world = {name for name in imported_by(path) if name in IMPURE or name.split(".")[0] in IMPURE}
    assert not world, f"{named(path)} imports {world}; take what it needs as an argument"
    waits = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.AsyncFunctionDef)]
    assert not waits, f"{named(path)} has async functions; only flows and adapters wait"


def catches_everything(handler: ast.ExceptHandler) -> bool:
    caught = handler.type
    everything = caught is None or (isinstance(caught, ast.Name) and caught.id in {"Exception", "BaseException"})
    last = handler.body[-1]
    passes_it_on = isinstance(last, ast.Raise) and last.exc is None
    return everything and not passes_it_on


@pytest.mark.parametrize("path", [path for path in sources() if not named(path).startswith("proxy/web/")], ids=named)
def test_only_the_outermost_web_layer_catches_everything(path: Path) -> None:
    handlers = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ExceptHandler)]
    lines = [handler.lineno for handler in handlers if catches_everything(handler)]
    assert not lines, f"{named(path)} catches everything at lines {lines}; name the exceptions, or raise them again"
