"""How many children a token may have now, and which slots have one. Slots count from 0."""

import asyncio


class SessionLimit:
    """Slots below `sessions` may have a child; a slot beyond gives up its child once its work is finished."""

    def __init__(self, sessions: int) -> None:
        self.sessions = sessions
        self._seated: set[int] = set()
        self._over: dict[int, asyncio.Future[None]] = {}
        self._more = asyncio.Event()

    @property
    def used(self) -> int:
        """Return how many slots have a child that is logged in, is logging in, or has not logged out yet."""
        return len(self._seated)

    def permits(self, slot: int) -> bool:
        """True if this slot may have a child."""
        return slot < self.sessions

    def change(self, sessions: int) -> None:
        """Set the number of sessions; children beyond it are told to finish, and `used` says when they have."""
        self.sessions = sessions
        for slot, over in self._over.items():
            if not self.permits(slot) and not over.done():
                over.set_result(None)
        self._more.set()

    def seat(self, slot: int) -> None:
        """Record that this slot has a child, or is about to start one."""
        self._seated.add(slot)

    async def left(self, slot: int) -> None:
        """Record that this slot's child has logged out; return when the slot may have a child again."""
        self._seated.discard(slot)
        while not self.permits(slot):
            self._more.clear()
            await self._more.wait()

    def until_over(self, slot: int) -> "asyncio.Future[None]":
        """Return a future that is done when the slot must give up its child."""
        over = self._over[slot] = asyncio.get_running_loop().create_future()
        if not self.permits(slot):
            over.set_result(None)
        return over
