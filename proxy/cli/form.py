"""The output format, and the running server's socket."""

import os
from enum import StrEnum
from pathlib import Path


class OutputFormat(StrEnum):
    """The format of a printed answer."""

    TEXT = "text"
    JSON = "json"


def socket_beside(config: Path) -> Path:
    """Return the running server's socket; its path is known even if the configuration file is broken."""
    return Path(os.path.normpath(config.absolute())).parent / "countersign.sock"  # socket paths: at most 107 bytes
