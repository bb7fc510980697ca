"""The `countersign` command: wiring and printing only."""

import os
import sys

ALLOCATOR = "PYTHONMALLOC"


def main() -> None:
    """Run the command line and leave with its exit code."""
    if sys.argv[1:2] == ["serve"] and ALLOCATOR not in os.environ:
        # Python's own allocator gives back whole mebibytes only: a crowd of connections that has gone left 50 MiB
        # behind in splinters (ADR 0053). It can be chosen at the start of a process alone.
        anew = [sys.executable, *sys.orig_argv[1:]]
        os.execve(sys.executable, anew, {**os.environ, ALLOCATOR: "malloc"})  # noqa: S606  the same command again
    from proxy.cli.app import run

    run()
