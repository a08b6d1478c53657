"""What a test sees of events: what waits in the outbox, and what was moved into the log."""

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

import asyncpg

from graphql_api.database.event import Topic

WAITING = "SELECT topic, payload FROM outbox ORDER BY id"
LOGGED = "SELECT number, topic, payload FROM event ORDER BY number"
DAYS = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'event'::regclass ORDER BY c.relname
"""
# A change of a thing of its own, as a trigger would write it.
TELL = "INSERT INTO outbox (topic, key, payload) SELECT $1, n, jsonb_build_object('n', n) FROM unnest($2::bigint[]) n"


@dataclass(frozen=True)
class EventCase:
    """The events of one test's database."""

    connection: asyncpg.Connection

    async def told(self, *topics: Topic) -> list[tuple[str, dict[str, Any]]]:
        """What waits for its number, about these topics or about all; it waits no longer."""
        rows = await self.connection.fetch(WAITING)
        await self.connection.execute("DELETE FROM outbox")
        return [(row[0], json.loads(row[1])) for row in rows if not topics or row[0] in topics]

    async def tell(self, *keys: int, topic: Topic = Topic.PRODUCT) -> None:
        """Things with these keys have changed, in one transaction."""
        await self.connection.execute(TELL, topic.value, list(keys))

    async def relay(self, most: int = 1_000, beyond: int = 0) -> list[int]:
        """Give numbers to one batch; answers them."""
        rows = await self.connection.fetch("SELECT number FROM relay_outbox($1, $2)", most, beyond)
        return [row[0] for row in rows]

    async def logged(self) -> list[tuple[int, str, dict[str, Any]]]:
        """Number, topic and payload of every event."""
        return [(row[0], row[1], json.loads(row[2])) for row in await self.connection.fetch(LOGGED)]

    async def days(self) -> list[str]:
        """The parts of the log, from the oldest."""
        return [row[0] for row in await self.connection.fetch(DAYS)]

    async def age(self, days: int) -> None:
        """Make everything so many days older: parts, events and the head."""
        for name in await self.days():
            await self.connection.execute(f"ALTER TABLE event DETACH PARTITION {name}")
            await self.connection.execute(f"UPDATE {name} SET recorded_on = recorded_on - {days}")  # noqa: S608 - our own
            day = dt.datetime.strptime(name, "event_%Y_%m_%d").date() - dt.timedelta(days=days)  # noqa: DTZ007 - a date
            await self.connection.execute(f"ALTER TABLE {name} RENAME TO event_{day:%Y_%m_%d}")
            await self.connection.execute(
                f"ALTER TABLE event ATTACH PARTITION event_{day:%Y_%m_%d} "
                f"FOR VALUES FROM ('{day}') TO ('{day + dt.timedelta(days=1)}')"
            )
        await self.connection.execute("UPDATE event_head SET recorded_on = recorded_on - $1::int", days)
