"""How answers are printed, and whom they come from."""

from enum import StrEnum
from pathlib import Path


class Form(StrEnum):
    """How an answer is printed."""

    TEXT = "text"
    JSON = "json"


def socket_beside(config: Path) -> Path:
    """Return the running server's socket; it is there also while the file is broken."""
    return config.absolute().parent / "countersign.sock"
