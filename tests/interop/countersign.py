"""Runs Countersign as people run it: `init`, then `serve`, in a folder of its own, in front of a given registry."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.interop.peers import Daemon, Ran, daemon, free_port, must, need, run, when
from tests.interop.registries import Registry

PROGRAM = Path(sys.executable).with_name("countersign")
LEAVE_SECONDS = 30.0
Change = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Proxy:
    """A serving proxy: `host` is what clients call it, `folder` what `init` made, `upstream` what is behind."""

    host: str
    folder: Path
    daemon: Daemon
    upstream: Registry

    @property
    def url(self) -> str:
        """Where its public listener is."""
        return f"http://{self.host}"

    @property
    def config(self) -> Path:
        """The configuration it was started with."""
        return self.folder / "countersign.yaml"

    @property
    def key(self) -> Path:
        """The public half of the key that signs images."""
        return self.folder / "keys" / "release.pub"

    def __call__(self, *arguments: str | Path) -> Ran:
        """What `countersign ARGUMENTS --config ...` did."""
        return run(PROGRAM, *arguments, "--config", self.config)

    def edit(self, change: Change) -> None:
        """The configuration is as `change` left it, and in force."""
        rewrite(self.config, change)
        before = self._reloads()
        self.daemon.process.send_signal(signal.SIGHUP)
        when(self.daemon, lambda: self._reloads() > before or None, "the configuration was not reloaded")

    def _reloads(self) -> int:
        return self.daemon.printed().count("configuration reloaded")

    def rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        """What the store answers; read beside the running server, which alone writes."""
        with closing(sqlite3.connect(f"file:{self.folder / 'countersign.db'}?mode=ro", uri=True)) as store:
            return store.execute(query, values).fetchall()

    def signatures(self, repository: str) -> list[tuple[str, str, str]]:
        """Every signature of ours in that repository that is upstream: (digest, format, bound reference)."""
        query = "SELECT digest, format, bound FROM ledger WHERE repository = ? AND stage = 'attached' ORDER BY id"
        return [(digest, form, bound) for digest, form, bound in self.rows(query, repository)]

    def events(self, repository: str, kind: str = "%") -> list[tuple[str, str, str]]:
        """What the journal says of that repository, oldest first: (kind, who, how we know)."""
        query = "SELECT kind, who, how FROM journal WHERE repository = ? AND kind LIKE ? ORDER BY position"
        return [(what, who, how) for what, who, how in self.rows(query, repository, kind)]


def rewrite(config: Path, change: Change) -> None:
    """The file holds what `change` made of its settings."""
    settings = yaml.safe_load(config.read_text())
    change(settings)
    fresh = config.with_suffix(".new")
    fresh.write_text(json.dumps(settings, indent=2))  # JSON is YAML too, and never has aliases, which are refused
    fresh.replace(config)


@contextmanager
def countersign(folder: Path, upstream: Registry, change: Change | None = None) -> Iterator[Proxy]:
    """The proxy serves in front of `upstream`; asked to end, it ends with status 0 and in good time.

    `init` is run in `folder` with real keys in SoftHSM; `change` may then edit the settings it wrote.
    """
    host = initialised(folder, upstream, change)
    with serving(folder, host, upstream) as proxy:
        yield proxy


def _signs(proxy: Proxy) -> bool | None:
    """True once its token has opened, which takes a busy machine longer than the proxy waits before it serves."""
    listen = yaml.safe_load(proxy.config.read_text())["admin"]["listen"]
    try:
        with urllib.request.urlopen(f"http://{listen}/metrics", timeout=5) as metrics:
            return b"countersign_signing_healthy 1.0" in metrics.read() or None
    except OSError:
        return True  # this one serves its metrics otherwise


def initialised(folder: Path, upstream: Registry, change: Change | None = None) -> str:
    """`init` has run in `folder`, and `change` edited the settings it wrote; return where it will serve."""
    need("softhsm2-util")
    host = f"127.0.0.1:{free_port()}"
    arguments: list[str | Path] = ["--upstream", upstream.url, "--listen", host]
    must(PROGRAM, "init", folder, *arguments, "--admin-listen", f"127.0.0.1:{free_port()}")
    config = folder / "countersign.yaml"
    if change:
        rewrite(config, change)
    return host


@contextmanager
def serving(folder: Path, host: str, upstream: Registry) -> Iterator[Proxy]:
    """The proxy whose configuration and state lie in that folder serves; asked to end, it ends with status 0."""
    config = folder / "countersign.yaml"
    with daemon(folder / "serve.log", [PROGRAM, "serve", "--config", config]) as running:
        when(running, lambda: answers(f"http://{host}/v2/"), "the proxy does not serve")
        proxy = Proxy(host, folder, running, upstream)
        when(running, lambda: _signs(proxy), "its token does not sign")
        yield proxy
        _leaves(running)


def _leaves(running: Daemon) -> None:
    began = time.monotonic()
    running.process.send_signal(signal.SIGTERM)
    try:
        status = running.process.wait(LEAVE_SECONDS)
    except subprocess.TimeoutExpired:
        pytest.fail(f"the proxy did not end in {LEAVE_SECONDS} s\n{running.printed()[-4000:]}", pytrace=False)
    if status:
        took = time.monotonic() - began
        pytest.fail(f"the proxy ended with {status} after {took:.1f} s\n{running.printed()[-4000:]}", pytrace=False)


def answers(url: str) -> bool | None:
    """True if anything answers there by HTTP, else None."""
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - http on loopback
            return True
    except urllib.error.HTTPError as refused:
        refused.close()
        return True
    except OSError:
        return None


def own(folder: Path) -> dict[str, str]:
    """The environment of a client that has nothing but this folder: no login, no configuration, no cache."""
    folder.mkdir(parents=True, exist_ok=True)
    places = {name: str(folder) for name in ("HOME", "DOCKER_CONFIG", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
    if not (folder / "auth.json").exists():
        (folder / "auth.json").write_text("{}")
    return {
        **places,
        "XDG_RUNTIME_DIR": str(folder),
        "COSIGN_PASSWORD": "",
        "REGCTL_CONFIG": str(folder / "regctl.json"),
        "REGISTRY_AUTH_FILE": str(folder / "auth.json"),
        "CONTAINERS_REGISTRIES_CONF": os.devnull,
    }
