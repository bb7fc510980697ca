"""Tests that run side by side: a file stays together, what runs alone has nothing beside it, and nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lanes import ALONE, SLOW, SLOWEST

ROOT = Path(__file__).parents[3]
CONFTEST = """
import json, os
import pytest
from tests import lanes
lanes.ALONE.clear()
lanes.ALONE.update(dict.fromkeys(("test_alone_1.py", "test_alone_2.py"), "it says so"))
lanes.SLOWEST = ("test_c.py",)

@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return lanes.Lanes(config, log)

@pytest.fixture(autouse=True)
def written_down(request):
    for what in ("begins", "ends"):
        with open("events", "a") as events:
            events.write(json.dumps([os.getpid(), what, *request.node.nodeid.split("::")]) + "\\n")
        if what == "begins":
            yield
"""
PLAIN = "import pytest\n\n\n@pytest.mark.parametrize('n', range(6))\ndef test_it(n): pass\n"
DIES = "import os\n\n\ndef test_it(): pass\n\n\ndef test_dies(): os._exit(9)\n\n\ndef test_after(): pass\n"
Event = tuple[int, str, str, str]


def played(folder: Path, files: dict[str, str], *, workers: int = 2) -> tuple[int, list[Event]]:
    """Those files were run side by side: the exit status, and (process, begins or ends, file, test) as it happened."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "pytest.ini").write_text("[pytest]\n")
    for name, text in files.items():
        (folder / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "xdist", "-n", str(workers), "-p", "no:cacheprovider"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    environment |= {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert (folder / "events").exists(), done.stdout + done.stderr
    lines = (folder / "events").read_text().splitlines()
    return done.returncode, [tuple(json.loads(line)) for line in lines]


def test_what_runs_alone_runs_when_all_else_has_ended(tmp_path: Path) -> None:
    files = {f"test_{name}.py": PLAIN for name in ("a", "b", "c", "d", "alone_1", "alone_2")}
    status, events = played(tmp_path, files)
    assert status == 0
    assert len(events) == 2 * 6 * 6
    last = events[-2 * 2 * 6 :]
    assert {file for _, _, file, _ in last} == {"test_alone_1.py", "test_alone_2.py"}
    assert [what for _, what, _, _ in last] == ["begins", "ends"] * 12, "they ran one after the other"
    assert len({process for process, *_ in last}) == 1


def test_a_file_stays_with_one_worker_and_the_slowest_is_begun_first(tmp_path: Path) -> None:
    _, events = played(tmp_path, {f"test_{name}.py": PLAIN for name in ("a", "b", "c", "d")})
    for file in {file for _, _, file, _ in events}:
        assert len({process for process, _, its, _ in events if its == file}) == 1
    first = {process: file for process, _, file, _ in reversed(events)}
    assert "test_c.py" in first.values(), "the slowest is the first file of its worker, however late that one started"


@pytest.mark.parametrize("names", [["alone_1"], ["alone_1", "alone_2"], ["alone_1", "a"], ["a"]])
def test_fewer_files_than_workers_are_all_run(tmp_path: Path, names: list[str]) -> None:
    status, events = played(tmp_path, {f"test_{name}.py": PLAIN for name in names}, workers=3)
    assert status == 0
    assert len(events) == 2 * 6 * len(names)


@pytest.mark.parametrize("who", ["a", "alone_1"])
def test_a_worker_that_dies_fails_its_test_and_the_rest_is_run(tmp_path: Path, who: str) -> None:
    files = {f"test_{name}.py": PLAIN for name in ("a", "b", "alone_1", "alone_2")}
    status, events = played(tmp_path, {**files, f"test_{who}.py": DIES})
    assert status == 1
    ended = [(file, test) for _, what, file, test in events if what == "ends"]
    assert len(ended) == len(set(ended)) == 3 * 6 + 2, "each once, but for the one that died"
    first = next(n for n, (_, _, file, _) in enumerate(events) if "alone" in file)
    assert all("alone" in file for _, _, file, _ in events[first:])


def test_what_is_listed_is_there() -> None:
    for file in (*ALONE, *SLOW, *SLOWEST):
        assert (ROOT / file).is_file(), file
