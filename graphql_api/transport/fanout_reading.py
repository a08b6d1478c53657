"""The events of one stream from anywhere: memory where it reaches back, else the log; and their messages."""

import asyncio
from collections.abc import Sequence
from itertools import islice
from typing import Any

from graphql_api.events.catalogue import Event
from graphql_api.events.cursor import CursorExpired
from graphql_api.events.log import Passage
from graphql_api.schema.live import EventStream
from graphql_api.schema.subscribing import Operation, Rights
from graphql_api.services.errors import ErrorCode
from graphql_api.services.faults import as_service_error
from graphql_api.transport.fanout_group import Machinery
from graphql_api.transport.fanout_message import Message, Past
from graphql_api.transport.fanout_rendering import wait_after_failure

# Events looked at in one go.
STRIDE = 500


class Reading:
    """Reads and renders the events of one stream for one group.

    Args:
        machinery: of the process.
        operation: what its subscribers have asked for.
        stream: which events, and how they are shown.
        rights: what its subscribers may see.
    """

    def __init__(self, machinery: Machinery, operation: Operation, stream: EventStream[Any], rights: Rights) -> None:
        self._machinery = machinery
        self._feed = machinery.services.feed
        self._operation = operation
        self._stream = stream
        self._rights = rights
        self._era = self._feed.era
        self._past = Past(machinery.room)
        self._turn = asyncio.Lock()

    def wants(self, event: Event) -> bool:
        """Whether an event is for this stream. One that cannot be judged is, and its result says so."""
        if event.fact is None or event.topic not in self._stream.topics:
            return False
        try:
            return self._stream.matches(event)
        except Exception:  # noqa: BLE001 - it comes up again where the event is executed
            return True

    async def events(self, after: int) -> Passage:
        """The events behind number `after` that are for this stream, of a stride.

        Raises:
            CursorExpired: some of them are no longer kept, or the log is another one than before.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                passage = self._remembered(after) or await self._logged(after)
            except CursorExpired:
                raise
            except Exception as error:
                known = as_service_error(error)
                if known is None or known.code not in {ErrorCode.SERVICE_UNAVAILABLE, ErrorCode.OPERATION_TIMEOUT}:
                    raise
                await wait_after_failure(attempt)
                continue
            if self._feed.era != self._era:
                raise CursorExpired
            return Passage([event for event in passage.events if self.wants(event)], passage.until)

    async def messages(self, events: Sequence[Event]) -> list[Message]:
        """The messages of events; those that say nothing are left out.

        Raises:
            IsPersonal: they cannot be shared.
        """
        rendered = await self._machinery.rendering.messages(self._operation, self._stream, self._rights, events)
        return [message for message in rendered if not message.is_empty]

    async def past(self, after: int, until: int) -> tuple[Sequence[Message], int]:
        """Messages behind event `after` and up to `until` at most, and up to where they go.

        Raises:
            CursorExpired, IsPersonal: as above.
        """
        async with self._turn, self._machinery.catch_ups:
            passage = await self.events(after)
            reached = min(passage.until, until)
            wanted = [event for event in passage.events if event.number <= reached]
            known = {event.number: message for event in wanted if (message := self._past.get(event.number))}
            for message in await self._rendered([event for event in wanted if event.number not in known]):
                known[message.number] = message
                self._past.add(message)
            return [message for event in wanted if not (message := known[event.number]).is_empty], reached

    def forget(self) -> None:
        """Remember nothing."""
        self._past.clear()

    async def _rendered(self, events: Sequence[Event]) -> list[Message]:
        if not events:
            return []
        return await self._machinery.rendering.messages(self._operation, self._stream, self._rights, events)

    async def _logged(self, after: int) -> Passage:
        return await self._feed.log.read(after, topics=self._stream.topics, most=STRIDE)

    def _remembered(self, after: int) -> Passage | None:
        events = self._feed.since(after)
        if events is None:
            return None
        stride = list(islice(events, STRIDE))
        return Passage(stride, stride[-1].number if stride else max(after, self._feed.last))
