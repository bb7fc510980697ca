"""Parts of advice that several texts share: command lines with what is known filled in, quoted for a shell."""

from __future__ import annotations

import shlex
from pathlib import Path

INIT_READS = "countersign.yaml"


def quoted(path: Path) -> str:
    """Return the path as one types it in a shell."""
    return shlex.quote(str(path))


def init_again(config: Path, upstream: str = "URL") -> str:
    """Return how to make the keys that this configuration names; `init` reads a file of one name only."""
    line = f"countersign init {quoted(config.parent)} --upstream {upstream}"
    return line if config.name == INIT_READS else f"{line}, once {config.name} is named {INIT_READS}: it reads no other"


def restore_or_lose(key: str, config: Path) -> str:
    """Return what to do about a key that its token does not hold: giving it up is for good, so it comes last."""
    return (
        f"restore the token that holds {key[:12]}; only if it is lost for good: "
        f"countersign keys lost {key[:12]} --reason TEXT --config {quoted(config)}"
    )
