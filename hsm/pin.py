"""A refused PIN is never offered again, not even by a process that was restarted.

Tokens lock themselves after a few wrong PINs, and a supervisor restarts a failing service for as long as it is let.
So a refusal is written down beside the state, with the identity of the PIN's source; never the PIN, nor a hash of it.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from hsm.errors import PinRefused


def identity_of(source: Path) -> str:
    """Changes whenever the file is written or replaced: its size, modification time and inode."""
    status = source.stat()
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ino}"


@dataclass(frozen=True)
class PinMemory:
    """Remembers the one PIN that was refused last. Without a path it remembers nothing."""

    path: Path | None
    identity: str

    def check(self, token: str) -> None:
        """Returns when this PIN may be tried; `PinRefused` when it was refused before and has not changed since."""
        if self.path is None or not self.path.exists():
            return
        try:
            remembered = json.loads(self.path.read_text())["identity"]
        except (ValueError, KeyError, TypeError):
            remembered = self.identity  # unreadable: better refuse one start too many than lock the token
        if remembered == self.identity:
            raise PinRefused(
                f"{token} refused this PIN before, and its source has not changed since; it is not tried again because "
                f"tokens lock themselves. Correct the PIN, or remove {self.path} to try the same one once more."
            )

    def refused(self) -> None:
        """The refusal is on disk."""
        if self.path is None:
            return
        fresh = self.path.with_name(self.path.name + ".new")
        with fresh.open("w") as file:
            json.dump({"identity": self.identity}, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)

    def accepted(self) -> None:
        """Nothing is remembered any more."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
