"""How long events are kept: whole days, which are parts of the table, so that forgetting costs nothing."""

import asyncio
import logging

from asyncpg.exceptions import LockNotAvailableError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.database.engine import Database

logger = logging.getLogger(__name__)

# Readers wait behind who waits for them, so that must not be long.
LOCK_TIMEOUT = text("SET LOCAL lock_timeout = '200ms'")
ATTEMPTS = 10
PAUSE_SECONDS = 1.0
HOLD = text("SELECT last FROM event_head WHERE id = 1 FOR UPDATE")
# Days go in their order, so what is kept has no hole.
OLDEST = text("""
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'event'::regclass AND c.relname ~ '^event_[0-9]{4}_[0-9]{2}_[0-9]{2}$'
  AND c.relname < to_char((now() AT TIME ZONE 'UTC')::date - CAST(:days AS integer), '"event_"YYYY"_"MM"_"DD')
ORDER BY c.relname LIMIT 1
""")
RAISE = 'UPDATE event_head SET forgotten = greatest(forgotten, (SELECT max(number) FROM "{}")) WHERE id = 1'
DROP = 'DROP TABLE "{}"'


async def forget_old_events(database: Database, days: int) -> int:
    """Forget the events of days that are more than `days` days past (UTC); answers how many days those were.

    Somebody who reads the log for long, such as a backup, keeps it as it is; the next time does what is left then.
    """
    forgotten = waits = 0
    while waits < ATTEMPTS:
        try:
            if not await _forget_oldest_day(database, days):
                return forgotten
            forgotten += 1
        except DBAPIError as error:
            if not isinstance(getattr(error.orig, "__cause__", None), LockNotAvailableError):
                raise
            waits += 1
            await asyncio.sleep(PAUSE_SECONDS)
    logger.warning("Old events are kept for now, because somebody reads them")
    return forgotten


async def _forget_oldest_day(database: Database, days: int) -> bool:
    """One day in one transaction, with the word of it."""
    async with database.transaction() as session:
        await session.execute(LOCK_TIMEOUT)
        # in the order of the relay: first the head, then the events
        await session.execute(HOLD)
        name = await session.scalar(OLDEST, {"days": days})
        if name is not None:
            await _drop(session, name)
        return name is not None


async def _drop(session: AsyncSession, name: str) -> None:
    await session.execute(text(RAISE.format(name)))
    await session.execute(text(DROP.format(name)))
