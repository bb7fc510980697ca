"""Real programs for tests: finds them, starts them on loopback with storage of their own, ends them by pid.

The starters of registries are in registries.py, those of docker and containerd in engines.py; images.py makes
small images for them. All are ordinary context managers, which serve sync and async tests alike:

    with docker_registry(folder) as registry:
        must("skopeo", "copy", ..., f"docker://{registry.host}/app:1")
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from tests.interop import builds

SYSTEM_PATH = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
START_SECONDS = 30.0
STOP_SECONDS = 20.0
T = TypeVar("T")


def peer(name: str) -> Path | None:
    """The program of that name, ours from Go or the system's, or None where it is not.

    `registry` is distribution 3.1 from Go, `docker-registry` is Debian's 2.8; `cosign` is version 3, `cosign2` is 2.
    """
    if name in builds.BUILDS:
        built = builds.place(name)
        return built if built.exists() else None
    found = shutil.which(name, path=SYSTEM_PATH)
    return Path(found) if found else None


def need(name: str) -> Path:
    """The program of that name; without it the calling test is skipped, with a reason the closing summary counts."""
    found = peer(name)
    if found:
        return found
    if name not in builds.BUILDS:
        pytest.skip(f"no {name} on this machine (make setup)")
    pytest.skip("no Go" if builds.go() is None else f"{name} is not built (make clients)")


@dataclass(frozen=True)
class Ran:
    """How a program ended: its exit status and everything it printed."""

    status: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Both streams, for tests that do not care which one a client chose."""
        return self.stdout + self.stderr


def run(
    name: str | Path, *arguments: str | Path, environment: Mapping[str, str] | None = None, timeout: float = 120
) -> Ran:
    """The program has run to its end, whatever its status; the test is skipped if the program is not here."""
    program = name if isinstance(name, Path) else need(name)
    done = subprocess.run(
        [program, *arguments],
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def must(
    name: str | Path, *arguments: str | Path, environment: Mapping[str, str] | None = None, timeout: float = 120
) -> str:
    """The program has ended well, and this is its standard output; otherwise the test fails with what it printed."""
    done = run(name, *arguments, environment=environment, timeout=timeout)
    if done.status:
        pytest.fail(f"{name} {' '.join(map(str, arguments))} exited with {done.status}:\n{done.output}", pytrace=False)
    return done.stdout


def free_port() -> int:
    """A port of loopback that nothing listens on now; for programs that cannot take port 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder with a path short enough for Unix sockets (108 bytes), removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="cs-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def end(process: "subprocess.Popen[bytes]") -> None:
    """That process has ended: asked first, then not asked. Nothing else is signalled."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


@dataclass(frozen=True)
class Daemon:
    """A running program and the file that everything it prints goes to."""

    process: "subprocess.Popen[bytes]"
    log: Path
    begins: int

    def printed(self) -> str:
        """All it has printed so far; what an earlier one printed to the same file is left out."""
        return self.log.read_bytes()[self.begins :].decode(errors="replace")


@contextmanager
def daemon(
    log: Path, command: list[str | Path], environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[Daemon]:
    """The command runs in the background until the block ends, or until this test run dies."""
    log.parent.mkdir(parents=True, exist_ok=True)
    # A killed test run must not leave daemons behind, and Python offers no safe hook between fork and exec.
    leash: list[str | Path] = ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []
    with log.open("ab") as output:
        begins = output.tell()
        process = subprocess.Popen(
            [*leash, *command],
            env={**os.environ, **(environment or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield Daemon(process, log, begins)
    finally:
        end(process)


def when(running: Daemon, ready: Callable[[], T | None], what: str, seconds: float = START_SECONDS) -> T:
    """What `ready` returned once it was not None; the test fails with the log if the program ends or takes longer."""
    deadline = time.monotonic() + seconds
    while running.process.poll() is None and time.monotonic() < deadline:
        found = ready()
        if found is not None:
            return found
        time.sleep(0.02)
    why = f"exited with {running.process.returncode}" if running.process.poll() is not None else f"not in {seconds} s"
    pytest.fail(f"{what}: {why}\n{running.printed()[-4000:]}", pytrace=False)
