"""Tells every process of new events, in order, behind the relay: a Redis that hangs must not stop the numbers."""

import asyncio
import json
from collections import deque

from graphql_api.events.bus import Bus

# What waits longer is read from the log by those who need it.
MOST_WAITING = 100


class Announcer:
    """Publishes what the relay has numbered.

    Args:
        bus: where to.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._waiting: deque[str] = deque()
        self._news = asyncio.Event()

    def tell(self, last: int, message: str | None) -> None:
        """Publish soon. Without a message, and when too many wait, only how far the log goes: the rest is read there.

        Args:
            last: the number of the newest event.
            message: `{"first": 101, "events": [...]}`, the events up to that number.
        """
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.clear()
            message = None
        self._waiting.append(message or json.dumps({"last": last}))
        self._news.set()

    async def run(self) -> None:
        """Publish until cancelled; the bus counts what did not go out."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                await self._bus.publish_events(self._waiting.popleft())
