"""Connections to PostgreSQL: one engine per process, short read sessions, explicit transactions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine

from graphql_api.config import asyncpg_url


class Database:
    """What the rest of the program knows of PostgreSQL.

    Args:
        url: `postgresql://user:password@host:port/database`.
        pool_size: connections kept open; half as many again may be opened under load.
        timeout: seconds after which a statement of a request is given up.
    """

    def __init__(self, url: str, *, pool_size: int = 10, timeout: float = 30.0) -> None:
        self.url = url
        self.engine: AsyncEngine = create_async_engine(
            asyncpg_url(url),
            pool_size=pool_size,
            max_overflow=pool_size // 2,
            # A connection that died with its server is replaced instead of failing a request.
            pool_pre_ping=True,
            # Errors are logged, and the values of a statement may be hashes of passwords and codes.
            hide_parameters=True,
            connect_args={"command_timeout": timeout, "server_settings": {"timezone": "UTC"}},
        )
        self._reader = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session on one snapshot that cannot write; one per resolver, never one per request."""
        async with AsyncSession(self._reader, expire_on_commit=False) as session:
            yield session

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session that commits when its block ends well and rolls back when it raises."""
        async with AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @asynccontextmanager
    async def dedicated(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection outside of the pool and without a time limit, for work that takes minutes."""
        connection = await asyncpg.connect(self.url, server_settings={"timezone": "UTC"})
        try:
            yield connection
        finally:
            await connection.close(timeout=5)

    async def close(self) -> None:
        """Close every pooled connection."""
        await self.engine.dispose()


async def driver_connection(connection: AsyncConnection) -> asyncpg.Connection:
    """The asyncpg connection underneath, for COPY; it shares the transaction."""
    raw = await connection.get_raw_connection()
    return cast("asyncpg.Connection", raw.driver_connection)
