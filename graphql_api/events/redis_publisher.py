"""The connection to Redis that messages go out on: quick to give up, because nobody depends on a message."""

import asyncio
import math
from collections.abc import Callable
from time import monotonic

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

# After a message was not taken the next fail at once for so long, lest each of them wait for the same silent server.
REFUSE_SECONDS = 1.0
# What was idle for longer may have been forgotten by a firewall between.
IDLE_SECONDS = 20.0


class UnpublishedError(ConnectionError):
    """Redis has not taken a message, as far as we know."""


class RedisPublisher:
    """Publishes messages one after the other; whoever calls sets the deadline.

    Args:
        create_connection: makes a connection that is not connected yet.
    """

    def __init__(self, create_connection: Callable[[], AbstractConnection]) -> None:
        self._create_connection = create_connection
        self._connection: AbstractConnection | None = None
        self._used_at = 0.0
        self._refused_until = 0.0
        self._line = asyncio.Lock()

    def forgive(self) -> None:
        """Redis is known to be well: try again with the next message."""
        self._refused_until = 0.0

    def refuse(self) -> None:
        """Take no message any more."""
        self._refused_until = math.inf

    async def publish(self, channel: str, message: str) -> None:
        """Have Redis take a message.

        Raises:
            OSError, RedisError: it did not.
        """
        async with self._line:
            if monotonic() < self._refused_until:
                raise UnpublishedError("Redis did not answer a moment ago.")
            if monotonic() - self._used_at > IDLE_SECONDS:
                await self.close()
            try:
                await self._send_at_last(channel, message)
            except BaseException:
                self._refused_until = max(self._refused_until, monotonic() + REFUSE_SECONDS)
                await self.close()
                raise
            self._used_at = monotonic()

    async def close(self) -> None:
        """Hang up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def _send_at_last(self, channel: str, message: str) -> None:
        """Send; the server may have been started anew since the last message, so that a new connection helps."""
        if self._connection is not None:
            try:
                await self._send(self._connection, channel, message)
            except (OSError, RedisError):
                await self.close()
            else:
                return
        self._connection = self._create_connection()
        await self._connection.connect()  # type: ignore[no-untyped-call] # the library has no type there
        await self._send(self._connection, channel, message)

    async def _send(self, connection: AbstractConnection, channel: str, message: str) -> None:
        await connection.send_command("PUBLISH", channel, message, check_health=False)
        await connection.read_response(timeout=math.inf)
