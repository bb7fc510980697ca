"""Directories in memory, for tests that commit often and are not about the disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_IN_MEMORY = "/dev/shm"  # noqa: S108  # the directory made in there is ours alone


@contextmanager
def quick_directory() -> Iterator[Path]:
    """An empty directory, in memory where the system has a place for that, removed afterwards."""
    where = _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="countersign-", dir=where) as directory:
        yield Path(directory)
