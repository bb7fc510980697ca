"""How many children a token may have at this moment, and which slots have one. Slots count from 0."""

import asyncio


class SessionLimit:
    """Slots below `sessions` may have a child; one beyond gives its child up once that has finished its work."""

    def __init__(self, sessions: int) -> None:
        self.sessions = sessions
        self._seated: set[int] = set()
        self._over: dict[int, asyncio.Future[None]] = {}
        self._more = asyncio.Event()

    @property
    def used(self) -> int:
        """How many slots have a child that is logged in, is logging in, or has not logged out yet."""
        return len(self._seated)

    def permits(self, slot: int) -> bool:
        """True where this slot may have a child."""
        return slot < self.sessions

    def change(self, sessions: int) -> None:
        """So many from now on; children beyond that are told to finish, and `used` says when they have."""
        self.sessions = sessions
        for slot, over in self._over.items():
            if not self.permits(slot) and not over.done():
                over.set_result(None)
        self._more.set()

    def seat(self, slot: int) -> None:
        """This slot has a child, or is about to start one."""
        self._seated.add(slot)

    async def left(self, slot: int) -> None:
        """The child of this slot has logged out; returns when it may have one again."""
        self._seated.discard(slot)
        while not self.permits(slot):
            self._more.clear()
            await self._more.wait()

    def until_over(self, slot: int) -> "asyncio.Future[None]":
        """Done when the slot is to give its child up."""
        over = self._over[slot] = asyncio.get_running_loop().create_future()
        if not self.permits(slot):
            over.set_result(None)
        return over
