"""Bodies in transit between callers and upstream: how many at once, shares per holder, and which give way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Hashable

from proxy.oci.faults import Fault
from proxy.oci.limits import KIB, Limits
from proxy.oci.shares import Shares
from proxy.registry.ports.upstream import UpstreamResponse

STEP = 64 * KIB  # must move within `transfer_patience_s` while another caller waits


class Transfer:
    """One body in transit. It counts as moving from its first chunk: a slow answer is not the caller's fault."""

    def __init__(self, of: Transfers, holder: Hashable | None, cut: Callable[[], None]) -> None:
        """Created by `Transfers.begin`."""
        self.holder = holder
        self.cut = cut
        self.over = False
        self.moved_at = 0.0
        self._of = of
        self._since = 0

    async def watched(self, body: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        """Iterate over the body; a chunk has moved when the next one is requested."""
        self._of.moves(self)
        async for chunk in body:
            yield chunk
            self._since += len(chunk)
            if self._since >= STEP:
                self._since = 0
                self._of.moves(self)

    def end(self) -> None:
        """Give the slot to a waiting caller; idempotent."""
        self._of.end(self)


class Transfers:
    """The slots for bodies that callers read or write. No address, and no proven name, can take all of them."""

    def __init__(self, limits: Limits, monotonic: Callable[[], float]) -> None:
        """Start with no transfer."""
        self._limits = limits
        self._now = monotonic
        self._shares = Shares(limits.upstream_connections)
        self._moving: dict[Transfer, None] = {}  # least recently moved first
        self._waiting: dict[asyncio.Future[None], Hashable | None] = {}

    @property
    def used(self) -> int:
        """Slots taken now."""
        return self._shares.used

    async def begin(self, holder: Hashable | None, cut: Callable[[], None]) -> Transfer:
        """Return a slot, at once or after a short wait; `cut` ends the caller's connection.

        If none is free, a transfer that hardly moves gives way; a holder over its share displaces only its own
        transfers. Raises Fault TOOMANYREQUESTS (429).
        """
        if not self._take(holder) and not await self._turn(holder) and not self._take(holder):
            text = "too many layers are on their way just now, here or for you; try again in a few seconds"
            raise Fault("TOOMANYREQUESTS", text, headers={"Retry-After": "5"})
        return Transfer(self, holder, cut)

    def moves(self, transfer: Transfer) -> None:
        """Mark the transfer as the most recently moved."""
        if not transfer.over:
            self._moving.pop(transfer, None)
            self._moving[transfer] = None
            transfer.moved_at = self._now()

    def end(self, transfer: Transfer) -> None:
        """Give the slot of this transfer to a waiting caller."""
        if not transfer.over:
            transfer.over = True
            self._moving.pop(transfer, None)
            self._give_back(transfer.holder)

    def _take(self, holder: Hashable | None) -> bool:
        while not self._shares.take(holder):
            slow = self._slow(holder)
            if slow is None:
                return False
            slow.cut()
            self.end(slow)
        return True

    def _slow(self, holder: Hashable | None) -> Transfer | None:
        room = self._shares.used < self._shares.limit  # then the holder's share is the limit
        for transfer in self._moving:
            if self._now() - transfer.moved_at < self._limits.transfer_patience_s:
                return None
            if not room or transfer.holder == holder:
                return transfer
        return None

    async def _turn(self, holder: Hashable | None) -> bool:
        turn = asyncio.get_running_loop().create_future()
        self._waiting[turn] = holder
        try:
            async with asyncio.timeout(self._limits.transfer_wait_s):
                await turn
        except TimeoutError:
            pass  # perhaps the slot arrived at the same moment
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._give_back(holder)
            raise
        finally:
            self._waiting.pop(turn, None)
        return turn.done() and not turn.cancelled()

    def _give_back(self, holder: Hashable | None) -> None:
        self._shares.give_back(holder)
        for turn, waiting in self._waiting.items():
            if not turn.done() and self._shares.take(waiting):
                turn.set_result(None)
                return


class Held:
    """Upstream's reply while a caller reads it: its slot is given back with its connection."""

    def __init__(self, reply: UpstreamResponse, transfer: Transfer) -> None:
        """Take over the reply and its transfer."""
        self.status = reply.status
        self.headers = reply.headers
        self._reply = reply
        self._transfer = transfer

    async def read(self, limit: int) -> bytes:
        """Return the whole body, as in the port."""
        return await self._reply.read(limit)

    def stream(self) -> AsyncIterable[bytes]:
        """Iterate over the body, as in the port."""
        return self._transfer.watched(self._reply.stream())

    async def close(self) -> None:
        """Give connection and slot back."""
        try:
            await self._reply.close()
        finally:
            self._transfer.end()
