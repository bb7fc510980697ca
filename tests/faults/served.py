"""`countersign serve` as a process of its own, to be killed and started again in the same folder."""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.pkcs11_fault.faulty import Faulty, build
from tests.interop.countersign import PROGRAM, Change, Proxy, answers, rewrite
from tests.interop.peers import Daemon, Ran, daemon, free_port, must, need, run, when
from tests.interop.registries import Registry

OPENS_S = 30.0


@dataclass
class Served:
    """The proxy that `init` made in `folder`. `faulty` steers its token where it goes through the faulty module."""

    folder: Path
    host: str
    admin: str
    upstream: Registry
    faulty: Faulty | None = None
    _running: ExitStack = field(default_factory=ExitStack)
    _daemon: Daemon | None = None

    @property
    def config(self) -> Path:
        """Its configuration."""
        return self.folder / "countersign.yaml"

    @property
    def key(self) -> Path:
        """The public half of the key that signs images."""
        return self.folder / "keys" / "release.pub"

    @property
    def daemon(self) -> Daemon:
        """The process that was started last."""
        assert self._daemon is not None, "not started"
        return self._daemon

    @property
    def token(self) -> Faulty:
        """What steers the faulty module."""
        assert self.faulty is not None, "not behind the faulty module"
        return self.faulty

    def start(self, *, opens: bool = True) -> float:
        """It answers; returned is after how many seconds.

        A busy machine takes longer to open a token than the proxy waits before it serves: with `opens`, that is waited
        for too, and not counted. A token that is away for another reason is not waited for.
        """
        began = time.monotonic()
        self.launch()
        when(self.daemon, lambda: answers(f"http://{self.admin}/livez"), "the proxy does not serve")
        took = time.monotonic() - began
        while opens and self._opens_late() and time.monotonic() < began + OPENS_S:
            time.sleep(0.05)
        return took

    def _opens_late(self) -> bool:
        said, late = self.daemon.printed(), 'and is being waited for", "event": "token away"'
        return self.daemon.process.poll() is None and said.count(late) > said.count('"event": "token back"')

    def launch(self) -> Daemon:
        """The process runs, and may not answer yet."""
        self._running.close()
        command: list[str | Path] = [PROGRAM, "serve", "--config", self.config]
        self._daemon = self._running.enter_context(daemon(self.folder / "serve.log", command))
        return self._daemon

    def kill(self) -> list[int]:
        """The server has been killed without warning; returned are the HSM processes it leaves."""
        left = self.children()
        self.daemon.process.kill()
        self.daemon.process.wait()
        return left

    def signal(self, number: int) -> None:
        """The server has been sent this signal."""
        self.daemon.process.send_signal(number)

    def leave(self) -> int:
        """Asked to end, it has ended with this status."""
        self.signal(signal.SIGTERM)
        return self.daemon.process.wait(60)

    def close(self) -> None:
        """Nothing of it runs any more."""
        self._running.close()

    def edit(self, change: Change) -> None:
        """The configuration file is as `change` left it; whether it comes into force is another matter."""
        rewrite(self.config, change)

    def __call__(self, *arguments: str) -> Ran:
        """What `countersign ARGUMENTS --config ...` did."""
        return run(PROGRAM, *arguments, "--config", self.config)

    def problems(self) -> list[dict[str, str]]:
        """What `countersign status` finds wrong."""
        found: list[dict[str, str]] = json.loads(self("status", "-o", "json").stdout)["problems"]
        return found

    def rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        """What the store answers."""
        return Proxy(self.host, self.folder, self.daemon, self.upstream).rows(query, *values)

    def metric(self, name: str) -> float:
        """The value of a metric without labels."""
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=5) as reply:
            lines = reply.read().decode().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    def ready(self) -> int:
        """The status of /readyz; 0 when nothing answers."""
        try:
            with urllib.request.urlopen(f"http://{self.admin}/readyz", timeout=5) as reply:
                return int(reply.status)
        except urllib.error.HTTPError as refused:
            refused.close()
            return refused.code
        except OSError:
            return 0

    def children(self) -> list[int]:
        """The processes it has started and that still run: those that hold the token."""
        pid = self.daemon.process.pid
        with suppress(OSError):
            return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return []

    def until(self, true: Callable[[], object], what: str, seconds: float = 15) -> None:
        """It has become true; the test fails with the server's log when it did not."""
        when(self.daemon, lambda: true() or None, what, seconds)


@contextmanager
def served(
    folder: Path, upstream: Registry, change: Change | None = None, *, faulty: bool = False, to: str | None = None
) -> Iterator[Served]:
    """What `init` made is in `folder`, with `change`; not started yet. `to` is another way to the same upstream.

    With `faulty`, the token is reached through the faulty module.
    """
    need("softhsm2-util")
    host, admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
    where: list[str | Path] = ["--upstream", to or upstream.url, "--listen", host, "--admin-listen", admin]
    must(PROGRAM, "init", folder, *where)
    made = Served(folder, host, admin, upstream)
    if faulty:
        made.faulty = _through_faults(made)
    if change:
        made.edit(change)
    try:
        yield made
    finally:
        made.close()


def _through_faults(made: Served) -> Faulty:
    need("gcc")
    control = made.folder / "control"
    control.mkdir()
    module = build(made.folder)

    def change(settings: dict[str, Any]) -> None:
        token = settings["tokens"]["hsm"]
        token["environment"] |= {"PKCS11_FAULT_REAL": token["module"], "PKCS11_FAULT_CONTROL": str(control)}
        token["module"] = str(module)

    made.edit(change)
    return Faulty(control, None)  # type: ignore[arg-type]  # the settings are the server's


def alive(pid: int) -> bool:
    """That process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
