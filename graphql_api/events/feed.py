"""The latest events as one process has them: a ring in memory, and the log for whoever lies further back."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from itertools import islice

from graphql_api.database.engine import Database
from graphql_api.events.catalogue import Event
from graphql_api.events.log import EventLog, Head

logger = logging.getLogger(__name__)

RING = 10_000
POLL_SECONDS = 0.05


class Feed:
    """The events of one database as they come to this process.

    Args:
        database: where the log is kept.
        size: how many events are remembered.
    """

    def __init__(self, database: Database, *, size: int = RING) -> None:
        self.log = EventLog(database)
        self._ring: deque[Event] = deque(maxlen=size)
        self._last = 0
        self._log_name: str | None = None
        self._news = asyncio.Event()

    @property
    def last(self) -> int:
        """The number of the newest event this process has; those before it have all come."""
        return self._last

    async def head(self) -> Head:
        """How far the log goes at this moment, from the database."""
        return await self.log.head()

    async def log_name(self) -> str:
        """What tells this log from others."""
        if self._log_name is None:
            self._log_name = (await self.log.head()).log
        return self._log_name

    def since(self, after: int) -> Sequence[Event] | None:
        """The events behind number `after` that are remembered, in order; None when some are not."""
        missing = self._last - after
        if missing <= 0:
            return ()
        if missing > len(self._ring):
            return None
        return list(islice(self._ring, len(self._ring) - missing, None))

    async def newer_than(self, number: int) -> None:
        """Wait until `last` is larger than `number`."""
        while self._last <= number:
            await self._news.wait()

    async def run(self) -> None:
        """Follow the log until cancelled."""
        self._last = (await self.log.head()).last
        while True:
            passage = await self.log.read(self._last)
            self._ring.extend(passage.events)
            if passage.until > self._last:
                self._last = passage.until
                self._news.set()
                self._news = asyncio.Event()
            await asyncio.sleep(POLL_SECONDS)
