"""One transaction, from the first lock to the commit; nothing below it commits."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import asyncpg
from pgqueuer import AsyncpgDriver, Queries
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.domain.settings import DBSettings
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.database.engine import Database, driver_connection, transaction_driver
from graphql_api.services.audit import Act, Change, write_change
from graphql_api.services.noticeboard import Notice, NoticeKind, post_notice
from graphql_api.services.policy import Viewer

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


class Unrecorded(AssertionError):  # noqa: N818 - reads as what happened
    """A change that somebody made was about to be kept without an entry in the audit record."""


@dataclass
class UnitOfWork:
    """What a service needs to change something: the open transaction and the way to ask for later work.

    Args:
        session: the open transaction; services flush it, never commit it.
        act: the attempt this is part of; None for what the program does by itself.
    """

    session: AsyncSession
    act: Act | None = None
    announced: list[Notice] = field(default_factory=list)
    _change: Change | None = None

    @property
    def actor_id(self) -> int | None:
        """Whose act this is; None for the operator and the program itself."""
        return self.act.actor.user_id if self.act and self.act.actor else None

    async def driver(self) -> asyncpg.Connection:
        """The driver's connection, inside of this transaction, for the statements of the ledger."""
        return await transaction_driver(self.session)

    async def enqueue(self, job: str, *payloads: bytes) -> None:
        """Have a worker run `job`, for each payload, once this transaction has committed; never if it has not."""
        driver = await driver_connection(await self.session.connection())
        count = len(payloads)
        await job_queries(AsyncpgDriver(driver)).enqueue([job] * count, list(payloads), [0] * count)

    async def announce(self, kind: NoticeKind, key: int) -> None:
        """Tell every process, at the commit, that what it remembers of this thing is out of date."""
        self.announced.append(await post_notice(self.session, kind, key))

    def record(
        self,
        entity: str,
        entity_id: int | None,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        actor: Viewer | None = None,
    ) -> None:
        """Say what this act changes, for the audit record; a transaction has one entry.

        Args:
            entity: the GraphQL type of the thing.
            entity_id: its key.
            before: its fields before; secrets are masked.
            after: its fields after.
            actor: who turned out to have acted, when that is known only now (somebody signing in).
        """
        if self._change is not None:
            raise Unrecorded("One act has one entry in the audit record.")
        self._change = Change(entity, entity_id, before, after)
        if actor is not None and self.act is not None:
            self.act = replace(self.act, actor=actor)

    async def close(self) -> None:
        """Write the entry of the audit record, last, because from then on others may wait for this transaction.

        Raises:
            Unrecorded: somebody changes something and nothing says what.
        """
        if self.act is None:
            return
        if self._change is None:
            raise Unrecorded(f"`{self.act.action}` does not say what it changed.")
        await self.session.flush()
        await write_change(self.session, self.act, self._change)


@asynccontextmanager
async def unit_of_work(database: Database, act: Act | None = None) -> AsyncIterator[UnitOfWork]:
    """A transaction that commits when its block ends well and leaves no trace when it raises."""
    async with database.transaction() as session:
        work = UnitOfWork(session, act)
        yield work
        await work.close()
