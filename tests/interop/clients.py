"""How each client is told to push and to pull: one small image of given content, at a reference on loopback."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.layouts import Layout, docker_archive, image
from tests.interop.countersign import own
from tests.interop.engines import Containerd, Docker, Podman
from tests.interop.peers import Ran, run

SMALL = ["skopeo", "crane", "regctl", "oras", "buildah"]
ENGINES = ["docker", "podman", "containerd"]
GO = {"crane", "regctl", "oras", "cosign", "cosign2", "containersimage"}


@dataclass
class Clients:
    """Every client, each with nothing but a folder of its own; the engines are started when first asked for."""

    folder: Path
    start: Mapping[str, Callable[[], object]]
    user: list[str] = field(default_factory=list)  # what containerd is told of who asks
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        """What clients keep lies in one folder, which is the same for all calls, so that a login stays."""
        self.home = self.folder / "home"
        self.home.mkdir(parents=True)

    @property
    def docker(self) -> Docker:
        """The docker client of a dockerd of ours."""
        engine = self.start["docker"]()
        assert isinstance(engine, Docker)
        return engine

    @property
    def podman(self) -> Podman:
        """podman with storage of its own."""
        engine = self.start["podman"]()
        assert isinstance(engine, Podman)
        return engine

    @property
    def containerd(self) -> Containerd:
        """The client of a containerd of ours."""
        engine = self.start["containerd"]()
        assert isinstance(engine, Containerd)
        return engine

    def fresh(self) -> Path:
        """A path nothing lies at yet."""
        return self.folder / str(next(self._numbers))

    def run(self, client: str, *arguments: str | Path) -> Ran:
        """What that small client did; it has nothing but its own folder."""
        return run(client, *arguments, environment=own(self.home))

    def login(self, client: str, host: str, user: str, password: str) -> Ran:
        """What logging in did; whatever this client does from now on it does as that user."""
        named: list[str | Path] = ["--username", user, "--password", password]
        if client == "containerd":  # has no login: it is told at each call
            self.user = ["--user", f"{user}:{password}"]
            return Ran(0, "", "")
        if client == "docker":
            return self.docker("login", *named, host)
        if client == "podman":
            return self.podman("login", "--tls-verify=false", *named, host)
        known: dict[str, list[str | Path]] = {
            "skopeo": ["login", "--tls-verify=false", *named, host],
            "buildah": ["login", "--tls-verify=false", *named, host],
            "crane": ["auth", "login", "--insecure", *named, host],
            "regctl": ["registry", "login", "--user", user, "--pass", password, host],
            "oras": ["login", "--plain-http", *named, host],
            "cosign": ["login", *named, host],
            "cosign2": ["login", *named, host],
        }
        if client == "regctl":
            self.run("regctl", "registry", "set", "--tls", "disabled", host)
        return self.run(client, *known[client])

    def logout(self, client: str, host: str) -> None:
        """The engines, which live longer than a test, have forgotten who somebody was."""
        self.user = []
        if client == "docker":
            self.docker("logout", host)
        if client == "podman":
            self.podman("logout", host)

    def push(self, client: str, content: str, reference: str) -> Ran:
        """What pushing an image of that content did, in the way that is usual for this client."""
        if client in ENGINES:
            return self._engine_push(client, docker_archive(self.fresh(), reference, content), reference)
        return self.push_layout(client, image(self.fresh(), content), reference)

    def _engine_push(self, client: str, archive: Path, reference: str) -> Ran:
        if client == "docker":
            self.docker.must("load", "--input", archive)
            pushed = self.docker("push", reference)
            self.docker("rmi", reference)
            return pushed
        if client == "podman":
            loaded = self.podman("load", "--input", archive)
            assert loaded.status == 0, loaded.output
            pushed = self.podman("push", "--tls-verify=false", reference)
            self.podman("rmi", reference)
            return pushed
        imported = self.containerd("images", "import", archive)
        assert imported.status == 0, imported.output
        return self.containerd("images", "push", "--plain-http", *self.user, reference)

    def push_layout(self, client: str, layout: Layout, reference: str) -> Ran:
        """What pushing that layout did, an index with all its children, byte for byte."""
        host = reference.partition("/")[0]
        known: dict[str, list[str | Path]] = {
            "skopeo": ["copy", "--all", "--preserve-digests", "--dest-tls-verify=false", layout.source, _at(reference)],
            "crane": ["push", "--insecure", *(["--index"] if layout.children else []), layout.path, reference],
            "regctl": [*_plain(host), "image", "copy", f"ocidir://{layout.path}:latest", reference],
            "oras": ["cp", "--to-plain-http", "--from-oci-layout", f"{layout.path}:latest", reference],
        }
        if client != "buildah":
            return self.run(client, *known[client])
        storage: list[str | Path] = ["--root", self.folder / "b", "--runroot", self.folder / "br"]
        storage += ["--storage-driver", "vfs"]
        name = self.run("buildah", *storage, "pull", "--quiet", layout.source)
        assert name.status == 0, name.output
        return self.run("buildah", *storage, "push", "--tls-verify=false", name.stdout.strip(), _at(reference))

    def pull(self, client: str, reference: str) -> Ran:
        """What pulling that image did."""
        host, out = reference.partition("/")[0], self.fresh()
        if client == "docker":
            pulled = self.docker("pull", reference)
            self.docker("rmi", reference)
            return pulled
        if client == "podman":
            pulled = self.podman("pull", "--tls-verify=false", reference)
            self.podman("rmi", "--force", reference)
            return pulled
        if client == "containerd":
            return self.containerd.pull(reference, "--plain-http", *self.user)
        storage: list[str | Path] = ["--root", out / "b", "--runroot", out / "br", "--storage-driver", "vfs"]
        known: dict[str, list[str | Path]] = {
            "skopeo": ["copy", "--src-tls-verify=false", _at(reference), f"dir:{out}"],
            "crane": ["pull", "--insecure", "--format", "oci", reference, out],
            "regctl": [*_plain(host), "image", "copy", reference, f"ocidir://{out}:latest"],
            "oras": ["cp", "--from-plain-http", "--to-oci-layout", reference, f"{out}:latest"],
            "buildah": [*storage, "pull", "--tls-verify=false", _at(reference)],
        }
        return self.run(client, *known[client])


def _at(reference: str) -> str:
    return f"docker://{reference}"


def _plain(host: str) -> list[str | Path]:
    return ["--host", f"reg={host},tls=disabled"]
