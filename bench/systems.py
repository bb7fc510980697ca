"""The programs under comparison, on loopback, each ended by its process id."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

ROOT = Path(__file__).resolve().parent.parent
PROXY = "import sys; from proxy.cli import main; sys.exit(main())"  # of this tree, whatever is installed
# As it is installed: compiled. What is compiled again at each start takes 0.3 s.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
ENVIRONMENT.pop("PYTHONDONTWRITEBYTECODE", None)
HOST = "127.0.0.1"


def free_port(given: set[int] = set()) -> int:  # noqa: B006  remembered on purpose: no port is given twice
    """Return a port that was free a moment ago."""
    while True:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port = int(probe.getsockname()[1])
        if port not in given:
            given.add(port)
            return port


@contextlib.contextmanager
def process(*command: str, log: Path, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for as long as the context lasts; SIGTERM, then SIGKILL, to it alone."""
    with log.open("ab") as out:
        running = subprocess.Popen(command, stdout=out, stderr=out, env=env, start_new_session=True)
    try:
        yield running
    finally:
        running.send_signal(signal.SIGTERM)
        try:
            running.wait(15)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


async def listening(port: int, seconds: float = 120) -> None:
    """Return once something accepts connections on this port."""
    end = monotonic() + seconds
    while True:
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            if monotonic() > end:
                raise RuntimeError(f"nothing listens on {HOST}:{port}; see the logs") from None
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


@dataclass
class Bench:
    """One run: its folder, and the stack of everything that was started."""

    folder: Path
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    pids: dict[str, int] = field(default_factory=dict)  # of our own rivals, by module

    async def registry(self) -> int:
        """Start Debian's docker-registry; return its port."""
        port = free_port()
        storage = self.folder / f"registry-{port}"
        config = self.folder / f"registry-{port}.yml"
        config.write_text(
            f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
            f"storage: {{filesystem: {{rootdirectory: {storage}}}, delete: {{enabled: true}}}}\n"
            f"http: {{addr: '{HOST}:{port}'}}\n"
        )
        self.stack.enter_context(process("docker-registry", "serve", str(config), log=self.folder / "registry.log"))
        await listening(port)
        return port

    async def nginx(self, name: str, server: str, *, log_requests: bool = False) -> int:
        """Start an nginx with one `server` block (its content); return its port."""
        port = free_port()
        home = self.folder / f"nginx-{name}"
        home.mkdir()
        access = f"access_log {home}/access.log counted;" if log_requests else "access_log off;"
        (home / "nginx.conf").write_text(
            f"daemon off; pid {home}/pid; error_log {home}/error.log warn; worker_processes 1; user root;\n"
            "events { worker_connections 4096; }\n"
            "http { log_format counted '$request_method $uri $status'; sendfile on; tcp_nopush on;\n"
            f"keepalive_requests 1000000; client_max_body_size 0; {access}\n"
            f"client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/f;\n"
            f"uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;\n"
            f"server {{ listen {HOST}:{port} backlog=4096; {server} }} }}\n"
        )
        command = ("nginx", "-p", str(home), "-c", str(home / "nginx.conf"))
        self.stack.enter_context(process(*command, log=self.folder / f"nginx-{name}.log"))
        await listening(port)
        return port

    async def reverse_proxy(self, upstream: int, name: str = "reverse", *, log_requests: bool = False) -> int:
        """Start nginx as people put it in front of a registry: keep-alive upstream, buffering as usual."""
        port = free_port()
        home = self.folder / f"nginx-{name}"
        home.mkdir()
        access = f"access_log {home}/access.log counted;" if log_requests else "access_log off;"
        (home / "nginx.conf").write_text(
            f"daemon off; pid {home}/pid; error_log {home}/error.log warn; worker_processes 1; user root;\n"
            "events { worker_connections 4096; }\n"
            "http { log_format counted '$request_method $uri $status';\n"
            f"keepalive_requests 1000000; client_max_body_size 0; {access}\n"
            f"client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/f;\n"
            f"uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;\n"
            f"upstream up {{ server {HOST}:{upstream}; keepalive 64; keepalive_requests 1000000; }}\n"
            f"server {{ listen {HOST}:{port} backlog=4096; location / {{ proxy_pass http://up; proxy_http_version 1.1;"
            ' proxy_set_header Connection ""; proxy_set_header Host $http_host; proxy_read_timeout 900; } } }\n'
        )
        command = ("nginx", "-p", str(home), "-c", str(home / "nginx.conf"))
        self.stack.enter_context(process(*command, log=self.folder / f"nginx-{name}.log"))
        await listening(port)
        return port

    def counted(self, name: str) -> list[str]:
        """Return the requests that a logging nginx has answered."""
        log = self.folder / f"nginx-{name}" / "access.log"
        return log.read_text().splitlines() if log.exists() else []

    async def passthrough(self, upstream: int) -> int:
        """Start the bare aiohttp pass-through."""
        return await self._python("bench.passthrough", f"http://{HOST}:{upstream}")

    async def empty(self) -> tuple[int, int]:
        """Start the empty aiohttp handler; return its port and process id."""
        return await self._python("bench.empty"), self.pids["bench.empty"]

    async def memory_registry(self) -> int:
        """Start the in-memory registry, which has the referrers API."""
        return await self._python("bench.memory_registry")

    async def _python(self, module: str, *arguments: str) -> int:
        port = free_port()
        command = (sys.executable, "-m", module, str(port), *arguments)
        running = self.stack.enter_context(process(*command, log=self.folder / f"{module}.log", env=ENVIRONMENT))
        self.pids[module] = running.pid
        await listening(port)
        return port

    def init(self, upstream: int, port: int) -> Path:
        """Make a configuration, token and keys; return the configuration file."""
        home = self.folder / "countersign"
        command = [
            sys.executable, "-c", PROXY, "init", str(home), "--upstream", f"http://{HOST}:{upstream}",
            "--listen", f"{HOST}:{port}", "--admin-listen", f"{HOST}:{free_port()}",
        ]  # fmt: skip
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
        return home / "countersign.yaml"

    @contextlib.asynccontextmanager
    async def countersign(
        self, config: Path, port: int, *, wait: bool = True
    ) -> AsyncIterator[subprocess.Popen[bytes]]:
        """Serve with this configuration; gives the process."""
        command = (sys.executable, "-c", PROXY, "serve", "--config", str(config))
        with process(*command, log=self.folder / "countersign.log", env=ENVIRONMENT) as running:
            if wait:
                await listening(port)
            yield running


def resident(pid: int) -> int:
    """Return the resident memory of a process in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def cpu_seconds(pid: int) -> float:
    """Return the processor time a process has used, in user and kernel mode, to the nanosecond."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9
