import socket

import asyncpg
import pytest
from sqlalchemy import exc, text

from graphql_api.database.engine import Database
from graphql_api.services.errors import BadInput, ErrorCode
from graphql_api.services.faults import as_service_error


def code_of(error: BaseException) -> ErrorCode | None:
    found = as_service_error(error)
    return found.code if found else None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TimeoutError(), ErrorCode.OPERATION_TIMEOUT),
        (asyncpg.QueryCanceledError(), ErrorCode.OPERATION_TIMEOUT),
        (exc.TimeoutError(), ErrorCode.SERVICE_UNAVAILABLE),
        (ConnectionRefusedError(), ErrorCode.SERVICE_UNAVAILABLE),
        (socket.gaierror(), ErrorCode.SERVICE_UNAVAILABLE),
        (asyncpg.AdminShutdownError(), ErrorCode.SERVICE_UNAVAILABLE),
        (asyncpg.DeadlockDetectedError(), ErrorCode.CONFLICT),
        (asyncpg.SerializationError(), ErrorCode.CONFLICT),
        (BadInput("no"), ErrorCode.BAD_USER_INPUT),
        (ValueError("a fault of ours"), None),
        (asyncpg.UndefinedTableError(), None),
    ],
)
def test_each_fault_has_its_code(error: BaseException, code: ErrorCode | None) -> None:
    assert code_of(error) == code


async def failure_of(database: Database, statement: str) -> Exception:
    try:
        async with database.read() as session:
            await session.execute(text(statement))
    except Exception as error:  # noqa: BLE001 - the test looks at whatever comes
        return error
    raise AssertionError("the statement did not fail")


async def test_a_slow_statement_is_a_timeout(database_url: str) -> None:
    impatient = Database(database_url, timeout=0.2)

    assert code_of(await failure_of(impatient, "SELECT pg_sleep(5)")) == ErrorCode.OPERATION_TIMEOUT
    await impatient.close()


async def test_a_statement_the_server_cancels_is_a_timeout(database: Database) -> None:
    statement = "SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(1)"

    assert code_of(await failure_of(database, statement)) == ErrorCode.OPERATION_TIMEOUT


async def test_a_killed_connection_is_an_outage(database: Database) -> None:
    statement = "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(1)"

    assert code_of(await failure_of(database, statement)) == ErrorCode.SERVICE_UNAVAILABLE


async def test_a_server_that_does_not_answer_is_an_outage() -> None:
    nowhere = Database("postgresql://postgres@127.0.0.1:1/postgres")

    assert code_of(await failure_of(nowhere, "SELECT 1")) == ErrorCode.SERVICE_UNAVAILABLE
    await nowhere.close()


async def test_a_wrong_statement_is_a_fault_of_ours(database: Database) -> None:
    assert code_of(await failure_of(database, "SELECT * FROM nothing_of_this_name")) is None
