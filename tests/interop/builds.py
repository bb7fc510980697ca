"""Builds the Go programs the interop tests talk to, each from its own pinned go.mod and go.sum.

Run as a script it builds what is missing, one at a time: `python tests/interop/builds.py [NAME ...]`.
The results lie outside the tree, under $COUNTERSIGN_CACHE (default ~/.cache/countersign), in a folder
named after the hash of everything that decides the result, so a changed pin is a new build and an
unchanged one is never built twice. Standard library only: it runs before anything is installed.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Build:
    """One program: the folder under tests/interop with its pins, the Go package, and tags that make it smaller."""

    folder: str
    package: str
    tags: str = ""


BUILDS = {
    "crane": Build("crane", "github.com/google/go-containerregistry/cmd/crane"),
    "registry": Build("registry", "github.com/distribution/distribution/v3/cmd/registry", "noresumabledigest"),
    "referrers": Build("referrers", "."),
    "regctl": Build("regctl", "github.com/regclient/regclient/cmd/regctl"),
    "oras": Build("oras", "oras.land/oras/cmd/oras"),
    "notation": Build("notation", "github.com/notaryproject/notation/cmd/notation"),
    "tsa": Build("tsa", "github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server"),
    "toxiproxy": Build("toxiproxy", "github.com/Shopify/toxiproxy/v2/cmd/server"),
    "containersimage": Build(
        "containersimage",
        ".",
        "containers_image_openpgp,containers_image_storage_stub,containers_image_docker_daemon_stub",
    ),
    "kyverno": Build("kyverno", "github.com/kyverno/kyverno/cmd/cli/kubectl-kyverno"),
    "policytester": Build("policytester", "github.com/sigstore/policy-controller/cmd/tester"),
    "cosign": Build("cosign", "github.com/sigstore/cosign/v3/cmd/cosign"),
    "cosign2": Build("cosign2", "github.com/sigstore/cosign/v2/cmd/cosign"),
}


def cache() -> Path:
    """The folder that holds built programs, outside the checkout so that a clean one need not build again."""
    return Path(os.environ.get("COUNTERSIGN_CACHE") or Path.home() / ".cache" / "countersign")


def place(name: str) -> Path:
    """Where the program of that name lies once built; it may not be there yet."""
    build = BUILDS[name]
    pins = hashlib.sha256(f"{build.package} {build.tags}".encode())
    for part in ("go.mod", "go.sum", "main.go"):
        path = HERE / build.folder / part
        pins.update(path.read_bytes() if path.exists() else b"-")
    return cache() / "bin" / pins.hexdigest()[:16] / name


def go() -> str | None:
    """The Go tool: on the PATH, or where its own installer puts it."""
    return shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """No two builds run on this machine while this is held: each takes every core and a few gigabytes."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "building.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(name: str, tool: str) -> None:
    """The program of that name lies at its place, or CalledProcessError: the compiler has said why."""
    target = place(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f"{name}.{os.getpid()}.unfinished")
    flags = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags=-s -w"]
    flags += ["-tags", BUILDS[name].tags] if BUILDS[name].tags else []
    subprocess.run(
        ["nice", tool, "build", *flags, "-o", unfinished, BUILDS[name].package],
        cwd=HERE / BUILDS[name].folder,
        env={"CGO_ENABLED": "0", **os.environ, "GOWORK": "off"},
        stdin=subprocess.DEVNULL,
        check=True,
    )
    unfinished.rename(target)


def main(names: list[str]) -> int:
    """Every named program (all of them without names) is built; 1 if one could not be, after trying the rest."""
    tool = go()
    if tool is None:
        print("clients: no Go here (needs 1.26 or newer); the tests that need these clients will be skipped")
        return 0
    failed = []
    with one_at_a_time():
        missing = [name for name in names or BUILDS if not place(name).exists()]
        for number, name in enumerate(missing, 1):
            print(f"clients: building {name} ({number} of {len(missing)})", flush=True)
            started = time.monotonic()
            try:
                build(name, tool)
            except subprocess.CalledProcessError as error:
                failed.append(name)
                print(f"clients: {name} could not be built: go exited with {error.returncode}, see above", flush=True)
            else:
                print(f"clients: {name} built in {time.monotonic() - started:.0f} s", flush=True)
    if not missing:
        print("clients: all built")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
