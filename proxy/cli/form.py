"""How answers are printed, and whom they come from."""

import os
from enum import StrEnum
from pathlib import Path


class OutputFormat(StrEnum):
    """How an answer is printed."""

    TEXT = "text"
    JSON = "json"


def socket_beside(config: Path) -> Path:
    """Return the running server's socket; it is there also while the file is broken."""
    return Path(os.path.normpath(config.absolute())).parent / "countersign.sock"  # a socket's path has 107 bytes
