"""A network that is slow, narrow or broken on demand: toxiproxy between two programs of a test."""

import json
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.interop.peers import daemon, free_port, need, when


@dataclass(frozen=True)
class Network:
    """A line from `host` (HOST:PORT, what to connect to) to the real address, and what ails it."""

    host: str
    control: str
    name: str

    def ails(self, kind: str, *, upstream: bool = False, **attributes: int) -> None:
        """From now on the line has that toxic, e.g. ails("latency", latency=500) or ails("bandwidth", rate=10).

        Attributes are toxiproxy's: milliseconds, KB/s, bytes. `upstream` means on the way to the server.
        """
        body = {"type": kind, "stream": "upstream" if upstream else "downstream", "attributes": attributes}
        _ask("POST", f"{self.control}/proxies/{self.name}/toxics", body)

    def cut(self) -> None:
        """Nothing gets through, and connections are refused."""
        _ask("POST", f"{self.control}/proxies/{self.name}", {"enabled": False})

    def heal(self) -> None:
        """The line works, and nothing ails it."""
        _ask("POST", f"{self.control}/reset", {})


def _ask(method: str, url: str, body: Mapping[str, object]) -> None:
    headers = {"Content-Type": "application/json", "User-Agent": "tests"}  # it refuses what looks like a browser
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method=method)  # noqa: S310
    with urllib.request.urlopen(request):  # noqa: S310 - http on loopback
        return


@contextmanager
def network(folder: Path, to: str, port: int = 0) -> Iterator[Network]:
    """A line to that HOST:PORT runs, healthy at first; it begins at `port`, or any that is free."""
    program = need("toxiproxy")
    control = f"http://127.0.0.1:{free_port()}"

    def answers() -> bool | None:
        try:
            with urllib.request.urlopen(f"{control}/version", timeout=2):  # noqa: S310 - http on loopback
                return True
        except OSError:
            return None

    control_port = control.rpartition(":")[2]
    with daemon(folder / "toxiproxy.log", [program, "-host", "127.0.0.1", "-port", control_port]) as running:
        when(running, answers, "toxiproxy did not start")
        host = f"127.0.0.1:{port or free_port()}"
        _ask("POST", f"{control}/proxies", {"name": "line", "listen": host, "upstream": to, "enabled": True})
        yield Network(host, control, "line")
