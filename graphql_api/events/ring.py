"""The latest events in memory."""

from collections import deque
from collections.abc import Sequence
from itertools import islice

from graphql_api.events.catalogue import Event

# Of payloads, as JSON; in memory they take several times as much.
MAX_BYTES = 16 << 20


class Ring:
    """The latest events of a log, without a gap; the oldest go when there is no room.

    Args:
        size: how many events at most.
        max_bytes: how large their payloads are together, at most.
    """

    def __init__(self, size: int, max_bytes: int = MAX_BYTES) -> None:
        self._size = size
        self._max_bytes = max_bytes
        self._bytes = 0
        self._events: deque[tuple[Event, int]] = deque()

    def __len__(self) -> int:
        return len(self._events)

    @property
    def newest(self) -> Event | None:
        """The latest event, if any is remembered."""
        return self._events[-1][0] if self._events else None

    def find(self, number: int) -> Event | None:
        """The event with this number, if it is remembered."""
        index = number - self._events[0][0].number if self._events else -1
        return self._events[index][0] if 0 <= index < len(self._events) else None

    def append(self, event: Event, payload_bytes: int) -> None:
        """Remember the event that follows the newest."""
        self._events.append((event, payload_bytes))
        self._bytes += payload_bytes
        while len(self._events) > self._size or self._bytes > self._max_bytes:
            self._bytes -= self._events.popleft()[1]

    def clear(self) -> None:
        """Remember nothing."""
        self._events.clear()
        self._bytes = 0

    def latest(self, count: int) -> Sequence[Event] | None:
        """The latest `count` events in order; None when that is more than are remembered."""
        if count > len(self._events):
            return None
        # from the end: nearly always a few are asked for, and the way from the other end is long
        events = [event for event, _ in islice(reversed(self._events), count)]
        events.reverse()
        return events
