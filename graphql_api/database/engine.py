"""Connections to PostgreSQL: one engine per process, short read sessions, explicit transactions."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, cast

import asyncpg
from sqlalchemy import event, text
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from graphql_api.config import asyncpg_url

# A firewall may forget a connection that nothing has passed through for a while, and tells nobody.
IDLE_SECONDS = 30.0


class Database:
    """What the rest of the program knows of PostgreSQL.

    Args:
        url: `postgresql://user:password@host:port/database`.
        pool_size: connections kept open; half as many again, and at least one, may be opened under load.
        timeout: seconds after which a statement of a request is given up.
    """

    def __init__(self, url: str, *, pool_size: int = 10, timeout: float = 30.0) -> None:
        self.url = url
        self.pool_size = pool_size
        self.engine: AsyncEngine = create_async_engine(
            asyncpg_url(url),
            pool_size=pool_size,
            max_overflow=max(1, pool_size // 2),
            # Errors are logged, and the values of a statement may be hashes of passwords and codes.
            hide_parameters=True,
            connect_args={"command_timeout": timeout, "server_settings": {"timezone": "UTC"}},
        )
        _replace_dead_connections(self.engine)
        self.on_commit: Callable[[], None] = _do_nothing
        self._reader = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session on one snapshot that cannot write; one per resolver, never one per request."""
        async with AsyncSession(self._reader, expire_on_commit=False) as session:
            yield session

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session that commits when its block ends well and rolls back when it raises.

        After the commit `on_commit` is called.
        """
        async with AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
            yield session
        self.on_commit()

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


def _do_nothing() -> None:
    """Nobody waits for commits."""


def _replace_dead_connections(engine: AsyncEngine) -> None:
    """Have connections that died with their server replaced instead of failing a request.

    The driver hears at once when the other side hangs up, so that costs nothing to ask. Only what has been idle for
    long is asked for a sign of life, which a ping before every use would cost three round trips.
    """

    def leave(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info["idle_since"] = monotonic()

    def take(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
        if connection.driver_connection.is_closed():
            raise InvalidatePoolError
        if monotonic() - record.info.get("idle_since", monotonic()) > IDLE_SECONDS:
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                raise InvalidatePoolError from error

    event.listen(engine.sync_engine, "checkin", leave)
    event.listen(engine.sync_engine, "checkout", take)


async def transaction_driver(session: AsyncSession) -> asyncpg.Connection:
    """The driver's connection inside of the session's transaction, for statements that go past SQLAlchemy."""
    connection = await driver_connection(await session.connection())
    if not connection.is_in_transaction():
        # SQLAlchemy begins the transaction with the first statement that goes through it
        await session.execute(text("SELECT"))
    return connection


async def driver_connection(connection: AsyncConnection) -> asyncpg.Connection:
    """The asyncpg connection underneath, for COPY; it shares the transaction."""
    raw = await connection.get_raw_connection()
    return cast("asyncpg.Connection", raw.driver_connection)
