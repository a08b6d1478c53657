"""What one process has of the event log: the latest events, how far they go, and who waits for more."""

import asyncio
import datetime as dt
from collections.abc import Sequence

from graphql_api.events.catalogue import Event
from graphql_api.events.counters import FEED_DELAY, FEED_EVENTS, FEED_LAST, FEED_RESTARTS
from graphql_api.events.ring import Ring


class OtherLogError(Exception):
    """What the log says is not what it said before."""


class History:
    """The latest events of a log, up to number `last`.

    Args:
        size: how many events are remembered.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.log_name: str | None = None
        self.last = 0
        self.era = 0
        self._ring = Ring(size)
        self._news = asyncio.Event()

    @property
    def newest(self) -> Event | None:
        """The latest event, if any is remembered."""
        return self._ring.newest

    def find(self, number: int) -> Event | None:
        """The event with this number, if it is remembered."""
        return self._ring.find(number)

    def since(self, after: int) -> Sequence[Event] | None:
        """The events behind number `after` in order; None when some are not remembered."""
        return self._ring.latest(self.last - after) if after < self.last else ()

    async def newer_than(self, number: int) -> None:
        """Wait until `last` is larger than `number`, or the era has changed."""
        era = self.era
        while self.last <= number and self.era == era:
            await self._news.wait()

    def append(self, events: Sequence[tuple[Event, int]]) -> None:
        """Add events that follow the last one, each with the size of its payload in bytes."""
        for event, payload_bytes in events:
            self._ring.append(event, payload_bytes)
        self._advance(self.last + len(events))
        if events:
            recorded_at = events[-1][0].recorded_at
            FEED_DELAY.set((dt.datetime.now(dt.UTC) - recorded_at).total_seconds())

    def skip_to(self, last: int) -> None:
        """Go on behind number `last`, and remember nothing of what was before."""
        self._ring.clear()
        self._advance(last)

    def start_over(self, log_name: str, last: int) -> None:
        """Go on with another log, or with the same one after it was put back."""
        FEED_RESTARTS.inc()
        self.era += 1
        self.log_name = log_name
        self.skip_to(last)

    def _advance(self, last: int) -> None:
        self.last = last
        FEED_LAST.set(last)
        FEED_EVENTS.set(len(self._ring))
        self._news.set()
        self._news = asyncio.Event()
