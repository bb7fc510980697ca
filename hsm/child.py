"""One child process as its parent sees it: started, sent one request at a time, ended.

The child gets its own session (a Ctrl-C at the terminal must not reach it) and a small environment: values passed to
it, such as those the operator listed for a token, and nothing that might be secret.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from hsm.frames import BadFrame, framed, next_frame

_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
_LAST_WORDS = 2.0  # seconds a child has to log out before it is killed
# The same for a child that may be logging in. SoftHSM truncates and rewrites its token file at every login: killing a
# process at that moment leaves an empty file, and the token with all its keys is lost for good (measured).
LOGGING_IN = 15.0


class ChildGone(Exception):
    """The child ended, or was ended, before it answered."""


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a child: a few inherited names, the path of this package, and the given values."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**inherited, "PYTHONPATH": str(Path(__file__).resolve().parent.parent), **extra}


class Child:
    """A running child process. Its user sends one request at a time."""

    def __init__(self, process: asyncio.subprocess.Process, what: str) -> None:
        self._process = process
        self._what = what
        self.exited = asyncio.ensure_future(process.wait())

    @classmethod
    async def start(cls, module: str, what: str, extra: Mapping[str, str], *arguments: str) -> Self:
        """Return a child that runs this Python module; `what` names it in messages. Raises OSError."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", module, *arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            env=environment(extra), start_new_session=True,
        )  # fmt: skip
        return cls(process, what)

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """False once the process has ended."""
        return self._process.returncode is None and not self.exited.done()

    async def ask(self, body: bytes, until: float, limit: int) -> bytes:
        """Return the child's answer, of at most `limit` bytes.

        Raises TimeoutError when the loop's clock reaches `until`, ChildGone when the child died. After either of them
        the child is unusable and must be killed: its answer might still arrive.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise ChildGone("no pipe")
        try:
            async with asyncio.timeout_at(until):
                stdin.write(framed(body))
                await stdin.drain()
                return await next_frame(stdout, limit)
        except TimeoutError:
            raise
        except (asyncio.IncompleteReadError, OSError) as error:
            raise ChildGone(f"{self} died") from error
        except BadFrame as error:
            raise ChildGone(f"{self} wrote garbage: {error}") from error

    def __str__(self) -> str:
        return f"the process that {self._what} (pid {self.pid})"

    async def kill(self) -> None:
        """Kill the process; return once it is dead."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._ended()

    async def end(self, patience: float = _LAST_WORDS) -> None:
        """End the process: it logs out within `patience` seconds, or is killed."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(patience):
                await asyncio.shield(self.exited)
        except TimeoutError:
            await self.kill()
        else:
            await self._ended()

    async def _ended(self) -> None:
        await asyncio.shield(self.exited)
        if self._process.stdin is not None:
            self._process.stdin.close()
            with contextlib.suppress(OSError):
                await self._process.stdin.wait_closed()
