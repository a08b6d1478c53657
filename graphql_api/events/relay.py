"""The relay: gives every change its number, after its commit. One process of all leads."""

import asyncio

import asyncpg

LEADER_LOCK = 7_303
BATCH = 1_000
POLL_SECONDS = 0.05
PARTITION = """
DO $$ DECLARE day date;
BEGIN
  FOR ahead IN 0..1 LOOP
    day := (now() AT TIME ZONE 'UTC')::date + ahead;
    EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF event FOR VALUES FROM (%L) TO (%L)',
                   'event_' || to_char(day, 'YYYY_MM_DD'), day, day + 1);
  END LOOP;
END $$
"""


class Relay:
    """Moves what has changed from the outbox into the log.

    Args:
        url: `postgresql://…` of the database.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def wake(self) -> None:
        """Something was committed: look at once."""

    async def run(self) -> None:
        """Lead, or wait to lead, until cancelled."""
        connection = await asyncpg.connect(self._url)
        try:
            await connection.execute("SELECT pg_advisory_lock($1)", LEADER_LOCK)
            await connection.execute(PARTITION)
            while True:
                await connection.fetch("SELECT number FROM relay_outbox($1)", BATCH)
                await asyncio.sleep(POLL_SECONDS)
        finally:
            connection.terminate()
