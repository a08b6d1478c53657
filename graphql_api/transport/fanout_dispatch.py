"""Follows the events of this process and wakes the groups that they are for; others cost a comparison."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from graphql_api.database.event import Topic
from graphql_api.events.catalogue import Event
from graphql_api.events.feed import Feed
from graphql_api.transport.fanout_rendering import wait_after_failure

logger = logging.getLogger(__name__)

# Comparisons after which others get their turn.
COMPARISONS = 5_000
# Between attempts, should handing on events ever fail.
RETRY_SECONDS = 0.5


class Listener(Protocol):
    """A group, as far as events concern it."""

    @property
    def topics(self) -> frozenset[Topic]:
        """What it is about."""

    @property
    def is_idle(self) -> bool:
        """Whether it has dealt with everything there was for it."""

    @property
    def matches(self) -> Callable[[Event], bool]:
        """Whether an event of its topics is for it."""

    def begin(self, after: int) -> None:
        """Deal with what is behind event `after`, up to what the dispatcher has seen; called while idle."""

    def start_over(self) -> None:
        """The log is another one than before: what follows is not what was to follow."""


class Dispatcher:
    """Follows a feed for all groups.

    Args:
        feed: the events of this process.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._listeners: dict[str, dict[Listener, None]] = {}
        self._era = feed.era
        self.seen = 0
        self.is_ready = asyncio.Event()

    def add(self, listener: Listener) -> None:
        """Have it woken for events of its topics from now on."""
        for topic in listener.topics:
            self._listeners.setdefault(topic, {})[listener] = None

    def remove(self, listener: Listener) -> None:
        """Wake it no more."""
        for topic in listener.topics:
            self._listeners[topic].pop(listener, None)

    async def run(self) -> None:
        """Follow the feed until cancelled."""
        await self._catch_feed()
        while True:
            if self._feed.era == self._era:
                await self._feed.newer_than(self.seen)
            try:
                await self._follow()
            except Exception:
                logger.exception("Events could not be handed on; they are looked at again")
                await asyncio.sleep(RETRY_SECONDS)

    async def _catch_feed(self) -> None:
        """Wait until the feed has begun: at least where the log ends now."""
        attempt = 0
        while not self.is_ready.is_set():
            attempt += 1
            try:
                head = await self._feed.head()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
                logger.warning("Where the log of events ends cannot be read: %r", error)
                await wait_after_failure(attempt)
                continue
            await self._feed.newer_than(head.last - 1)
            self._era, self.seen = self._feed.era, self._feed.last
            self.is_ready.set()

    async def _follow(self) -> None:
        if self._feed.era != self._era:
            self._start_over()
            return
        events = self._feed.since(self.seen)
        if events is None:
            for listener in self._everybody():
                if listener.is_idle:
                    listener.begin(self.seen)
            self.seen = self._feed.last
            return
        await self._dispatch(events)

    async def _dispatch(self, events: Sequence[Event]) -> None:
        size = max(1, COMPARISONS // max(1, sum(len(listeners) for listeners in self._listeners.values())))
        for first in range(0, len(events), size):
            chunk = events[first : first + size]
            if first:
                await asyncio.sleep(0)
                if self._feed.era != self._era:
                    return
            for event in chunk:
                if event.fact is not None:
                    self._wake_for(event)
            self.seen = chunk[-1].number

    def _wake_for(self, event: Event) -> None:
        for listener in self._listeners.get(event.topic, ()):
            try:
                if listener.is_idle and listener.matches(event):
                    listener.begin(self.seen)
            except Exception:  # noqa: BLE001 - it comes up again where the event is executed, and is told
                listener.begin(self.seen)

    def _everybody(self) -> set[Listener]:
        return {listener for listeners in self._listeners.values() for listener in listeners}

    def _start_over(self) -> None:
        self._era, self.seen = self._feed.era, self._feed.last
        for listener in self._everybody():
            listener.start_over()
