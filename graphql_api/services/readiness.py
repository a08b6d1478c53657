"""Whether everything the program stands on is there: the database, its newest schema, and Redis."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache

from alembic.script import ScriptDirectory
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from graphql_api.database.engine import Database
from graphql_api.database.migrate import SCRIPTS

PATIENCE_SECONDS = 1.0
READY = "ready"
UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class Part:
    """One thing that is needed, and its state in one word."""

    name: str
    state: str

    @property
    def is_ready(self) -> bool:
        """Whether this part is as it should be."""
        return self.state == READY


@dataclass(frozen=True)
class Readiness:
    """Asks the servers; each has one second to answer."""

    database: Database
    redis: Redis

    async def parts(self) -> list[Part]:
        """Every part with its state: `ready`, `unreachable`, or `outdated` for migrations that were not run."""
        newest_revision()  # reads files the first time, which is not the servers' second
        (database, migrations), redis = await asyncio.gather(self._database(), self._redis())
        return [Part("database", database), Part("migrations", migrations), Part("redis", redis)]

    async def _database(self) -> tuple[str, str]:
        is_current = await _within_patience(lambda: is_migrated(self.database))
        if is_current is None:
            return UNREACHABLE, UNREACHABLE
        return READY, READY if is_current else "outdated"

    async def _redis(self) -> str:
        answer = await _within_patience(self.redis.ping)
        return READY if answer else UNREACHABLE


async def is_migrated(database: Database) -> bool:
    """Whether the database has the newest schema this program knows."""
    async with database.read() as session:
        try:
            revision = await session.scalar(text("SELECT version_num FROM alembic_version"))
        except ProgrammingError:
            return False  # the table is not there before the first migration
    return bool(revision == newest_revision())


@cache
def newest_revision() -> str | None:
    """The revision of the newest migration in the program's files."""
    return ScriptDirectory(str(SCRIPTS)).get_current_head()


async def _within_patience(ask: Callable[[], Awaitable[bool]]) -> bool | None:
    """The answer, or None when there is none within a second."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await ask()
    except Exception:  # noqa: BLE001 - whatever the driver raises, the part is not there
        return None
