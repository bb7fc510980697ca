"""Installs the programs outside Python that are missing: `packages.py run` for `make run`, `packages.py all` for tests.

Looks for each program first, so it does nothing, and asks nobody, on a machine that has them. It never fails
for a program that only some tests need: those tests are skipped and say so. No daemon is left running.
Standard library only: it runs before anything is installed.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Program:
    """A program, the Debian package that has it, what it is for, and whether `make run` works without it."""

    name: str
    package: str
    purpose: str
    needed_to_run: bool = False


PROGRAMS = (
    Program("softhsm2-util", "softhsm2", "the software token that holds the demonstration keys", needed_to_run=True),
    Program("docker-registry", "docker-registry", "the registry behind the proxy", needed_to_run=True),
    Program("skopeo", "skopeo", "to push and pull without a daemon", needed_to_run=True),
    Program("podman", "podman", "interop tests"),
    Program("buildah", "buildah", "interop tests"),
    Program("dockerd", "docker.io", "interop tests"),
    Program("containerd", "containerd", "interop tests"),
    Program("runc", "runc", "interop tests with docker and containerd"),
    Program("nginx", "nginx-light", "the reverse proxy that benchmarks compare with"),
    Program("wrk", "wrk", "load for benchmarks"),
    Program("pkcs11-tool", "opensc", "tests of the token, pkcs11-spy"),
    Program("htpasswd", "apache2-utils", "tests with a registry that asks for a password"),
    Program("initdb", "postgresql", "contract tests of the store on PostgreSQL"),
    Program("gcc", "gcc", "the fault-injecting PKCS#11 module"),
    Program("libc headers", "libc6-dev", "the fault-injecting PKCS#11 module"),
)
# Programs that are not simply a name on the PATH: any of these paths will do.
ELSEWHERE = {
    "initdb": "/usr/lib/postgresql/*/bin/initdb",
    "libc headers": "/usr/include/stdio.h",
}


def is_here(program: Program) -> bool:
    """Whether the program can be started on this machine, whichever package it came from."""
    pattern = ELSEWHERE.get(program.name)
    if pattern and any(Path("/").glob(pattern.removeprefix("/"))):
        return True
    return shutil.which(program.name, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}") is not None


def apt() -> list[str] | None:
    """The beginning of an apt-get command that may install packages without asking, or None."""
    if shutil.which("apt-get") is None:
        return None
    if os.geteuid() == 0:
        return ["apt-get"]
    unattended = os.environ.get("CI") == "true" and shutil.which("sudo") is not None
    if unattended and subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0:
        return ["sudo", "-n", "--preserve-env=DEBIAN_FRONTEND,RUNLEVEL", "apt-get"]
    return None


def install(command: list[str], packages: list[str]) -> None:
    """The packages are installed, together or else each that can be alone; services they bring are not started."""
    # RUNLEVEL=1 is what invoke-rc.d reads where there is no systemd: single-user mode starts no service.
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    options = ["-y", "-qq", "-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=300", "--no-install-recommends"]

    def attempt(what: list[str]) -> bool:
        done = subprocess.run(
            [*command, *options, *what], env=quiet, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False
        )
        return done.returncode == 0

    if not attempt(["update"]):
        print("setup: the package lists could not be refreshed; trying with those that are here", flush=True)
    if not attempt(["install", *packages]):
        for package in packages:
            attempt(["install", package])


def main(purpose: str) -> int:
    """Everything missing is installed or named with its command; 1 only if `make run` cannot work without it."""
    wanted = [program for program in PROGRAMS if program.needed_to_run or purpose == "all"]
    missing = [program for program in wanted if not is_here(program)]
    command = apt() if missing else None
    if missing and command:
        print(f"setup: installing {', '.join(program.package for program in missing)}", flush=True)
        install(command, [program.package for program in missing])
        missing = [program for program in missing if not is_here(program)]
    if not missing:
        print("setup: system packages are all here")
        return 0
    why = "it did not work" if command else "not root" if shutil.which("apt-get") else "no apt-get on this machine"
    for program in missing:
        print(f"setup: {program.package} is missing ({why}); it is for {program.purpose}")
    print(f"setup: to have them: sudo apt-get install {' '.join(program.package for program in missing)}")
    if any(program.needed_to_run for program in missing):
        print("setup: `make run` needs softhsm2, docker-registry and skopeo; `make quick` needs none of these")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
