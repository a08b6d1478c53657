"""Subscribers of the same state: it is read once after changes, and they get what leads from one to the next.

A subscriber's position is the version of the state it has. Whoever is new, or has missed a difference, gets all of the
present state, whose text is made once for all who need it.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from graphql_api.schema.live import StateStream
from graphql_api.schema.subscribing import Operation, Rights
from graphql_api.transport.fanout_group import SENDS, Machinery, SharingGroup
from graphql_api.transport.fanout_rendering import IsPersonal
from graphql_api.transport.fanout_subscriber import Subscriber

# No version: everything is missing.
NOTHING = 0


@dataclass(frozen=True)
class _Reading:
    """What came of reading the state."""

    state: Any = None
    failure: Exception | None = None


class StateGroup(SharingGroup):
    """Subscribers of the same state.

    Args:
        machinery: of the process.
        operation: what they have asked for.
        stream: the state; its functions are called once for all.
        rights: what they may see.
    """

    def __init__(
        self, machinery: Machinery, operation: Operation, stream: StateStream[Any, Any], rights: Rights
    ) -> None:
        super().__init__(machinery, operation, stream, rights)
        self._stream = stream
        self._read_at = float("-inf")
        self._version = NOTHING
        self._reading: _Reading | None = None
        # all of this version as text, once somebody needed it
        self._whole: str | None = None
        self._turn = asyncio.Lock()
        self._following: asyncio.Task[None] | None = None
        self._serving: asyncio.Task[None] | None = None
        machinery.dispatcher.add(self)
        self.begin(NOTHING)

    def begin(self, after: int) -> None:  # noqa: ARG002 - the state is of now, whatever has led to it
        """Read the state anew, when it is time."""
        self.is_idle = False
        if self._following is None or self._following.done():
            self._following = self.run(self._follow)

    def start_over(self) -> None:
        """The log is another one, so everything may have changed."""
        self.begin(NOTHING)

    def place_of(self, subscriber: Subscriber) -> int:  # noqa: ARG002 - the same for all
        """Elsewhere it begins anew."""
        return NOTHING

    def serve(self, subscriber: Subscriber) -> None:  # noqa: ARG002 - the others are served on the way
        """Give it all of the present state."""
        if self._version and (self._serving is None or self._serving.done()):
            self._serving = self.run(self._give_whole)

    async def _follow(self) -> None:
        while not self.is_idle:
            await asyncio.sleep(max(0.0, self._read_at + self._stream.throttle - time.monotonic()))
            # what happens from here on is another reason to read it
            self.is_idle = True
            self.check_rights()
            reading = await self._read()
            self._read_at = time.monotonic()
            await self._change_to(reading)

    async def _read(self) -> "_Reading":
        try:
            return _Reading(state=await self.machinery.rendering.value(self.rights, self._stream.read))
        except IsPersonal:
            raise
        except Exception as error:  # noqa: BLE001 - its subscribers hear of it, and the next change is another chance
            return _Reading(failure=error)

    async def _change_to(self, reading: "_Reading") -> None:
        async with self._turn:
            before, self._reading = self._reading, reading
            if before is None or before.failure or reading.failure:
                text = self._whole = await self._whole_text(reading)
            else:
                difference = self._stream.difference(before.state, reading.state)
                if difference is None:
                    return
                text, self._whole = await self._text(difference), None
            await self.notices_heard()
            self._version += 1
            await self._hand_out(text)
        self.wake_waiting()

    async def _hand_out(self, text: str) -> None:
        """Give a difference to those who have everything before it; the others have to wait for all of the state."""
        for count, subscriber in enumerate(list(self._live), 1):
            if subscriber.group is self and subscriber in self._live:
                if subscriber.outlet.is_ready:
                    subscriber.position = self._version
                    subscriber.send(text, None)
                else:
                    del self._live[subscriber]
            await self._pause(count)

    async def _give_whole(self) -> None:
        """Give all of the state to those who wait for it and are ready."""
        async with self._turn:
            while waiting := [one for one in self.subscribers if one not in self._live and one.outlet.is_ready]:
                if self._whole is None and self._reading is not None:
                    self._whole = await self._whole_text(self._reading)
                self.check_rights()
                await self.notices_heard()
                for count, subscriber in enumerate(waiting, 1):
                    self._begin_with(subscriber, self._whole or "")
                    await self._pause(count)

    def _begin_with(self, subscriber: Subscriber, text: str) -> None:
        if subscriber.group is self and subscriber.outlet.is_ready:
            # before the message, because whoever takes it may leave at once
            self._live[subscriber] = None
            subscriber.position = self._version
            subscriber.send(text, None)

    async def _pause(self, count: int) -> None:
        """Let others have their turn, now and then."""
        if count % SENDS == 0:
            await asyncio.sleep(0)
            await self.notices_heard()

    async def _whole_text(self, reading: "_Reading") -> str:
        if reading.failure is not None:
            return self.machinery.rendering.failure_text(self.operation, self.rights, reading.failure)
        return await self._text(self._stream.whole(reading.state))

    async def _text(self, value: Any) -> str:
        return await self.machinery.rendering.text(self.operation, self.rights, value)
