"""Starts a registry with the manners of another, in front of a plain one."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.interop.manners_server import NAMES as NAMES
from tests.interop.peers import daemon, when
from tests.interop.registries import Registry, _listens

SERVER = Path(__file__).with_name("manners_server.py")


@dataclass(frozen=True)
class Mannered(Registry):
    """A registry in front of a plain one, which is `plain`."""

    plain: Registry

    def asides(self) -> list[dict[str, object]]:
        """What came to its second origin: methods, and whether a password came along."""
        return [json.loads(line) for line in self.daemon.printed().splitlines() if line.startswith("{")]


@contextmanager
def mannered(folder: Path, plain: Registry, *manners: str) -> Iterator[Mannered]:
    """A registry with these manners runs, and keeps everything in the plain one."""
    with daemon(folder / "manners.log", [sys.executable, SERVER, plain.url, *manners]) as running:
        host = when(running, lambda: _listens(running), "the registry with manners did not start")
        yield Mannered(host, f"http://{host}", plain.storage, running, plain)
