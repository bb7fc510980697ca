"""Reads secrets from a file, the environment or a systemd credential at the time they are needed."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from proxy.oci.faults import ConfigError

MAX_BYTES = 4096


class Source(Protocol):
    """The location of a secret: exactly one of these is set."""

    @property
    def file(self) -> Path | None:
        """A file with the secret, followed by at most a line end."""

    @property
    def env(self) -> str | None:
        """The environment variable with the secret."""

    @property
    def credential(self) -> str | None:
        """The systemd credential with the secret (systemd.exec, LoadCredential)."""


@dataclass(frozen=True)
class Secret:
    """A secret that was read. `identity` changes when its source is written, and reveals nothing about its content."""

    value: str = field(repr=False)
    identity: str
    described: str


def read_secret(source: Source, what: str, environment: Mapping[str, str] | None = None) -> Secret:
    """Return the secret. Raises ConfigError with its name `what`, the place searched, and the fix."""
    known = os.environ if environment is None else environment
    if source.env is not None:
        value = known.get(source.env)
        if not value:
            raise ConfigError(f"{what}: the environment variable {source.env} is not set; set it, or use `file:`")
        return Secret(value, f"env:{source.env}", f"environment variable {source.env}")
    path = path_of(source, known)
    if path is None:
        raise ConfigError(
            f"{what}: credential {source.credential} is configured, but CREDENTIALS_DIRECTORY is not set; "
            "start under systemd with LoadCredential=, or use `file:`"
        )
    try:
        with path.open("rb") as file:  # the identity belongs to the bytes read, even if the file is being replaced
            raw, status = file.read(MAX_BYTES + 1), os.fstat(file.fileno())
    except OSError as error:
        raise ConfigError(f"{what}: cannot read {path}: {error.strerror}; check the path and its owner") from None
    text = raw.decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")
    if not text or len(raw) > MAX_BYTES or "\n" in text or "\0" in text or "�" in text:
        raise ConfigError(f"{what}: {path} must hold one line of text, at most {MAX_BYTES} bytes")
    return Secret(text, f"{status.st_size}:{status.st_mtime_ns}:{status.st_ino}", str(path))


def path_of(source: Source, environment: Mapping[str, str]) -> Path | None:
    """Return the secret's file, or None if it is in no file or the credentials directory is unknown."""
    if source.file is not None:
        return source.file
    directory = environment.get("CREDENTIALS_DIRECTORY")
    return Path(directory) / source.credential if directory and source.credential else None


def exposed(source: Source, what: str, environment: Mapping[str, str] | None = None) -> str | None:
    """Return a warning if other users may read the secret's file, or if the file does not exist yet."""
    path = path_of(source, os.environ if environment is None else environment)
    if path is None:
        return None
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return f"{what}: cannot check {path}: {error.strerror}"
    if mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
        return f"{what}: {path} can be read or written by others (mode {mode & 0o777:04o}); run: chmod 600 {path}"
    return None
