"""Bodies held in memory: one bound for all requests together, a share per holder, a deadline for each body."""

from __future__ import annotations

import asyncio
import mmap
from collections.abc import AsyncIterable, Hashable
from typing import Self

from proxy.oci.faults import Fault
from proxy.oci.limits import Limits
from proxy.oci.shares import Shares


class Kept:
    """The memory for bodies of one process. Holders over their share wait first (see `Shares`)."""

    def __init__(self, limits: Limits) -> None:
        """Start with nothing held."""
        self._limits = limits
        self._shares = Shares(limits.kept_bytes)
        self._freed = asyncio.Event()

    @property
    def used(self) -> int:
        """Bytes held or reserved now."""
        return self._shares.used

    def room(self, holder: Hashable | None) -> Room:
        """Return an empty room for one request of this holder; None has no share of its own."""
        return Room(self, holder)

    async def take(self, holder: Hashable | None, amount: int) -> None:
        """Return once this many bytes are reserved. Raises Fault TOOMANYREQUESTS (429) after `kept_grace_s`."""
        try:
            async with asyncio.timeout(self._limits.kept_grace_s):
                while not self._shares.take(holder, amount):
                    await self._freed.wait()
        except TimeoutError:
            text = "too many bodies are being read just now, here or from your address; try again in a few seconds"
            raise Fault("TOOMANYREQUESTS", text, headers={"Retry-After": "5"}) from None

    def give_back(self, holder: Hashable | None, amount: int) -> None:
        """Free this many bytes and wake the waiting requests."""
        if amount:
            self._shares.give_back(holder, amount)
            freed, self._freed = self._freed, asyncio.Event()
            freed.set()

    def deadline_s(self, size: int) -> float:
        """Return the seconds within which a body of this many bytes must arrive."""
        return size / self._limits.kept_rate + self._limits.kept_grace_s


class Room:
    """The memory that one request holds; given back when the `with` block ends."""

    def __init__(self, kept: Kept, holder: Hashable | None) -> None:
        """Hold nothing yet."""
        self._kept = kept
        self._holder = holder
        self.taken = 0

    def __enter__(self) -> Self:
        """Hold nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give everything back."""
        self.give_back()

    def give_back(self) -> None:
        """Give back everything that is held."""
        self._kept.give_back(self._holder, self.taken)
        self.taken = 0

    async def whole(
        self, body: AsyncIterable[bytes] | None, length: int | None, limit: int, what: str, reason: str | None = None
    ) -> bytes:
        """Return the whole body; this room holds it from now on.

        `length` is the announced length, None for a chunked body. No byte is read before memory for the whole body is
        reserved. Raises Fault: SIZE_INVALID (413) beyond `limit` bytes, UNKNOWN (408) after its deadline,
        TOOMANYREQUESTS (429).
        """
        if length is not None and length > limit:
            text = f"{what} of {length} bytes; the limit is {limit}"
            raise Fault("SIZE_INVALID", text, status=413, reason=reason)
        if body is None:
            return b""
        most = limit if length is None else length
        await self._kept.take(self._holder, most)
        self.taken += most
        seconds = self._kept.deadline_s(most)
        too_long = Fault("SIZE_INVALID", f"{what} of more than {most} bytes", status=413, reason=reason)
        try:
            async with asyncio.timeout(seconds):
                data = await _read(body, most, too_long)
        except TimeoutError:
            text = f"the {what} did not arrive within {seconds:.0f} seconds; send it again over a faster line"
            raise Fault("UNKNOWN", text, status=408) from None
        self._kept.give_back(self._holder, most - len(data))
        self.taken -= most - len(data)
        return data


async def _read(body: AsyncIterable[bytes], most: int, too_long: Fault) -> bytes:
    """Return the body. Raises the fault beyond `most` bytes.

    The body is assembled in its own memory pages: the system supplies them as bytes arrive and takes them back at the
    end. On the heap, memory reserved for bodies that never arrived would stay allocated between longer-lived objects.
    """
    with mmap.mmap(-1, max(most, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as pages:
        size = 0
        async for chunk in body:
            end = size + len(chunk)
            if end > most:
                raise too_long
            pages[size:end] = chunk
            size = end
        return pages[:size]
