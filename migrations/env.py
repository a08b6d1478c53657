"""Alembic's entry: runs on the connection it is handed, or on DATABASE_URL."""

import asyncio

from alembic import context
from sqlalchemy import Connection, pool
from sqlalchemy.ext.asyncio import create_async_engine

from graphql_api.database.tables import metadata


def is_compared(name: str | None, kind: str, _parents: object) -> bool:
    """Whether a migration speaks of this; the days of the event log come and go by themselves."""
    return kind != "table" or not (name or "").startswith("event_2")


def run(connection: Connection) -> None:
    """Migrate over an open connection."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_name=is_compared,
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_on_url(url: str) -> None:
    """Open a connection of our own; used by the `alembic` command."""
    engine = create_async_engine(url, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()
    await engine.dispose()


handed_over: Connection | None = context.config.attributes.get("connection")
if handed_over is None:
    asyncio.run(run_on_url(context.config.attributes["url"]))
else:
    run(handed_over)
