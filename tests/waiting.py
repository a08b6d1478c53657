"""Waiting for what only the database can tell of."""

import asyncio

from graphql_api.database.engine import Database

PATIENCE = 60.0
HELD_UP = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


async def until_held_up(database: Database, count: int = 1) -> None:
    """Wait until so many transactions of this database wait for others."""
    async with asyncio.timeout(PATIENCE), database.dedicated() as connection:
        while await connection.fetchval(HELD_UP) < count:  # noqa: ASYNC110 - other connections change it
            await asyncio.sleep(0.01)
