import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import PoolProxiedConnection

from graphql_api.database import engine
from graphql_api.database.engine import Database


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


async def test_connections_recover_after_the_server_dropped_them(database: Database) -> None:
    async with database.read() as session:
        await session.execute(text("SELECT 1"))
    async with database.dedicated() as other:
        await other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    async with database.read() as session:
        assert await session.scalar(text("SELECT 1")) == 1


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
