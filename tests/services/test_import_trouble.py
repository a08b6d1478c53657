"""Jobs whose files, queue entries or luck are gone, and imports that meet in the same lines."""

import asyncio
import csv
import io
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.import_job import ImportJobRow, ImportMode, ImportStatus
from graphql_api.services import import_job, import_reject
from graphql_api.services.unit_of_work import unit_of_work
from tests.sales_files import HEADER, many_sales, sale, sales_csv
from tests.services.import_case import REFERENCES, ImportCase, counts

TRIED = 3
BREAK_INSERTS = """
CREATE FUNCTION break_it() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN RAISE division_by_zero; END';
CREATE TRIGGER breaks BEFORE INSERT ON invoice_line FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0)
  EXECUTE FUNCTION break_it()
"""
BREAK_DELETES = BREAK_INSERTS.replace("BEFORE INSERT", "BEFORE DELETE")


@pytest.fixture
def case(database: Database, tmp_path: Path) -> ImportCase:
    return ImportCase(database, tmp_path, block_bytes=8_192)


async def execute(case: ImportCase, statement: str) -> None:
    async with case.database.dedicated() as connection:
        await connection.execute(statement)


async def revert(case: ImportCase, import_id: int) -> ImportJobRow:
    async with unit_of_work(case.database) as work:
        await import_job.revert_import(work, import_id)
    await case.runner.run(import_id)
    return await case.job(import_id)


async def run_until_given_up(case: ImportCase, import_id: int) -> None:
    runner = replace(case.runner, attempts=TRIED)
    for _ in range(TRIED - 1):
        with pytest.raises(Exception, match="division"):
            await runner.run(import_id)
    await runner.run(import_id)


async def test_a_job_that_always_fails_ends_and_tells_what_to_report(
    case: ImportCase, caplog: pytest.LogCaptureFixture
) -> None:
    import_id = await case.start(sales_csv(many_sales(200)))
    await execute(case, BREAK_INSERTS)
    with caplog.at_level(logging.ERROR):
        await run_until_given_up(case, import_id)
    job = await case.job(import_id)
    assert job.failure is not None
    assert (job.status, job.failure["code"]) == (ImportStatus.FAILED, "INTERNAL_ERROR")
    assert job.finished_at
    reference = job.failure["message"].rstrip(".").rsplit(" ", 1)[1]
    assert reference in caplog.text
    assert await case.table_sizes() == dict.fromkeys(REFERENCES, 0)


async def test_an_import_that_cannot_be_taken_back_is_as_it_was(case: ImportCase) -> None:
    job = await case.load(sales_csv(many_sales(20)))
    books = await case.books()
    await execute(case, BREAK_DELETES)
    async with unit_of_work(case.database) as work:
        await import_job.revert_import(work, job.id)
    await run_until_given_up(case, job.id)
    job = await case.job(job.id)
    assert job.failure is not None
    assert (job.status, job.failure["code"]) == (ImportStatus.COMPLETED, "INTERNAL_ERROR")
    assert await case.books() == books
    await execute(case, "DROP TRIGGER breaks ON invoice_line")
    job = await revert(case, job.id)
    assert (job.status, job.failure) == (ImportStatus.REVERTED, None)


async def test_a_stored_file_that_is_gone_ends_the_job(case: ImportCase) -> None:
    import_id = await case.start(sales_csv(many_sales(5)))
    await case.storage.delete((await case.job(import_id)).storage_key)
    await case.runner.run(import_id)
    job = await case.job(import_id)
    assert job.failure is not None
    assert (job.status, job.failure["code"]) == (ImportStatus.FAILED, "FILE_MISSING")


async def test_jobs_lost_by_the_queue_are_queued_again(case: ImportCase) -> None:
    content = sales_csv(many_sales(5))
    lost, queued = await case.start(content), await case.start(content)
    ended = (await case.load(content)).id
    await execute(case, f"DELETE FROM jobs.pgqueuer WHERE payload <> '{queued}'")  # noqa: S608 - a number
    assert await case.runner.adopt_lost_jobs() == [lost]
    assert await case.runner.adopt_lost_jobs() == []
    payloads = await case.query("SELECT convert_from(payload, 'UTF8') FROM jobs.pgqueuer ORDER BY id")
    assert payloads == [(str(queued),), (str(lost),)]
    assert ended not in {queued, lost}


async def test_a_replaced_line_keeps_the_product_it_may_return_to(case: ImportCase) -> None:
    maker = await case.load(sales_csv([sale("M100001", item_number="77", county="ADAIR", county_number="1")]))
    user = await case.load(sales_csv([sale("U100001", item_number="77", county="ADAIR", county_number="1")]))
    other = await case.load(sales_csv([sale("U100001", item_number="88")]), mode=ImportMode.UPSERT)
    assert (await revert(case, maker.id)).status is ImportStatus.REVERTED
    assert (await revert(case, other.id)).status is ImportStatus.REVERTED
    assert [(row[0], row[7]) for row in await case.books()] == [("U1", "77")]
    await revert(case, user.id)
    assert await case.table_sizes() == dict.fromkeys(REFERENCES, 0)


async def test_refused_rows_leave_no_products_behind(case: ImportCase) -> None:
    await case.load(sales_csv([sale("S1000001")]))
    before = await case.table_sizes()
    job = await case.load(sales_csv([sale("S1000001", item_number="999", county="NEW", county_number="9")]))
    assert job.rows_rejected == 1
    assert await case.table_sizes() == before


async def test_a_younger_import_may_replace_what_an_older_one_is_still_writing(case: ImportCase) -> None:
    rows = [sale("S1000001", bottles_sold="3"), *many_sales(3_000), sale("S1000001", bottles_sold="3")]
    await case.load(sales_csv([sale("S1000001")]))
    older = await case.start(sales_csv(rows), mode=ImportMode.UPSERT)
    running = asyncio.create_task(case.runner.run(older))
    while (await case.job(older)).rows_updated == 0:  # noqa: ASYNC110 - the job says it in its row
        await asyncio.sleep(0.005)
    younger = await case.load(sales_csv([sale("S1000001", bottles_sold="4")]), mode=ImportMode.UPSERT)
    await running
    assert (await case.job(older)).rows_updated == 1
    assert [row[8] for row in await case.books() if row[0] == "S10"] == [4]
    await revert(case, older)
    assert [row[8] for row in await case.books()] == [4]
    await revert(case, younger.id)
    assert [row[8] for row in await case.books()] == [2]


async def test_taking_back_hands_invoices_over_to_an_import_that_is_running(case: ImportCase) -> None:
    first = await case.load(sales_csv([sale("S1000001")]))
    running_id = await case.start(sales_csv([sale("S1000002"), *many_sales(3_000)]))
    running = asyncio.create_task(case.runner.run(running_id))
    while (await case.job(running_id)).rows_inserted == 0:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.005)
    assert (await revert(case, first.id)).status is ImportStatus.REVERTED
    await running
    assert (await case.job(running_id)).rows_inserted == 3_001
    assert await case.query("SELECT DISTINCT import_id FROM invoice") == [(running_id,)]


async def test_rejects_of_rejects_have_their_reasons_once(case: ImportCase) -> None:
    job = await case.load(sales_csv([sale("S1000001", date="never")]))
    for _ in range(2):
        content = b"".join([part async for part in await import_reject.rejects_csv(case.database, job.id)])
        header, row = csv.reader(io.StringIO(content.decode()))
        assert header[: len(HEADER)] == list(HEADER)
        assert len(header) == len(row) == len(HEADER) + 5
        job = await case.load(content)
        assert counts(job) == (1, 0, 0, 0, 1)


async def test_formulas_survive_the_file_of_rejects(case: ImportCase) -> None:
    formula = '=HYPERLINK("http://example.org","+1")'
    job = await case.load(sales_csv([sale("S1000001", item_description=formula, bottles_sold="many")]))
    content = b"".join([part async for part in await import_reject.rejects_csv(case.database, job.id)])
    job = await case.load(content.replace(b",many,", b",2,", 1))
    assert job.rows_inserted == 1
    assert await case.query("SELECT name FROM product") == [(formula,)]
