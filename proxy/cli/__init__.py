"""The `countersign` command: wiring and printing only."""

import os
import sys

ALLOCATOR = "PYTHONMALLOC"


def main() -> None:
    """Run the command line and exit with its exit code."""
    if sys.argv[1:2] == ["serve"] and ALLOCATOR not in os.environ:
        # Python's own allocator returns only whole mebibytes: after a crowd of connections, 50 MiB remained in
        # fragments (ADR 0053). The allocator can be chosen only at the start of a process.
        anew = [sys.executable, *sys.orig_argv[1:]]
        os.execve(sys.executable, anew, {**os.environ, ALLOCATOR: "malloc"})  # noqa: S606  the same command again
    from proxy.cli.app import run

    run()
