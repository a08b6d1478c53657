"""The latest events as one process has them: a ring in memory, and the log for whoever lies further back.

The bus brings events early, the log says which ones there are. A message is taken when it goes on exactly where the
feed ends; for anything else the log is read. That is done once a second anyway, and the newest event is compared.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Sequence
from time import monotonic

from graphql_api.database.engine import Database
from graphql_api.events.broadcast import Gap
from graphql_api.events.bus import Bus
from graphql_api.events.catalogue import Event
from graphql_api.events.counters import FEED_READS, UNREADABLE
from graphql_api.events.cursor import CursorExpired
from graphql_api.events.history import History, OtherLogError
from graphql_api.events.log import MOST, EventLog, Head
from graphql_api.events.message import Told, decode_event, read_message

logger = logging.getLogger(__name__)

RING = 10_000
# How often the log is looked at while the bus is heard, and while it is not.
POLL_SECONDS = 1.0
BUSY_POLL_SECONDS = 0.15
# How often it is asked whether this is still the same database.
IDENTITY_SECONDS = 10.0
# A reading that takes longer is begun anew.
READ_SECONDS = 10.0
# Between attempts while the database does not answer, at first and at most.
RETRY_SECONDS = (0.1, 1.0)
# Between two complaints about messages.
COMPLAINT_SECONDS = 60.0
# After a message for which the log was read in vain the next one has to wait so long.
REST_SECONDS = 0.1


class Feed:
    """The events of one database as they come to this process.

    Numbers mean something within one `era` only. It changes when the log turns out to be another one than before, as
    after the database was replaced by an older copy: then `last` may be lower than it was, `log_name` may be another,
    and no position from before says anything any more. Whoever holds positions remembers the era with them, and when
    it has changed treats them as expired (`CursorExpired`). `newer_than` returns at once when that happens.

    Args:
        database: where the log is kept.
        bus: brings events early.
        size: how many events are remembered.
    """

    def __init__(self, database: Database, bus: Bus, *, size: int = RING) -> None:
        self.log = self._own_log = EventLog(database)
        self._bus = bus
        self._history = History(size)
        self._is_begun = False
        # whether the newest event is still to be compared with the log, and one that was told in two ways
        self._is_unverified = False
        self._doubted: Event | None = None
        self._poll_at = self._rest_until = self._complain_at = 0.0

    @property
    def last(self) -> int:
        """The number of the newest event this process has; those before it have all come. It grows within an era."""
        return self._history.last

    @property
    def era(self) -> int:
        """Grows when the log has turned out to be another one: positions from before are expired."""
        return self._history.era

    async def head(self) -> Head:
        """How far the log goes at this moment, from the database; this process may not have got that far."""
        return await self.log.head()

    async def log_name(self) -> str:
        """What tells this log from others."""
        if self._history.log_name is None:
            self._history.log_name = (await self.log.head()).log
        return self._history.log_name

    def since(self, after: int) -> Sequence[Event] | None:
        """The events behind number `after` that are remembered, in order; None when some are not.

        None of them lies behind a number that this process has not come to, such as one read from the database.
        """
        return self._history.since(after)

    async def newer_than(self, number: int) -> None:
        """Wait until `last` is larger than `number`, or the era has changed."""
        await self._history.newer_than(number)

    async def run(self) -> None:
        """Follow the log until cancelled, over a connection of its own: others may have taken all there are."""
        database = Database(self.log.database.url, pool_size=1, timeout=READ_SECONDS)
        self._own_log = EventLog(database)
        try:
            async with self._bus.events() as messages, asyncio.TaskGroup() as group:
                group.create_task(self._watch_identity())
                await self._follow_for_ever(messages)
        finally:
            await database.close()

    async def _follow_for_ever(self, messages: AsyncIterator[str | Gap]) -> None:
        failures = 0
        while True:
            try:
                await self._follow(messages)
            except Exception as error:  # noqa: BLE001 - whatever it is, nothing may end the following for good
                failures += 1
                if failures == 1:
                    logger.warning("Events cannot be read, subscribers wait: %r", error)
                self._is_unverified, self._poll_at = True, 0.0
                await asyncio.sleep(_delay(failures))
            else:
                if failures:
                    logger.info("Events are read again")
                failures = 0

    async def _watch_identity(self) -> None:
        """Ask from time to time whether this is still the same database; if not, the log may be another one too."""
        while True:
            pause = IDENTITY_SECONDS
            try:
                self._is_unverified = await self._bus.refresh() or self._is_unverified
            except Exception:  # noqa: BLE001 - whoever follows the log finds the same, and says so
                pause = RETRY_SECONDS[1]
            await asyncio.sleep(pause)

    async def _follow(self, messages: AsyncIterator[str | Gap]) -> None:
        """Take one step: a message, or a look at the log when it is time for one."""
        if monotonic() >= self._poll_at:
            await self._poll()
        try:
            # not `wait_for`, which in Python 3.11 can lose a cancellation
            async with asyncio.timeout(self._poll_at - monotonic()):
                message = await anext(messages)
        except TimeoutError:
            return
        if isinstance(message, Gap):
            await self._poll()
        else:
            await self._hear(message)
            # whoever it is for has a turn before the next one
            await asyncio.sleep(0)

    async def _hear(self, text: str) -> None:
        """Take what a message says as far as it goes on from the newest event; look at the log for the rest."""
        message = read_message(text)
        if isinstance(message, Told) and message.first <= self.last + 1:
            await self._take(message)
        elif message is None or isinstance(message, Told) or message.last > self.last:
            await self._look()
        if message is None:
            UNREADABLE.inc()
            if monotonic() >= self._complain_at:
                self._complain_at = monotonic() + COMPLAINT_SECONDS
                logger.warning("A message about events cannot be read and is passed over")

    async def _take(self, message: Told) -> None:
        """Take the events that are new. The others may contradict what is remembered; the log knows what is true."""
        known = self.last + 1 - message.first
        for told in message.events[:known]:
            event = self._history.find(told.number)
            if event and decode_event(told)[0] != event:
                self._doubted = self._doubted or event
        if news := message.events[known:]:
            self._history.append([decode_event(told) for told in news])
            self._is_unverified = True
        if self._doubted:
            await self._look()

    async def _look(self) -> None:
        """Look at the log because of a message, unless that was in vain a moment ago: then it has a little time."""
        if monotonic() < self._rest_until:
            self._poll_at = min(self._poll_at, self._rest_until)
            return
        last = self.last
        await self._poll()
        if self.last == last:
            self._rest_until = monotonic() + REST_SECONDS

    async def _poll(self) -> None:
        """Catch up with the log."""
        async with asyncio.timeout(READ_SECONDS):
            head = await self._own_log.head()
            self._begin(head)
            try:
                await self._catch_up(head)
            except (OtherLogError, CursorExpired) as error:
                self._start_over(await self._own_log.head(), error)
        pause = POLL_SECONDS if self._bus.is_connected else BUSY_POLL_SECONDS
        self._poll_at = monotonic() + pause * random.uniform(0.8, 1)  # noqa: S311 - spreads looks of all processes

    def _begin(self, head: Head) -> None:
        if not self._is_begun:
            self._is_begun = True
            self._history.log_name = head.log
            self._history.skip_to(head.last)

    def _start_over(self, head: Head, reason: Exception) -> None:
        logger.warning("The log of events is not the one of before, subscribers begin anew: %s", reason)
        self._is_unverified = False
        self._doubted = None
        self._history.start_over(head.log, head.last)

    async def _catch_up(self, head: Head) -> None:
        """Read what is missing.

        Raises:
            OtherLogError: the log is not the one of before.
            CursorExpired: what follows is no longer kept.
        """
        name = self._history.log_name
        if head.log != name or head.last < self.last:
            raise OtherLogError(f"{head.log} ends at {head.last}, {name} went to {self.last}")
        await self._verify(head)
        if head.last - self.last > self._history.size:
            # nothing of what is remembered would stay: whoever lies behind reads the log
            self._history.skip_to(head.last)
        while self.last < head.last:
            await self._read()

    async def _verify(self, head: Head) -> None:
        """Compare with the log what came over the bus: an event that is in doubt, or else the newest."""
        event, self._doubted = self._doubted, None
        if event is None and self._is_unverified:
            event, self._is_unverified = self._history.newest, False
        if event is not None and event.number > head.forgotten:
            passage = await self._own_log.read(event.number - 1, most=1)
            if list(passage.events) != [event]:
                raise OtherLogError(f"event {event.number} is another one")

    async def _read(self) -> None:
        FEED_READS.inc()
        events = (await self._own_log.read(self.last, most=MOST)).events
        if not events or [event.number for event in events] != [*range(self.last + 1, self.last + 1 + len(events))]:
            raise OtherLogError(f"it has a hole behind {self.last}")
        self._history.append([(event, len(event.fact.model_dump_json()) if event.fact else 0) for event in events])


def _delay(failures: int) -> float:
    first, most = RETRY_SECONDS
    return min(first * 2.0 ** min(failures - 1, 10), most) * random.uniform(0.5, 1)  # noqa: S311 - spreads attempts
