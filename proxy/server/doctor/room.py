"""Whether the record can be written: room on its disk, and the right to write there."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy.engine import make_url

from proxy.config.advice import quoted
from proxy.server.doctor.checkup import DoctorFinding

NAME = "room for the record"
FULL = 16 << 20  # bytes: less, and the next pushes may be refused
LITTLE = 512 << 20  # bytes: about a month of a busy registry


def check_room(url: str) -> DoctorFinding:
    """Look how much room the store's disk has left; a database elsewhere looks after its own."""
    database = make_url(url).database
    if not url.startswith("sqlite") or not database:
        return DoctorFinding(NAME, "skipped", "the database server has its own disk: look there")
    path = Path(database)
    folder = path if path.is_dir() else path.parent
    try:
        disk = os.statvfs(folder)
    except OSError as error:
        return DoctorFinding(NAME, "wrong", f"{folder}: {error.strerror}", f"ls -ld {quoted(folder)}")
    free = disk.f_bavail * disk.f_frsize
    shown = f"{free >> 20} MiB free in {folder}"
    if disk.f_flag & os.ST_RDONLY:
        return DoctorFinding(
            NAME, "wrong", f"{folder} is mounted read-only: pushes are refused", f"findmnt -T {quoted(folder)}"
        )
    if free < FULL:
        return DoctorFinding(
            NAME, "wrong", f"{shown}: pushes are refused as soon as it is full", f"df -h {quoted(folder)}"
        )
    return DoctorFinding(
        NAME, "warning" if free < LITTLE else "ok", shown, f"df -h {quoted(folder)}" if free < LITTLE else ""
    )
