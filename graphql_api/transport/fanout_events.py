"""Subscribers of the same events: each event is executed once, its text handed to all of them.

Whoever keeps up is live: it has every message of the group. Whoever does not is passed over and costs nothing; once
ready, it gets what it missed from the group's ring or, where that no longer reaches back, from the log of events.
"""

import asyncio
from functools import partial
from typing import Any

from graphql_api.schema.live import EventStream, Opening
from graphql_api.schema.subscribing import Operation, Rights
from graphql_api.transport.fanout_group import SENDS, Machinery, SharingGroup
from graphql_api.transport.fanout_message import Message, Ring
from graphql_api.transport.fanout_opening import OpeningProgress, OpeningShare
from graphql_api.transport.fanout_reading import Reading
from graphql_api.transport.fanout_rendering import BATCH
from graphql_api.transport.fanout_subscriber import Subscriber


class EventGroup(SharingGroup):
    """Subscribers of the same events.

    Args:
        machinery: of the process.
        operation: what they have asked for.
        stream: which events; its functions are called once for all.
        rights: what they may see.
    """

    def __init__(self, machinery: Machinery, operation: Operation, stream: EventStream[Any], rights: Rights) -> None:
        super().__init__(machinery, operation, stream, rights)
        self._stream = stream
        self._reading = Reading(machinery, operation, stream, rights)
        self.matches = stream.matches
        # Up to here events have become messages; up to there all who are live have got them.
        self._begun = self._handed = machinery.dispatcher.seen
        self._ring = Ring(machinery.room, self._begun)
        self._openings = OpeningShare(self._read_opening, self._render)
        machinery.dispatcher.add(self)

    def begin(self, after: int) -> None:
        """Hand out what is behind event `after`, or behind what was already handed out."""
        self._advance(after)
        self.is_idle = False
        self.run(self._follow)

    def place_of(self, subscriber: Subscriber) -> int:
        """The number of the last event it needs no more."""
        if subscriber in self._live:
            self._rest()
            return max(subscriber.position, self._handed)
        return subscriber.position

    def serve(self, subscriber: Subscriber) -> None:
        """Give it what it missed; from then on it is live."""
        if subscriber.opening is None and subscriber.position >= self._ring.floor:
            if self.machinery.services.noticeboard.is_current:
                self._drain(subscriber)
        else:
            self.run_for(subscriber, partial(self._attend, subscriber))

    def stop(self) -> None:
        """Do nothing more and remember nothing."""
        super().stop()
        self._ring.clear()
        self._reading.forget()

    async def _follow(self) -> None:
        """Hand out events until there are no more."""
        while self._begun < self.machinery.dispatcher.seen:
            passage = await self._reading.events(self._begun)
            for first in range(0, len(passage.events), BATCH):
                batch = passage.events[first : first + BATCH]
                for message in await self._reading.messages(batch):
                    await self._hand_out(message)
                self._advance(batch[-1].number)
            self._advance(passage.until)
        self.is_idle = True

    async def _hand_out(self, message: Message) -> None:
        self.check_rights()
        await self.notices_heard()
        # from here on the ring has it, for whoever comes or falls behind in the meantime
        self._ring.add(message)
        self._begun = number = message.number
        for count, subscriber in enumerate(list(self._live), 1):
            if subscriber.group is self and subscriber.position < number:
                if subscriber.outlet.is_ready:
                    subscriber.take(message)
                else:
                    self._fall_behind(subscriber)
            if count % SENDS == 0:
                await asyncio.sleep(0)
                await self.notices_heard()
        self._handed = number

    def _fall_behind(self, subscriber: Subscriber) -> None:
        if subscriber in self._live:
            del self._live[subscriber]
            subscriber.position = max(subscriber.position, self._handed)

    def _advance(self, number: int) -> None:
        self._begun = max(self._begun, number)
        self._handed = self._begun

    def _rest(self) -> None:
        """While there is nothing for it, the group is where the dispatcher is."""
        if self.is_idle:
            self._advance(self.machinery.dispatcher.seen)

    def _drain(self, subscriber: Subscriber) -> None:
        """Hand over what the ring has for a subscriber; it is live when it has taken all of it."""
        for message in self._ring.after(subscriber.position):
            if not self._may_send(subscriber):
                return
            # taking one may wake it, and so give it the next ones
            if message.number > subscriber.position:
                subscriber.take(message)
        if subscriber.group is self:
            self._live[subscriber] = None

    async def _attend(self, subscriber: Subscriber) -> None:
        """Bring one subscriber to where the group is, as long as it is ready."""
        if subscriber.opening is not None:
            await self._open(subscriber, subscriber.opening)
        await self.notices_heard()
        while subscriber.opening is None and self._may_send(subscriber):
            if subscriber.position >= self._ring.floor:
                self._drain(subscriber)
                return
            await self._catch_up(subscriber)
            await self.notices_heard()

    async def _catch_up(self, subscriber: Subscriber) -> None:
        self._rest()
        messages, reached = await self._reading.past(subscriber.position, self._begun)
        self.check_rights()
        await self.notices_heard()
        for message in messages:
            if not self._may_send(subscriber):
                return
            subscriber.take(message)
        subscriber.position = max(subscriber.position, reached)
        await asyncio.sleep(0)  # others get their turn

    async def _open(self, subscriber: Subscriber, progress: OpeningProgress) -> None:
        opened = await self._openings.begin(progress)
        opening = opened.opening
        while progress.index < len(opening.values):
            text = await opened.text(progress.index)
            await self.notices_heard()
            if not self._may_send(subscriber):
                return
            progress.index += 1
            subscriber.send(text, None)
        subscriber.opening = None
        subscriber.position = opening.number
        if opening.is_last and subscriber.group is self:
            subscriber.end(None)

    def _may_send(self, subscriber: Subscriber) -> bool:
        return subscriber.group is self and subscriber.outlet.is_ready

    async def _render(self, value: Any) -> str:
        self.check_rights()
        return await self.machinery.rendering.text(self.operation, self.rights, value)

    async def _read_opening(self) -> Opening[Any]:
        open_ = self._stream.opening
        if open_ is None:
            return Opening((), self._begun)
        return await self.machinery.rendering.value(self.rights, open_)
