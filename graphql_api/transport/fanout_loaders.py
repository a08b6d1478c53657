"""What groups load for events, shared for a moment: what one has read the others need not read again."""

import time

from graphql_api.database.event import Topic
from graphql_api.events.feed import Feed
from graphql_api.schema.loaders import Loaders
from graphql_api.schema.subscribing import Rights

# How long what was loaded for an event may be used by other groups, in seconds.
SHARED_SECONDS = 0.1
# How long stores, products and what they are sorted by may be used for later events that tell of none of them.
CATALOGUE_SECONDS = 1.0
CATALOGUE_TOPICS = frozenset({Topic.PRODUCT, Topic.SALES})


class SharedLoaders:
    """The loaders of a process's groups. What they answer was read after the last event that could have changed it.

    Args:
        feed: the events of this process.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._loaders: dict[Rights, Loaders] = {}
        self._catalogues: dict[Rights, Loaders] = {}
        # behind which event, and since when
        self._place = (-1, 0.0)
        self._catalogue_since = 0.0

    def of(self, rights: Rights, fresh: Loaders) -> Loaders:
        """The loaders of all groups with these rights.

        Args:
            rights: what they may see.
            fresh: taken when there are none.
        """
        last, now = self._feed.last, time.monotonic()
        if self._place[0] != last or now - self._place[1] > SHARED_SECONDS:
            self._turn_to(last, now)
        if rights not in self._loaders:
            if rights in self._catalogues:
                fresh.take_catalogue(self._catalogues[rights])
            self._loaders[rights] = self._catalogues[rights] = fresh
        return self._loaders[rights]

    def forget(self) -> None:
        """Have everything read anew."""
        self._loaders.clear()
        self._catalogues.clear()

    def _turn_to(self, last: int, now: float) -> None:
        """Forget what events since may have changed."""
        events = self._feed.since(self._place[0]) if last >= self._place[0] else None
        is_changed = events is None or any(event.topic in CATALOGUE_TOPICS for event in events)
        if is_changed or now - self._catalogue_since > CATALOGUE_SECONDS:
            self._catalogues.clear()
            self._catalogue_since = now
        self._loaders.clear()
        self._place = (last, now)
