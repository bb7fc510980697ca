"""A throw-away PostgreSQL: a cluster in a directory of its own, on a Unix socket, gone with the test that made it.

Needs the server programs (`apt install postgresql`; no running server). PostgreSQL refuses to run as root, so root
runs it as the `postgres` user.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

MISSING = "PostgreSQL's server is not installed (apt install postgresql)"
_START_S = 20.0
# Small, and without fsync: what these tests kill is the server, never the machine.
_SETTINGS = ("listen_addresses=", "fsync=off", "shared_buffers=16MB", "max_connections=40", "autovacuum=off")


def postgres_programs() -> Path | None:
    """The directory with initdb and postgres of the newest version here, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda program: float(program.parents[1].name))
    if found:
        return found[-1].parent
    program = shutil.which("initdb")
    return Path(program).resolve().parent if program else None


class Cluster:
    """One running PostgreSQL. `url(name)` is a store URL; `restart` and `kill` are the faults it can have."""

    def __init__(self, directory: Path, programs: Path) -> None:
        self._directory = directory
        self._programs = programs
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            account = pwd.getpwnam(self._user)
            os.chown(directory, account.pw_uid, account.pw_gid)
        self._run("initdb", "-D", str(directory / "data"), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8")
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, name: str) -> str:
        """The store URL of this database."""
        return f"postgresql://postgres@/{name}?host={self._directory}"

    def create(self, name: str) -> str:
        """Make an empty database and return its URL."""
        self.execute("postgres", f'CREATE DATABASE "{name}"')
        return self.url(name)

    def execute(self, name: str, *statements: str) -> None:
        """Run statements in this database, each by itself."""
        with psycopg.connect(host=str(self._directory), user="postgres", dbname=name, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def start(self) -> None:
        """Start it; returns when it answers."""
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        # A killed test run must not leave it behind; SIGINT ends it without waiting for its clients. The kernel sends
        # it when the thread that started it ends, so a thread that is not the main one starts it without.
        main = threading.current_thread() is threading.main_thread()
        leash = ["setpriv", "--pdeathsig", "INT", "--"] if main and shutil.which("setpriv") else []
        command = [
            *leash,
            str(self._programs / "postgres"),
            "-D",
            str(self._directory / "data"),
            "-k",
            str(self._directory),
        ]
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *settings], stdout=log, stderr=log, stdin=subprocess.DEVNULL, user=self._user, cwd="/"
            )
        until = time.monotonic() + _START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((self._directory / "log").read_text())
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT cuts every connection off in good order, SIGKILL in none."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_START_S)
            self._process = None

    def _answers(self) -> bool:
        try:
            self.execute("postgres", "SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._programs / program), *arguments], check=True, capture_output=True, user=self._user, cwd="/"
        )


@contextmanager
def postgres_cluster() -> Iterator[Cluster]:
    """A running cluster, ended and removed afterwards. Raises FileNotFoundError where there is no PostgreSQL."""
    programs = postgres_programs()
    if programs is None:
        raise FileNotFoundError(MISSING)
    directory = Path(tempfile.mkdtemp(prefix="countersign-pg-"))  # short: a socket's path has at most 107 bytes
    cluster = None
    try:
        cluster = Cluster(directory, programs)
        cluster.start()
        yield cluster
    finally:
        if cluster is not None:
            cluster.stop()
        shutil.rmtree(directory)
