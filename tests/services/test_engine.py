import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import PoolProxiedConnection

from graphql_api.database import engine
from graphql_api.database.engine import Database, transaction_driver
from graphql_api.services.faults import ServiceUnavailable, as_service_error

PATIENCE = 60.0


async def test_a_read_session_cannot_write(database: Database) -> None:
    async with database.read() as session:
        with pytest.raises(DBAPIError, match="read-only"):
            await session.execute(text("INSERT INTO vendor (name) VALUES ('X')"))


async def test_a_read_session_sees_one_snapshot(database: Database) -> None:
    count = text("SELECT count(*) FROM vendor")
    async with database.read() as reader:
        assert await reader.scalar(count) == 0
        async with database.transaction() as writer:
            await writer.execute(text("INSERT INTO vendor (name) VALUES ('X')"))
        assert await reader.scalar(count) == 0
    async with database.read() as reader:
        assert await reader.scalar(count) == 1


async def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    async def write_and_fail() -> None:
        async with database.transaction() as writer:
            await writer.execute(text("INSERT INTO vendor (name) VALUES ('X')"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await write_and_fail()
    async with database.read() as reader:
        assert await reader.scalar(text("SELECT count(*) FROM vendor")) == 0


async def test_an_error_does_not_show_the_values_of_its_statement(database: Database) -> None:
    async with database.read() as session:
        with pytest.raises(DBAPIError) as caught:
            await session.execute(text("SELECT 1 / length(left(:secret, 0))"), {"secret": "argon2 of somebody"})

    assert "division by zero" in str(caught.value)
    assert "argon2" not in str(caught.value)


async def test_the_url_may_ask_for_encryption_in_the_words_of_libpq(database: Database) -> None:
    encrypted = Database(f"{database.url}?sslmode=prefer")
    async with encrypted.read() as session, encrypted.dedicated() as connection:
        assert await session.scalar(text("SELECT 1")) == await connection.fetchval("SELECT 1")
    await encrypted.close()


TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


async def test_connections_recover_after_the_server_dropped_them(database: Database) -> None:
    dropped = asyncio.Event()
    async with database.read() as session:
        driver = await transaction_driver(session)
        driver.add_termination_listener(lambda _: dropped.set())
    async with database.dedicated() as other:
        await other.execute(TERMINATE)
    async with asyncio.timeout(PATIENCE):
        await dropped.wait()
    async with database.read() as session:
        assert await session.scalar(text("SELECT 1")) == 1


async def test_who_takes_a_connection_between_its_last_word_and_its_end_is_told_to_try_again(
    database: Database,
) -> None:
    # given a connection that was told that it ends and whose end has not yet come
    line = _LateGoodbye()
    async with line.to(database.url) as url, closed_after(Database(url)) as distant:
        async with distant.read() as session:
            await session.execute(text("SELECT 1"))
        async with database.dedicated() as other:
            await other.execute(TERMINATE)
        async with asyncio.timeout(PATIENCE):
            await line.said_goodbye.wait()

        # when it is taken
        async with distant.read() as session:
            with pytest.raises(DBAPIError) as caught:
                await session.execute(text("SELECT 1"))

        # then that is no fault of the program, and the next one gets another
        assert isinstance(as_service_error(caught.value), ServiceUnavailable)
        line.may_end.set()
        async with distant.read() as session:
            assert await session.scalar(text("SELECT 1")) == 1


@asynccontextmanager
async def closed_after(database: Database) -> AsyncIterator[Database]:
    try:
        yield database
    finally:
        await database.close()


class _LateGoodbye:
    """A way to the database on which words pass at once, and the end of a connection only when it may."""

    def __init__(self) -> None:
        self.said_goodbye = asyncio.Event()
        self.may_end = asyncio.Event()

    @asynccontextmanager
    async def to(self, url: str) -> AsyncIterator[str]:
        """The URL that leads to this database."""
        target = urlsplit(url)
        tasks: set[asyncio.Task[None]] = set()

        async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_connection(target.hostname, target.port)
            tasks.add(asyncio.create_task(self._carry(reader, back)))
            tasks.add(asyncio.create_task(self._carry(there, writer)))

        server = await asyncio.start_server(connect, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        login = target.netloc.rpartition("@")[0]
        try:
            yield target._replace(netloc=f"{login}@127.0.0.1:{port}").geturl()
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with closing(sink):
            while content := await source.read(65_536):
                sink.write(content)
                await sink.drain()
                if b"FATAL" in content:
                    self.said_goodbye.set()
            await self.may_end.wait()


async def test_a_connection_is_asked_for_a_sign_of_life_only_after_a_long_rest(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    pings: list[object] = []
    ping = database.engine.dialect.do_ping

    def counted(connection: PoolProxiedConnection) -> bool:
        pings.append(connection)
        return ping(connection)

    monkeypatch.setattr(database.engine.dialect, "do_ping", counted)

    async def use() -> None:
        async with database.read() as session:
            await session.execute(text("SELECT 1"))

    await use()

    # when it is used at once, and after it has rested
    await use()
    at_once = len(pings)
    monkeypatch.setattr(engine, "IDLE_SECONDS", 0.0)
    await use()

    # then
    assert (at_once, len(pings)) == (0, 1)
