"""Work that comes round by the clock: several workers, some of them stopped or killed, one run for each time."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import CursorResult, text

from graphql_api import worker as worker_module
from graphql_api.app import create_periodic
from graphql_api.database.engine import Database
from graphql_api.services.import_run import ImportRunner
from graphql_api.services.mail.delivery import FolderDelivery
from graphql_api.services.mail.runner import MailRunner
from graphql_api.services.periodic import Periodic, is_repeated
from graphql_api.services.storage import FileStorage
from graphql_api.worker import Worker
from tests.client import TEST_KEYS

PATIENCE = 120.0
POLL = timedelta(seconds=0.2)
# A worker that is too busy to give signs of life for so long is taken for dead, and its work is done again.
HEARTBEAT = timedelta(seconds=30)
YEARLY = "0 3 1 1 *"


class Workers:
    """Workers of one cluster that know the same work."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder

    @asynccontextmanager
    async def running(self, *work: Periodic) -> AsyncIterator[Worker]:
        imports = ImportRunner(self.database, FileStorage(str(self.folder)), 1 << 30)
        mails = MailRunner(self.database, FolderDelivery(self.folder, "shop@example.com"), TEST_KEYS)
        worker = Worker(self.database.url, imports, mails, heartbeat=HEARTBEAT, poll=POLL, periodic=work)
        task = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            worker.stop()
            await asyncio.wait_for(task, PATIENCE)

    async def execute(self, statement: str, **values: Any) -> int:
        async with self.database.transaction() as session:
            return cast("CursorResult[Any]", await session.execute(text(statement), values)).rowcount

    async def until(self, question: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while not await self.ask(question):  # noqa: ASYNC110 - workers tell nobody
                await asyncio.sleep(0.05)

    async def ask(self, question: str) -> Any:
        async with self.database.read() as session:
            return await session.scalar(text(question))


SCHEDULED = "SELECT count(*) = 1 FROM jobs.pgqueuer_schedules"
IDLE = "SELECT count(*) = 0 FROM jobs.pgqueuer"
COME_DUE = "UPDATE jobs.pgqueuer_schedules SET next_run = now() - interval '5 hours'"


@pytest.fixture
def workers(database: Database, tmp_path: Path) -> Workers:
    return Workers(database, tmp_path)


def counting() -> tuple[list[dt.datetime], Callable[[], Awaitable[None]]]:
    runs: list[dt.datetime] = []

    async def run() -> None:
        runs.append(dt.datetime.now(dt.UTC))

    return runs, run


async def test_a_time_that_came_while_nobody_was_up_is_made_good_once_by_one_of_three_workers(
    workers: Workers,
) -> None:
    runs, run = counting()
    work = Periodic("inventory", YEARLY, run)
    async with workers.running(work):
        await workers.until(SCHEDULED)
    assert not runs

    assert await workers.execute(COME_DUE) == 1
    async with workers.running(work), workers.running(work), workers.running(work):
        await workers.until("SELECT count(*) = 1 FROM jobs.pgqueuer_schedules WHERE last_run IS NOT NULL")
        await workers.until(IDLE)
        await asyncio.sleep(1.5)  # twice what a second run would need
    assert len(runs) == 1


async def test_every_second_is_run_for_once_at_most(workers: Workers) -> None:
    runs, run = counting()
    work = Periodic("pulse", "* * * * * *", run)
    started = dt.datetime.now(dt.UTC)
    async with workers.running(work), workers.running(work):
        async with asyncio.timeout(PATIENCE):
            while len(runs) < 3:  # noqa: ASYNC110 - counted by what runs elsewhere
                await asyncio.sleep(0.05)
    # workers that stop run what has come due by then
    elapsed = dt.datetime.now(dt.UTC) - started
    assert len(runs) <= elapsed.total_seconds() + 1


async def test_what_a_killed_worker_had_begun_another_begins_again(workers: Workers) -> None:
    runs, run = counting()
    work = Periodic("inventory", YEARLY, run)
    # given a worker that died with the work in its hands, longer ago than the heartbeat
    await workers.execute(
        "INSERT INTO jobs.pgqueuer (entrypoint, priority, status, queue_manager_id, heartbeat, dedupe_key) "
        "VALUES (:job, 0, 'picked', gen_random_uuid(), now() - interval '1 minute', :job)",
        job=work.job,
    )
    async with workers.running(work):
        await workers.until(IDLE)
    assert len(runs) == 1


async def test_a_worker_that_stops_hands_its_work_to_the_next(workers: Workers) -> None:
    begun = asyncio.Event()

    async def hang() -> None:
        begun.set()
        await asyncio.sleep(3600)

    async with workers.running(Periodic("inventory", YEARLY, hang)):
        await workers.until(SCHEDULED)
    await workers.execute(COME_DUE)
    async with workers.running(Periodic("inventory", YEARLY, hang)):
        await asyncio.wait_for(begun.wait(), PATIENCE)

    runs, run = counting()
    async with workers.running(Periodic("inventory", YEARLY, run)):
        await workers.until(IDLE)
    assert len(runs) == 1


async def test_work_that_fails_is_tried_again(
    workers: Workers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker_module, "_delay", lambda _job: timedelta(seconds=0.05))
    attempts = 0

    async def fail_twice() -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise OSError("the disk is full")

    work = Periodic("inventory", YEARLY, fail_twice)
    async with workers.running(work):
        await workers.until(SCHEDULED)
    await workers.execute(COME_DUE)
    async with workers.running(work):
        await workers.until("SELECT count(*) = 1 FROM jobs.pgqueuer_schedules WHERE last_run IS NOT NULL")
        await workers.until(IDLE)
    assert attempts == 3
    assert "The periodic work `inventory` failed" in caplog.text


async def test_the_program_checks_its_books_by_the_clock(workers: Workers, database: Database) -> None:
    work = create_periodic(database, 7)
    async with workers.running(*work):
        await workers.until("SELECT count(*) = 4 FROM jobs.pgqueuer_schedules")

    await workers.execute(COME_DUE)
    async with workers.running(*work):
        await workers.until("SELECT count(*) = 0 FROM jobs.pgqueuer_schedules WHERE last_run IS NULL")
        await workers.until(IDLE)

    assert await workers.ask("SELECT count(*) = 1 FROM books_check WHERE violated = '{}'")
    assert {one.name for one in work} == {"books", "low-stock", "idempotency-keys", "events"}


MIDNIGHT = dt.datetime(2024, 3, 15, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("last_run", "repeated"),
    [
        (None, False),
        (MIDNIGHT - timedelta(days=1), False),
        (MIDNIGHT - timedelta(milliseconds=400), True),  # a clock ahead of the database's had it come early
        (MIDNIGHT - timedelta(hours=13), False),
    ],
)
def test_a_time_that_comes_twice_by_unequal_clocks_is_known(last_run: dt.datetime | None, *, repeated: bool) -> None:
    assert is_repeated(MIDNIGHT, MIDNIGHT + timedelta(days=1), last_run) is repeated
