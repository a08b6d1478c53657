"""What an operator does to accounts at the command line: one transaction, with its entry in the audit record."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from graphql_api.cli.database import open_database, upgrade
from graphql_api.cli.servers import servers
from graphql_api.config import Settings, load_settings
from graphql_api.database.engine import Database
from graphql_api.services.audit import Act, write_refusal
from graphql_api.services.errors import ServiceError
from graphql_api.services.unit_of_work import UnitOfWork, unit_of_work

Answer = TypeVar("Answer")


def on_database(work: Callable[[Settings, Database], Awaitable[Answer]]) -> Answer:
    """Do something with the database of the settings, reachable and with the newest schema."""
    given = load_settings()
    with servers(given) as settings:
        # somebody else's database is migrated on purpose only
        return asyncio.run(_run(settings, work, is_own=given.database_url is None))


async def operate(database: Database, command: str, change: Callable[[UnitOfWork], Awaitable[Answer]]) -> Answer:
    """Change something as the operator of the program.

    Args:
        database: where.
        command: what stands in the audit record after `cli`.
        change: does it, and says what it did with `work.record`.

    Raises:
        ServiceError: it is refused; the refusal is recorded.
    """
    act = Act(f"cli {command}")
    try:
        async with unit_of_work(database, act) as work:
            return await change(work)
    except ServiceError as error:
        async with database.transaction() as session:
            await write_refusal(session, act, error.code)
        raise


async def _run(settings: Settings, work: Callable[[Settings, Database], Awaitable[Answer]], *, is_own: bool) -> Answer:
    if is_own:
        await upgrade(settings)
    async with open_database(settings) as database:
        return await work(settings, database)
