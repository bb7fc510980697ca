"""Shared parts of advice texts: command lines with known values filled in, quoted for a shell."""

from __future__ import annotations

import shlex
from pathlib import Path

INIT_READS = "countersign.yaml"


def quoted(path: Path) -> str:
    """Return the path quoted for a shell."""
    return shlex.quote(str(path))


def init_again(config: Path) -> str:
    """Return the command that makes the keys of this configuration; `init` reads a file with one fixed name only."""
    line = f"countersign init {quoted(config.parent)}"
    return line if config.name == INIT_READS else f"{line}, once {config.name} is named {INIT_READS}: it reads no other"


def restore_or_lose(key: str, config: Path) -> str:
    """Return the advice for a key missing from its token: giving the key up is irreversible, so it comes last."""
    return (
        f"restore the token that holds {key[:12]}; only if it is lost for good: "
        f"countersign keys lost {key[:12]} --reason TEXT --config {quoted(config)}"
    )
