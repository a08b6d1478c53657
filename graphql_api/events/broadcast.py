"""Publish and subscribe in a way that survives faults; the interface is broadcaster's.

What the library brings for that forgets subscribers who come at the same moment, remembers without limit for those who
are slow, and stops listening for good at the first fault.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from broadcaster import Broadcast, BroadcastBackend, Event

from graphql_api.events.counters import BUS_GAPS

logger = logging.getLogger(__name__)

# More than that is faster read from the log.
MAX_WAITING = 1_000
MAX_WAITING_CHARACTERS = 8 << 20
# After so many messages whoever they are for has a turn.
TURN = 64
# After a fault nobody has thought of.
FAULT_SECONDS = 1.0


class Gap:
    """Stands for messages that may have been lost."""


GAP = Gap()


class GapEvent(Event):
    """Messages may have been lost: of this channel, or of all channels."""

    def __init__(self, channel: str | None = None) -> None:
        super().__init__(channel or "", "")
        self.of_all = channel is None


class Mailbox:
    """What waits for one subscriber, to be iterated over. Its size is bounded: too much becomes a `Gap`.

    `characters` is the length of what waits.
    """

    def __init__(self) -> None:
        self._waiting: deque[str | Gap] = deque()
        self.characters = 0
        self._arrived = asyncio.Event()

    def put(self, message: str) -> None:
        """Add a message."""
        self.characters += len(message)
        if len(self._waiting) >= MAX_WAITING or self.characters > MAX_WAITING_CHARACTERS:
            BUS_GAPS.inc()
            self.put_gap()
            return
        self._waiting.append(message)
        self._arrived.set()

    def put_gap(self) -> None:
        """Have everything that waits read from where it is kept: a gap stands for that too."""
        self._waiting.clear()
        self.characters = 0
        self._waiting.append(GAP)
        self._arrived.set()

    def __aiter__(self) -> AsyncIterator[str | Gap]:
        return self

    async def __anext__(self) -> str | Gap:
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        message = self._waiting.popleft()
        if isinstance(message, str):
            self.characters -= len(message)
        return message


class SafeBroadcast(Broadcast):
    """A `Broadcast` whose subscribers all hear everything, or that something is missing.

    Args:
        backend: takes and brings the messages; it answers a `GapEvent` where some may be missing.
    """

    def __init__(self, backend: BroadcastBackend) -> None:
        super().__init__(backend=backend)
        self._mailboxes: dict[str, set[Mailbox]] = {}
        self._changing = asyncio.Lock()

    async def run(self) -> None:
        """Bring messages to their subscribers until cancelled."""
        async with self:
            await asyncio.wait({self._listener_task})

    async def disconnect(self) -> None:
        """Bring no more messages; the backend hangs up."""
        self._listener_task.cancel()
        await asyncio.wait({self._listener_task})
        await self._backend.disconnect()

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[Mailbox]:  # type: ignore[override] # has limits
        """A mailbox that gets all messages of a channel from now on."""
        mailbox = Mailbox()
        try:
            async with self._changing:
                mailboxes = self._mailboxes.setdefault(channel, set())
                mailboxes.add(mailbox)
                if len(mailboxes) == 1:
                    await self._backend.subscribe(channel)
            yield mailbox
        finally:
            # first, and without waiting: what follows may be cancelled
            self._mailboxes.get(channel, set()).discard(mailbox)
            async with self._changing:
                if self._mailboxes.get(channel) == set():
                    del self._mailboxes[channel]
                    await self._backend.unsubscribe(channel)

    async def _listener(self) -> None:
        number = 0
        while True:
            try:
                self._deliver(await self._backend.next_published())
            except Exception:
                logger.exception("A message between processes was lost to a fault")
                self._deliver(GapEvent())
                await asyncio.sleep(FAULT_SECONDS)
            number += 1
            if number % TURN == 0:
                await asyncio.sleep(0)

    def _deliver(self, event: Event) -> None:
        if not isinstance(event, GapEvent):
            for mailbox in self._mailboxes.get(event.channel, ()):
                mailbox.put(event.message)
            return
        BUS_GAPS.inc()
        channels = self._mailboxes if event.of_all else (event.channel,)
        for channel in channels:
            for mailbox in self._mailboxes.get(channel, ()):
                mailbox.put_gap()
