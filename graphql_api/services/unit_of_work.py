"""One transaction, from the first lock to the commit; nothing below it commits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pgqueuer import AsyncpgDriver, Queries
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.domain.settings import DBSettings
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.database.engine import Database, driver_connection

# The job engine's tables live in a PostgreSQL schema of their own, out of the migrations' comparison.
JOB_SETTINGS = DBSettings(db_schema="jobs")


def job_queries(driver: AsyncpgDriver) -> Queries:
    """The job engine's statements, aimed at the `jobs` schema."""
    return Queries(
        driver,
        qbe=QueryBuilderEnvironment(JOB_SETTINGS),
        qbq=QueryQueueBuilder(JOB_SETTINGS),
        qbs=QuerySchedulerBuilder(JOB_SETTINGS),
    )


@dataclass(frozen=True)
class UnitOfWork:
    """What a service needs to change something: the open transaction and the way to ask for later work."""

    session: AsyncSession

    async def enqueue(self, job: str, payload: bytes) -> None:
        """Have a worker run `job` once this transaction has committed, and never if it has not."""
        driver = await driver_connection(await self.session.connection())
        await job_queries(AsyncpgDriver(driver)).enqueue(job, payload)


@asynccontextmanager
async def unit_of_work(database: Database) -> AsyncIterator[UnitOfWork]:
    """A transaction that commits when its block ends well and leaves no trace when it raises."""
    async with database.transaction() as session:
        yield UnitOfWork(session)
