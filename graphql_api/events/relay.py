"""The relay: gives every change its number, after its commit. One process of all leads.

Who leads holds an advisory lock, which goes with its connection. Who leads and falls silent, because it is frozen or
cut off, has its connection ended by those who wait. That two should lead for a moment does no harm: `relay_outbox`
lets one at a time give numbers.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from graphql_api.events.announcer import Announcer
from graphql_api.events.bus import Bus
from graphql_api.events.counters import RELAY_LEADING, RELAY_MOVED, RELAY_TERMS
from graphql_api.events.low_mark import LowMark

logger = logging.getLogger(__name__)

LEADER_LOCK = 7_303
# Some 15 ms of work: that long a small change waits for its turn while a large one is moved.
BATCH = 1_000
MESSAGE_BYTES = 256 << 10
# Besides the payload a message has the names of the fields.
FRAME_BYTES = 128
# How soon a change is found of which no word came.
POLL_SECONDS = 0.25
STAND_SECONDS = 0.2
SILENT_SECONDS = 1.0
DAYS_SECONDS = 60.0
CONNECT_SECONDS = 2.0
COMMAND_SECONDS = 10.0
RECONNECT_SECONDS = 0.2
WARN_SECONDS = 60.0
DAYS = "SELECT make_event_day((now() AT TIME ZONE 'UTC')::date + ahead) FROM generate_series(0, 1) AS ahead"
TRY_LOCK = "SELECT pg_try_advisory_lock($1)"
# The message is put together there, because the leader has better things to do while much is moved.
MOVE = """
WITH moved AS MATERIALIZED (SELECT * FROM relay_outbox($1, $2))
SELECT count(*) AS count, coalesce(max(number), 0) AS last,
       CASE WHEN sum(octet_length(payload::text) + $4::int) <= $3::int THEN json_build_object(
         'first', min(number),
         'events', json_agg(
           json_build_object('number', number, 'topic', topic, 'recorded_at', recorded_at, 'payload', payload)
           ORDER BY number
         )
       )::text END AS message
FROM moved
"""
# Looked up and ended in one statement, because the number of a backend that has ended may go to another. A backend
# that works is no sign of silence, unless it waits for its client.
END_SILENT = """
SELECT pg_terminate_backend(a.pid, 300) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.mode = 'ExclusiveLock' AND l.granted AND l.classid = 0 AND l.objid = $1
  AND l.objsubid = 1 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (a.state <> 'active' OR a.wait_event = 'ClientWrite')
  AND a.state_change < clock_timestamp() - make_interval(secs => $2)
"""


class Relay:
    """Moves what has changed from the outbox into the log, and tells of it.

    Args:
        url: `postgresql://…` of the database, without a pooler between that hands connections around.
        bus: where every process is told of the events, and where the others say that they have committed something.
    """

    def __init__(self, url: str, bus: Bus) -> None:
        self._url = url
        self._bus = bus
        self._announcer = Announcer(bus)
        self._news = asyncio.Event()
        self._is_leading = False

    @property
    def is_leading(self) -> bool:
        """Whether this process gives the numbers, as far as it knows."""
        return self._is_leading

    def wake(self) -> None:
        """Something was committed: look at once, or have the one who leads look."""
        if self._is_leading:
            self._news.set()
        else:
            self._bus.hint()

    async def run(self) -> None:
        """Lead, or wait to lead, until cancelled; a lost connection is replaced."""
        warn_at = 0.0
        clock = asyncio.get_running_loop().time
        while True:
            try:
                async with self._connected() as connection:
                    await self._stand(connection)
                    await self._lead(connection)
            except Exception as error:  # noqa: BLE001 - whatever it is, nothing may end the relay for good
                if clock() >= warn_at:
                    logger.warning("This process cannot number events and tries again: %r", _first(error))
                    warn_at = clock() + WARN_SECONDS
            await asyncio.sleep(RECONNECT_SECONDS * (1 + random.random()))  # noqa: S311 - spreads reconnects

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(
            self._url,
            timeout=CONNECT_SECONDS,
            command_timeout=COMMAND_SECONDS,
            server_settings={"timezone": "UTC", "application_name": "graphql-api relay"},
        )
        try:
            yield connection
        finally:
            connection.terminate()

    async def _stand(self, connection: asyncpg.Connection) -> None:
        """Wait for the lock; from whoever holds it and says nothing it is taken."""
        while not await connection.fetchval(TRY_LOCK, LEADER_LOCK):
            if await connection.fetch(END_SILENT, LEADER_LOCK, SILENT_SECONDS):
                logger.warning("The process that numbers events has fallen silent, its connection was ended")
                continue
            await asyncio.sleep(STAND_SECONDS * (0.8 + 0.4 * random.random()))  # noqa: S311 - so that one comes first

    async def _lead(self, connection: asyncpg.Connection) -> None:
        """Move whatever comes; returns never, raises when the connection is lost."""
        connection.add_termination_listener(lambda _: self._resign())
        RELAY_TERMS.inc()
        RELAY_LEADING.set(1)
        self._is_leading = True
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._announcer.run())
                group.create_task(self._hear_hints())
                await self._move_for_ever(connection)
        finally:
            self._resign()

    def _resign(self) -> None:
        self._is_leading = False
        RELAY_LEADING.set(0)

    async def _move_for_ever(self, connection: asyncpg.Connection) -> None:
        clock = asyncio.get_running_loop().time
        mark, days_due = LowMark(connection), 0.0
        while True:
            if clock() >= days_due:
                await connection.execute(DAYS)
                days_due = clock() + DAYS_SECONDS
            self._news.clear()
            await self._move_all(connection, mark)
            await mark.raise_when_due()
            try:
                # not `wait_for`, which in Python 3.11 loses a cancellation that comes together with news
                async with asyncio.timeout(POLL_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _move_all(self, connection: asyncpg.Connection, mark: LowMark) -> None:
        """Give numbers until nothing is left that has none; each batch is one transaction, told of after its commit."""
        while True:
            moved = await connection.fetchrow(MOVE, BATCH, mark.beyond(), MESSAGE_BYTES, FRAME_BYTES)
            if moved is None or not moved["count"]:
                return
            RELAY_MOVED.inc(moved["count"])
            self._announcer.tell(moved["last"], moved["message"])

    async def _hear_hints(self) -> None:
        """Look at once when another process has committed something."""
        async with self._bus.hints() as hints:
            async for _ in hints:
                self._news.set()


def _first(error: BaseException) -> BaseException:
    """What has gone wrong, without the groups around it."""
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
