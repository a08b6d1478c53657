"""The database a command works on: reachable, and with the schema it needs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from graphql_api.cli.description import describe
from graphql_api.cli.failure import CommandError, shown_address
from graphql_api.config import Settings
from graphql_api.database import migrate
from graphql_api.database.engine import Database
from graphql_api.database.user import Role, UserRow
from graphql_api.services.readiness import is_migrated
from graphql_api.services.resources import create_database

CONNECT_SECONDS = 10


@asynccontextmanager
async def open_database(settings: Settings, *, newest: bool = True) -> AsyncIterator[Database]:
    """The database, reachable; with the newest schema unless `newest` is false.

    Raises:
        CommandError: it cannot be reached, or its migrations were not run.
    """
    database = create_database(settings)
    try:
        await _check_connection(database)
        if newest and not await is_migrated(database):
            raise CommandError("The database does not have the newest schema. Run `graphql-api migrate` first.")
        yield database
    finally:
        await database.close()


async def upgrade(settings: Settings) -> None:
    """Bring the database to the newest schema."""
    async with open_database(settings, newest=False) as database:
        await migrate.upgrade(database)


async def has_administrator(database: Database) -> bool:
    """Whether somebody can sign in and do everything."""
    active = select(col(UserRow.id)).where(col(UserRow.role) == Role.ADMIN, col(UserRow.is_active)).limit(1)
    async with database.read() as session:
        return await session.scalar(active) is not None


async def _check_connection(database: Database) -> None:
    try:
        async with asyncio.timeout(CONNECT_SECONDS), database.engine.connect():
            return
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, SQLAlchemyError) as error:
        reason = "no answer" if isinstance(error, TimeoutError) else describe(error).rstrip(".")
        raise CommandError(
            f"PostgreSQL at {shown_address(database.url)} cannot be used: {reason}. "
            "Start it, correct DATABASE_URL, or remove DATABASE_URL to use one of our own."
        ) from error
