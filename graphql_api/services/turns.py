"""Turns: who may hold a connection of the pool while asking for a second one."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary


class Turns:
    """Lets callers that share a name in one after another, and so many of different names at once.

    Whoever repeats a request waits here, without a connection, for the one that is carried out. And because a
    transaction that begins with a claim may need a second connection, never all connections are in such hands.

    Args:
        limit: how many may be in at once.
    """

    def __init__(self, limit: int) -> None:
        self._places = asyncio.Semaphore(limit)
        self._lines: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, name: Hashable) -> AsyncIterator[None]:
        """Wait for the turn of `name`, and keep it for as long as the block lasts."""
        line = self._lines.get(name)
        if line is None:
            line = self._lines[name] = asyncio.Lock()
        async with line, self._places:
            yield
