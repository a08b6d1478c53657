"""What processes tell each other over Redis. It is the fast way and may fail: the truth is in the database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from graphql_api.events.broadcast import Gap, Mailbox, SafeBroadcast
from graphql_api.events.counters import BUS_UNPUBLISHED
from graphql_api.events.redis_backend import RedisBackend

EVENTS = "events"
HINTS = "hints"
HINT = "committed"


class Bus:
    """The channels of one log that all processes share.

    Args:
        redis_url: None does without: nothing is published, and nothing ever comes.
        identity: tells the database from every other, its copies included; or what to ask for it.
    """

    def __init__(self, redis_url: str | None, identity: str | Callable[[], Awaitable[str]]) -> None:
        self._identity = identity
        self._backend = None if redis_url is None else RedisBackend(redis_url, self._prefix)
        self._broadcast = None if self._backend is None else SafeBroadcast(self._backend)
        self._hinting: asyncio.Task[None] | None = None
        self._is_hint_waiting = False

    @property
    def is_connected(self) -> bool:
        """Whether messages are heard, as far as is known."""
        return self._backend is not None and self._backend.is_connected

    async def run(self) -> None:
        """Keep the connection until cancelled."""
        if self._broadcast is None:
            await asyncio.Event().wait()
            return
        try:
            await self._broadcast.run()
        finally:
            await self.close()

    async def close(self) -> None:
        """Hang up, once a hint that was given is out; for a process that only tells and never runs this."""
        if self._hinting is not None:
            await asyncio.wait({self._hinting})
        if self._backend is not None:
            await self._backend.disconnect()

    async def refresh(self) -> bool:
        """Ask for the identity again; whether it has changed, so that the messages of another log come now."""
        return self._backend is not None and await self._backend.refresh()

    async def publish_events(self, text: str) -> bool:
        """Tell of events. False, soon, when it did not go out: whoever needs them reads them from the log."""
        return await self._publish(EVENTS, text)

    def hint(self) -> None:
        """Tell that something was committed, soon and without waiting; many hints at once become one."""
        if self._backend is None:
            return
        if self._hinting is not None:
            self._is_hint_waiting = True
            return
        self._hinting = asyncio.get_running_loop().create_task(self._send_hints())

    def events(self) -> AbstractAsyncContextManager[AsyncIterator[str | Gap]]:
        """Everything that is told of events from now on; a `Gap` where something may be missing."""
        return self._subscribe(EVENTS)

    def hints(self) -> AbstractAsyncContextManager[AsyncIterator[object]]:
        """Something for each time that something was committed, or may have been."""
        return self._subscribe(HINTS)

    @asynccontextmanager
    async def _subscribe(self, channel: str) -> AsyncIterator[Mailbox]:
        if self._broadcast is None:
            yield Mailbox()
            return
        async with self._broadcast.subscribe(channel) as mailbox:
            yield mailbox

    async def _send_hints(self) -> None:
        try:
            self._is_hint_waiting = True
            while self._is_hint_waiting:
                self._is_hint_waiting = False
                await self._publish(HINTS, HINT)
        finally:
            self._hinting = None

    async def _publish(self, channel: str, message: str) -> bool:
        if self._backend is None:
            return False
        try:
            await self._backend.publish(channel, message)
        except Exception:  # noqa: BLE001 - whatever it is: what was told of is committed, and found in the log
            BUS_UNPUBLISHED.inc()
            return False
        return True

    async def _prefix(self) -> str:
        identity = self._identity if isinstance(self._identity, str) else await self._identity()
        return f"graphql_api.{identity}."
