"""A refused PIN is never offered again, not even by a restarted process.

Tokens lock themselves after a few wrong PINs, and a supervisor restarts a failing service without end. So a refusal is
recorded beside the state, with the identity of the PIN's source; never the PIN, nor a hash of it.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from hsm.errors import PinRefused


def identity_of(source: Path) -> str:
    """Return a text that changes whenever the file is written or replaced: size, modification time and inode."""
    status = source.stat()
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ino}"


@dataclass(frozen=True)
class PinMemory:
    """Remembers the last refused PIN. Without a path it remembers nothing."""

    path: Path | None
    identity: str

    def check(self, token: str) -> None:
        """Return if this PIN may be tried. Raises PinRefused if it was refused before and has not changed since."""
        if self.path is None or not self.path.exists():
            return
        try:
            remembered = json.loads(self.path.read_text())["identity"]
        except (ValueError, KeyError, TypeError):
            remembered = self.identity  # unreadable: one needless refusal is better than a locked token
        if remembered == self.identity:
            raise PinRefused(
                f"{token} refused this PIN before, and its source has not changed since; it is not tried again because "
                f"tokens lock themselves. Correct the PIN, or remove {self.path} to try the same one once more."
            )

    def refused(self) -> None:
        """Record the refusal on disk."""
        if self.path is None:
            return
        fresh = self.path.with_name(self.path.name + ".new")
        with fresh.open("w") as file:
            json.dump({"identity": self.identity}, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)

    def accepted(self) -> None:
        """Forget the recorded refusal."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
