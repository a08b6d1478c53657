"""Workers are killed at random moments and imports run side by side; the books come out the same."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.import_job import ImportMode, ImportStatus
from graphql_api.services import import_job
from graphql_api.services.unit_of_work import unit_of_work
from tests.faults.worker_process import start_worker
from tests.sales_files import many_sales, sale, sales_csv
from tests.services.import_case import ImportCase, counts

PATIENCE = 120.0


@pytest.fixture
def case(database: Database, tmp_path: Path) -> ImportCase:
    return ImportCase(database, tmp_path)


@contextmanager
def worker_of(case: ImportCase) -> Iterator[None]:
    """A worker in a process of its own, which is killed when the block ends."""
    worker = start_worker(case.database.url, case.folder / "storage")
    try:
        yield
    finally:
        worker.kill()


async def offset(case: ImportCase, import_id: int) -> int:
    return (await case.job(import_id)).next_offset


async def until_past(case: ImportCase, import_id: int, goal: int) -> None:
    """Wait until the checkpoint has passed `goal` bytes or the job has ended."""
    async with asyncio.timeout(PATIENCE):
        while (job := await case.job(import_id)).next_offset < goal and job.status not in import_job.FINAL:  # noqa: ASYNC110 - another process moves it
            await asyncio.sleep(0.01)


async def until_ended(case: ImportCase, import_id: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await case.job(import_id)).status not in import_job.FINAL:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.05)


def awkward_file() -> bytes:
    """Good rows, bad rows, repeated ids and contradicting lines, scattered over many blocks."""
    rows: list[dict[str, Any]] = many_sales(3_000)
    for position in range(100, 3_000, 250):
        rows.insert(position, sale(f"bad{position}", date="2019-02-30"))
        rows.insert(position + 7, {**rows[3], "Bottles Sold": "99"})
        rows.insert(position + 9, dict(rows[5]))
    return sales_csv(rows)


@pytest.mark.parametrize("mode", list(ImportMode))
async def test_a_worker_killed_again_and_again_leaves_the_same_books(case: ImportCase, mode: ImportMode) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    rng = random.Random(seed)  # noqa: S311 - repeatable, no secret
    content = awkward_file()
    undisturbed = await case.load(content, mode=mode)
    expected = counts(undisturbed), await case.books(), await case.rejects(undisturbed.id)
    async with unit_of_work(case.database) as work:
        await import_job.revert_import(work, undisturbed.id)
    await case.runner.run(undisturbed.id)
    assert await case.books() == []

    import_id = await case.start(content, mode=mode)
    goals = sorted(rng.randrange(len(content)) for _ in range(4))
    for goal in goals:
        with worker_of(case):
            await until_past(case, import_id, goal)
            await asyncio.sleep(rng.random() * 0.03)
    with worker_of(case):
        await until_ended(case, import_id)
    job = await case.job(import_id)
    assert job.status is ImportStatus.COMPLETED
    assert (counts(job), await case.books(), await case.rejects(import_id)) == expected


async def test_a_cancelled_import_is_taken_back_by_the_next_worker(case: ImportCase) -> None:
    import_id = await case.start(awkward_file())
    with worker_of(case):
        await until_past(case, import_id, 50_000)
    async with unit_of_work(case.database) as work:
        await import_job.cancel_import(work, import_id)
    with worker_of(case):
        await until_ended(case, import_id)
    assert (await case.job(import_id)).status is ImportStatus.CANCELLED
    assert await case.books() == []


async def test_a_job_that_the_queue_has_lost_is_taken_up_when_a_worker_starts(case: ImportCase) -> None:
    import_id = await case.start(awkward_file())
    async with case.database.dedicated() as connection:
        await connection.execute("DELETE FROM jobs.pgqueuer")
    with worker_of(case):
        await until_ended(case, import_id)
    assert (await case.job(import_id)).status is ImportStatus.COMPLETED


async def test_two_workers_import_overlapping_files_at_once(case: ImportCase) -> None:
    rows = many_sales(2_000)
    first, second = sales_csv(rows[:1_500]), sales_csv(rows[500:])
    ids = [await case.start(first), await case.start(second)]
    with worker_of(case), worker_of(case):
        await asyncio.gather(*(until_ended(case, import_id) for import_id in ids))
    jobs = [await case.job(import_id) for import_id in ids]
    assert [(job.rows_rejected, job.rows_read) for job in jobs] == [(0, 1_500), (0, 1_500)]
    assert sum(job.rows_inserted for job in jobs) == len(await case.books()) == 2_000
    assert sum(job.rows_unchanged for job in jobs) == 1_000


async def test_the_same_file_imported_twice_at_once_is_imported_once(case: ImportCase) -> None:
    content = sales_csv(many_sales(1_000))
    ids = [await case.start(content) for _ in range(2)]
    runner = ImportCase(case.database, case.folder, block_bytes=16_384).runner
    await asyncio.gather(*(runner.run(import_id) for import_id in ids))
    jobs = [await case.job(import_id) for import_id in ids]
    assert sum(job.rows_inserted for job in jobs) == sum(job.rows_unchanged for job in jobs) == 1_000
    assert len(await case.books()) == 1_000
