"""What `make run` starts: a registry, a token with keys, and the proxy between you and that registry.

Everything lies in .run/ (or the folder given) and listens on loopback. A second run keeps keys, images and state.
Ctrl-C, or the end of the terminal, stops all of it, by process id.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy import layouts, next_steps
from deploy.next_steps import shown

ROOT = Path(__file__).parents[1]
COUNTERSIGN = ROOT / ".venv" / "bin" / "countersign"
SYSTEM_PATH = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
PREFERRED = {"proxy": 5000, "admin": 5001, "registry": 5002}
START_SECONDS = 60.0
STOP_SECONDS = 30.0


class Stopped(Exception):
    """Something ended that should not have; the text says what, why, and where to look."""


@dataclass(frozen=True)
class Part:
    """A program that was started, with a name for messages and the file that has what it printed."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path


def is_free(port: int) -> bool:
    """Whether nothing listens on that port of loopback, nor on all addresses."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def any_free_port() -> int:
    """A port of loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def choose_ports(folder: Path) -> dict[str, int]:
    """The ports of the last run as far as they are free, else the usual ones, else any; what moved is said.

    The proxy's own port never moves once chosen: signatures are bound to the name clients use.
    """
    remembered = folder / "ports.json"
    last: dict[str, int] = json.loads(remembered.read_text()) if remembered.exists() else {}
    ports = {}
    for name, usual in PREFERRED.items():
        port = last.get(name, usual)
        if is_free(port):
            ports[name] = port
        elif name == "proxy" and last:
            raise Stopped(
                f"port {port}, where the proxy listened last time, is taken by another program now. What was signed"
                f" here is bound to that address, so it stays: end that program (`ss -ltnp sport = :{port}` names it),"
                f" or `rm -r {shown(folder)}` to begin anew with another port and new keys"
            )
        else:
            ports[name] = any_free_port()
            print(f"run: port {port} is taken; the {name} gets {ports[name]}", flush=True)
    config = folder / "countersign.yaml"
    if last and config.exists():
        text = config.read_text()
        for name, port in ports.items():
            text = text.replace(f"127.0.0.1:{last[name]}", f"127.0.0.1:{port}")
        config.write_text(text)
    remembered.write_text(json.dumps(ports))
    return ports


def start(name: str, command: list[str | Path], log: Path) -> Part:
    """The command runs in a session of its own, so that Ctrl-C reaches only us and we end it in order."""
    # Should this script be killed outright, its children are told to end as well.
    leash = ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*leash, *command], stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=ROOT, start_new_session=True
        )
    return Part(name, process, log)


def stop(part: Part) -> None:
    """That part has ended: asked first, killed after a while."""
    if part.process.poll() is None:
        part.process.terminate()
        try:
            part.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            part.process.kill()
    part.process.wait()


def check(part: Part) -> None:
    """The part still runs, or Stopped with the end of its log."""
    status = part.process.poll()
    if status is not None:
        tail = "".join(part.log.read_text(errors="replace").splitlines(keepends=True)[-15:])
        raise Stopped(f"the {part.name} ended with status {status}; the end of {shown(part.log)}:\n{tail}")


def wait_for(url: str, part: Part) -> None:
    """The address answers 200, or Stopped."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        check(part)
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - http on loopback
                return
        except (OSError, urllib.error.URLError):
            time.sleep(0.05)
    raise Stopped(f"the {part.name} did not answer {url} in {START_SECONDS:.0f} s; see {shown(part.log)}")


def registry(folder: Path, port: int) -> Part:
    """Debian's registry serves what lies in registry/ there."""
    program = shutil.which("docker-registry", path=SYSTEM_PATH)
    if program is None:
        raise Stopped("docker-registry is not installed: `sudo apt-get install docker-registry`, or `make run` as root")
    config = folder / "registry.yml"
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    config.write_text(json.dumps(settings))  # JSON is YAML too
    return start("registry", [program, "serve", config], folder / "registry.log")


def init(folder: Path, ports: dict[str, int]) -> None:
    """The folder has a configuration, a token and keys: made now, or kept as they are."""
    upstream = f"http://127.0.0.1:{ports['registry']}"
    listen = ["--listen", f"127.0.0.1:{ports['proxy']}", "--admin-listen", f"127.0.0.1:{ports['admin']}"]
    done = subprocess.run(
        [COUNTERSIGN, "init", folder, "--upstream", upstream, *listen],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    if done.returncode:
        raise Stopped(f"`countersign init` ended with status {done.returncode}:\n{done.stdout}{done.stderr}")


def samples(folder: Path) -> None:
    """images/ there has two small images to push, and pulled/ is ready for the way back."""
    (folder / "pulled").mkdir(exist_ok=True)
    for name in ("hello", "stranger"):
        place = folder / "images" / name
        if not (place / "index.json").exists():
            shutil.rmtree(place, ignore_errors=True)
            layouts.image(place, f"{name}\n")


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """No other `make run` uses the folder meanwhile, or Stopped."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "running.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise Stopped(
                f"it runs already, as process {lock.read().strip()}; end that one with Ctrl-C first"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def serve(folder: Path) -> None:
    """Everything runs until asked to end (KeyboardInterrupt) or until a part ends by itself (Stopped)."""
    began = time.monotonic()
    with alone(folder), contextlib.ExitStack() as parts:
        ports = choose_ports(folder)
        behind = registry(folder, ports["registry"])
        parts.callback(stop, behind)
        wait_for(f"http://127.0.0.1:{ports['registry']}/v2/", behind)
        init(folder, ports)
        samples(folder)
        proxy = start("proxy", [COUNTERSIGN, "serve", "--config", folder / "countersign.yaml"], folder / "proxy.log")
        parts.callback(stop, proxy)
        wait_for(f"http://127.0.0.1:{ports['admin']}/readyz", proxy)
        print(next_steps.text(ports, folder, time.monotonic() - began), flush=True)
        while True:
            check(proxy)
            check(behind)
            time.sleep(0.3)


def interrupt(_signal: int, _frame: object) -> None:
    """Whatever asks us to end does so as Ctrl-C would."""
    raise KeyboardInterrupt


def main(folder: Path) -> int:
    """Runs the demonstration in that folder; 0 if someone ended it, 1 with a reason if it could not go on."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        serve(folder)
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):  # the terminal may be gone
            print(f"\nrun: stopped; keys, images and state are kept in {shown(folder)}", flush=True)
        return 0
    except Stopped as reason:
        print(f"run: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / ".run").absolute()))
