"""Starts dockerd and containerd for a test: own storage, own socket, own configuration, no network of their own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.peers import Daemon, Ran, daemon, must, need, run, short_folder, when


@dataclass(frozen=True)
class Docker:
    """A running dockerd and a client of it with an empty configuration."""

    socket: Path
    config: Path
    daemon: Daemon

    def __call__(self, *arguments: str | Path) -> Ran:
        """What `docker ARGUMENTS` did."""
        return run("docker", "--config", self.config, "--host", f"unix://{self.socket}", *arguments)

    def must(self, *arguments: str | Path) -> str:
        """What `docker ARGUMENTS` printed; the test fails if it did not end well."""
        return must("docker", "--config", self.config, "--host", f"unix://{self.socket}", *arguments)


def _need_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("not root: container engines cannot be started")


@contextmanager
def docker(folder: Path) -> Iterator[Docker]:
    """dockerd runs with its own storage and containerd. Registries on 127.0.0.1 need no TLS: that is its default."""
    _need_root()
    need("docker")
    program = need("dockerd")
    with short_folder() as short:
        socket = short / "docker.sock"
        command: list[str | Path] = [program, "--host", f"unix://{socket}", "--data-root", folder / "docker"]
        command += ["--exec-root", short / "exec", "--pidfile", short / "docker.pid", "--storage-driver", "vfs"]
        command += ["--iptables=false", "--ip6tables=false", "--bridge=none", "--config-file", short / "none.json"]
        (short / "none.json").write_text("{}")
        config = folder / "docker-config"
        config.mkdir(parents=True, exist_ok=True)
        with daemon(folder / "dockerd.log", command) as running:
            started = Docker(socket, config, running)
            when(running, lambda: started("version").status == 0 or None, "dockerd did not start", 60)
            yield started


@dataclass(frozen=True)
class Containerd:
    """A running containerd and its client; `hosts` is a folder for hosts.toml files, one folder per registry."""

    socket: Path
    hosts: Path
    daemon: Daemon

    def __call__(self, *arguments: str | Path) -> Ran:
        """What `ctr ARGUMENTS` did, in a namespace for tests."""
        return run("ctr", "--address", self.socket, "--namespace", "tests", *arguments)

    def pull(self, reference: str, *options: str) -> Ran:
        """What pulling did, as `hosts` says; content is fetched and checked, nothing is unpacked."""
        return self("content", "fetch", "--hosts-dir", self.hosts, *options, reference)

    def push(self, reference: str, local: str, *options: str) -> Ran:
        """What pushing its image `local` to `reference` did, as `hosts` says."""
        return self("images", "push", "--hosts-dir", self.hosts, *options, reference, local)

    def host(self, registry: str, toml: str) -> None:
        """From now on that registry is reached as this hosts.toml says."""
        place = self.hosts / registry
        place.mkdir(parents=True, exist_ok=True)
        (place / "hosts.toml").write_text(toml)


@contextmanager
def containerd(folder: Path) -> Iterator[Containerd]:
    """containerd runs with its own root, state and socket, and without the plugins that need a cluster."""
    _need_root()
    need("ctr")
    program = need("containerd")
    with short_folder() as short:
        socket = short / "containerd.sock"
        config = short / "config.toml"
        config.write_text(
            "version = 2\n"
            f'root = "{folder / "containerd"}"\n'
            f'state = "{short / "state"}"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'[grpc]\naddress = "{socket}"\n'
        )
        hosts = folder / "hosts"
        hosts.mkdir(parents=True, exist_ok=True)
        with daemon(folder / "containerd.log", [program, "--config", config]) as running:
            started = Containerd(socket, hosts, running)
            when(running, lambda: started("version").status == 0 or None, "containerd did not start", 60)
            yield started


@dataclass(frozen=True)
class Podman:
    """podman with its own storage; it needs no daemon."""

    folder: Path

    def __call__(self, *arguments: str | Path) -> Ran:
        """What `podman ARGUMENTS` did."""
        own: list[str | Path] = ["--root", self.folder / "root", "--runroot", self.folder / "run"]
        own += ["--tmpdir", self.folder / "tmp", "--storage-driver", "vfs"]
        own += ["--cgroup-manager", "cgroupfs", "--events-backend", "file"]
        environment = {"CONTAINERS_REGISTRIES_CONF": os.devnull, "REGISTRY_AUTH_FILE": str(self.folder / "auth.json")}
        return run("podman", *own, *arguments, environment=environment)


@contextmanager
def podman() -> Iterator[Podman]:
    """podman with storage of its own; the test is skipped where there is none, or where it cannot work."""
    need("podman")
    with short_folder() as folder:  # podman refuses a runroot of more than 50 characters
        (folder / "auth.json").write_text("{}")
        started = Podman(folder)
        answered = started("info")
        if answered.status:
            pytest.skip(f"podman does not work here: {' '.join(answered.stderr.splitlines()[-1:])}")
        yield started
