"""Messages over Redis: one connection that is kept, watched and replaced, and one for what goes out."""

import asyncio
import logging
import math
import random
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from broadcaster import BroadcastBackend, Event
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import RedisError

from graphql_api.events.broadcast import GapEvent
from graphql_api.events.counters import BUS_CONNECTED, BUS_RECONNECTS, UNREADABLE
from graphql_api.events.redis_publisher import RedisPublisher, UnpublishedError

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 1.0
# A publication takes this long at most, connecting included.
PUBLISH_SECONDS = 0.75
# After one such silence the server is asked for a sign of life, after so many it counts as gone. They are counted
# rather than timed, so that a process that was busy itself first reads what has come meanwhile.
SILENCE_SECONDS = 0.3
SILENCES = 4
# Pauses before an attempt to connect; each is twice as long as the one before.
SHORTEST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
MOST_FAILURES = 10
MAX_MESSAGE_BYTES = 1 << 20
OUTAGE = "Redis cannot be heard; events are read from the database meanwhile: %s: %s"


class RedisBackend(BroadcastBackend):
    """Brings messages for ever: a lost connection is replaced, and a `GapEvent` tells of it.

    Args:
        url: as Redis clients take it.
        prefix: what the names of channels on Redis begin with, asked for when it is first needed.
    """

    def __init__(self, url: str, prefix: Callable[[], Awaitable[str]]) -> None:
        self._pool = ConnectionPool.from_url(url)
        # deadlines are set here, around more than one step; the oldest protocol is spoken everywhere
        self._pool.connection_kwargs.update(
            protocol=2, socket_timeout=None, decode_responses=False, driver_info=None, health_check_interval=0
        )
        self._read_prefix = prefix
        self._prefix: str | None = None
        self._publisher = RedisPublisher(self._pool.make_connection)
        # Always subscribed to, so that the connection is one for messages from its first moment to its last.
        self._control = f"control.{secrets.token_hex(8)}"
        self._channels: set[str] = set()
        self._confirmations: dict[str, asyncio.Future[None]] = {}
        self._connection: AbstractConnection | None = None
        self._was_connected = False
        self._is_warned = False
        # Whether the connection was closed because the channels are others now.
        self._is_moving = False
        self._failures = 0
        self._silences = 0

    @property
    def is_connected(self) -> bool:
        """Whether messages are heard, as far as is known."""
        return self._connection is not None

    async def connect(self) -> None:
        """Nothing is to be done yet: waiting for messages connects."""

    async def disconnect(self) -> None:
        """Hang up, and publish no more."""
        self._publisher.refuse()
        await self._publisher.close()
        await self._hang_up()

    async def refresh(self) -> bool:
        """Ask anew what names of channels begin with; whether that has changed, so that others are heard now."""
        prefix = await self._read_prefix()
        if prefix == self._prefix:
            return False
        is_other = self._prefix is not None
        self._prefix = prefix
        if is_other and self._connection is not None:
            self._is_moving = True
            await self._connection.disconnect(nowait=True)
        return is_other

    async def publish(self, channel: str, message: Any) -> None:
        """Have Redis take a message.

        Raises:
            UnpublishedError: it did not, or not in time.
        """
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                await self._publisher.publish(await self._name(channel), message)
        except (OSError, RedisError) as error:
            raise UnpublishedError(f"Redis has not taken a message: {error!r}") from None

    async def subscribe(self, group: str) -> None:
        """Hear a channel. Without a connection that begins with the next one, and with a gap."""
        self._channels.add(group)
        connection = self._connection
        if connection is None or not connection.is_connected:
            return
        self._confirmations[group] = confirmation = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await connection.send_command("SUBSCRIBE", await self._name(group), check_health=False)
                await confirmation
        except (OSError, RedisError):
            # whoever reads from it notices, and replaces it
            await connection.disconnect(nowait=True)
        finally:
            self._confirmations.pop(group, None)

    async def unsubscribe(self, group: str) -> None:
        """Hear a channel no longer."""
        self._channels.discard(group)
        if self._connection is not None and self._connection.is_connected:
            with suppress(OSError, RedisError):
                await self._connection.send_command("UNSUBSCRIBE", await self._name(group), check_health=False)

    async def next_published(self) -> Event:
        """Wait for the next message, for as long as that takes and whatever happens to Redis meanwhile."""
        while True:
            try:
                event = await self._next()
            except Exception as error:  # noqa: BLE001 - whatever it is, nothing may end the listening for good
                event = await self._lose(error)
            if event is not None:
                return event

    async def _next(self) -> Event | None:
        if self._connection is not None:
            return await self._read(self._connection)
        if self._failures:
            pause = min(SHORTEST_PAUSE * 2 ** (self._failures - 1), LONGEST_PAUSE)
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - spreads reconnects of all processes
        await self._connect()
        return GapEvent()

    async def _name(self, channel: str) -> str:
        """What a channel is called on Redis."""
        if self._prefix is None:
            await self.refresh()
        return f"{self._prefix}{channel}"

    async def _connect(self) -> None:
        connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call] # as below
        try:
            await self._name(self._control)
            async with asyncio.timeout(CONNECT_SECONDS):
                await connection.connect()  # type: ignore[no-untyped-call] # the library has no type there
                await self._subscribe_to_all(connection)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        if self._was_connected:
            BUS_RECONNECTS.inc()
        if self._is_warned:
            logger.info("Redis is back: processes hear each other again")
        self._connection, self._was_connected, self._is_warned, self._silences = connection, True, False, 0
        self._publisher.forgive()
        BUS_CONNECTED.set(1)

    async def _subscribe_to_all(self, connection: AbstractConnection) -> None:
        """Subscribe to what is wanted; more may be wanted meanwhile."""
        heard: set[bytes] = set()
        prefix = self._prefix
        while missing := {f"{prefix}{name}".encode() for name in (self._control, *self._channels)} - heard:
            await connection.send_command("SUBSCRIBE", *missing, check_health=False)
            while missing - heard:
                reply = await connection.read_response(timeout=math.inf, push_request=True)
                if reply[0] == b"subscribe":
                    heard.add(reply[1])
        if prefix != self._prefix:
            raise ConnectionError("The channels are others by now.")

    async def _read(self, connection: AbstractConnection) -> Event | None:
        """The next message; None when something else has come, or nothing for a while."""
        reply = await connection.read_response(timeout=SILENCE_SECONDS, disconnect_on_error=False, push_request=True)
        if reply is None:
            await self._bear_silence(connection)
            return None
        self._silences = 0
        if not isinstance(reply, list) or reply[0] == b"pong":
            self._failures = 0
            return None
        kind, name, content = reply
        channel = name.decode().removeprefix(self._prefix or "")
        if kind == b"subscribe" and channel in self._confirmations and not self._confirmations[channel].done():
            self._confirmations[channel].set_result(None)
        return _read_message(channel, content) if kind == b"message" else None

    async def _bear_silence(self, connection: AbstractConnection) -> None:
        self._silences += 1
        if self._silences >= SILENCES:
            raise ConnectionError("Redis is silent.")
        if self._silences == 1:
            await connection.send_command("PING", check_health=False)

    async def _lose(self, error: Exception) -> Event | None:
        """Give the connection up; a gap tells at once that messages may be missing."""
        was_connected = self._connection is not None
        await self._hang_up()
        if self._is_moving:
            self._is_moving = False
            return GapEvent()
        self._failures = min(self._failures + 1, MOST_FAILURES)
        if not self._is_warned:
            logger.warning(OUTAGE, type(error).__name__, error)
        self._is_warned = True
        return GapEvent() if was_connected else None

    async def _hang_up(self) -> None:
        BUS_CONNECTED.set(0)
        connection, self._connection = self._connection, None
        for confirmation in self._confirmations.values():
            if not confirmation.done():
                confirmation.set_result(None)
        if connection is not None:
            await connection.disconnect(nowait=True)


def _read_message(channel: str, content: bytes) -> Event:
    """A message, or a gap in place of one that nobody can read."""
    try:
        if len(content) <= MAX_MESSAGE_BYTES:
            return Event(channel, content.decode())
    except UnicodeDecodeError:
        pass
    UNREADABLE.inc()
    return GapEvent(channel)
