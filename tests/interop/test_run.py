"""`make run`, as someone tries it: starts it, types what the screen says, ends it, and starts it again."""

import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.interop.peers import Daemon, Ran, daemon, need, run, when

ROOT = Path(__file__).parents[2]
READY = "Ctrl-C stops everything"


@contextmanager
def running(folder: Path) -> Iterator[Daemon]:
    command: list[str | Path] = [sys.executable, "-m", "deploy.run", folder]
    with daemon(folder.with_suffix(".log"), command, cwd=ROOT) as started:
        when(started, lambda: READY in started.printed() or None, "make run was not ready", 90)
        yield started


def typed(shown: str, *words: str) -> Ran:
    """What the one shown command with all these words did."""
    lines = [line for line in shown.splitlines() if all(word in line for word in words) and not line.startswith("#")]
    assert len(lines) == 1, (words, shown)
    program, *arguments = shlex.split(lines[0])
    return run(ROOT / program if "/" in program else program, *arguments)


def descendants(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(child): int(parent) for child, parent in (line.split() for line in listed.splitlines())}
    found = [child for child, parent in parents.items() if parent == pid]
    return found + [further for child in found for further in descendants(child)]


def test_what_the_screen_says_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("docker-registry")
    monkeypatch.chdir(ROOT)
    folder = tmp_path / "run"
    with running(folder) as first:
        shown = first.printed()
        key = (folder / "keys" / "release.pub").read_bytes()
        for words in (
            ("copy", "dest", "hello"),
            ("copy", "src", "pulled/hello"),
            ("verify", "--config"),
            ("why", "--config"),
        ):
            ended = typed(shown, *words)
            assert ended.status == 0, (words, ended.output)
        if "cosign verify" in shown:
            assert typed(shown, "cosign verify").status == 0
        assert typed(shown, "copy", "dest", "stranger").status == 0
        blocked = typed(shown, "copy", "src", "stranger")
        assert blocked.status != 0
        assert "blocked by" in blocked.output
        assert typed(shown, "looked at it").status == 0
        assert typed(shown, "copy", "src", "stranger").status == 0
        assert typed(shown, "keys", "rotate").status == 0
        assert typed(shown, "copy", "src", "still").status == 0
        assert "release" in typed(shown, "curl", "/-/trust/").output
        started = descendants(first.process.pid)
        assert len(started) >= 2
        first.process.send_signal(signal.SIGINT)
        assert first.process.wait(40) == 0
        assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
    with running(folder) as second:
        assert (folder / "keys" / "release.pub").read_bytes() == key
        assert typed(second.printed(), "copy", "src", "pulled/hello").status == 0
