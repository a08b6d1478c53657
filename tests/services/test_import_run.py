import asyncio
import csv
import io
import random
from pathlib import Path

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.import_job import ImportMode, ImportStatus, RejectPolicy
from graphql_api.imports.columns import REASON_HEADERS
from graphql_api.services import import_job, import_reject
from graphql_api.services.errors import Conflict, NotFound
from graphql_api.services.import_run import Busy
from graphql_api.services.unit_of_work import unit_of_work
from tests.sales_files import HEADER, many_sales, packed, sale, sales_csv
from tests.services.import_case import ImportCase, counts
from tests.waiting import until_held_up

NOTHING = dict.fromkeys(("county", "place", "store", "vendor", "category", "product", "invoice", "import_seen"), 0)


@pytest.fixture
def case(database: Database, tmp_path: Path) -> ImportCase:
    return ImportCase(database, tmp_path)


@pytest.fixture
def small_blocks(database: Database, tmp_path: Path) -> ImportCase:
    """Blocks of a few dozen rows, so that a small file has many."""
    return ImportCase(database, tmp_path, block_bytes=8_192)


async def test_a_file_becomes_invoices_and_lines(case: ImportCase) -> None:
    job = await case.load(sales_csv([sale("S1000001"), sale("S1000002", bottles_sold="-3", sale_dollars="-40.00")]))
    assert (job.status, counts(job)) == (ImportStatus.COMPLETED, (2, 2, 0, 0, 0))
    assert [row[6:] for row in await case.books()] == [
        ("LINN", "43127", 2, 1425, 0, 2850, 1900, 1500),
        ("LINN", "43127", -3, 1425, -275, -4000, -2850, -2250),
    ]


@pytest.mark.parametrize("name", ["sales.csv", "sales.csv.gz", "sales.csv.xz"])
async def test_packed_files_are_read_as_they_are(case: ImportCase, name: str) -> None:
    job = await case.load(packed(sales_csv(many_sales(100)), name), file_name=name)
    assert counts(job) == (100, 100, 0, 0, 0)


async def test_the_same_file_twice_changes_nothing(small_blocks: ImportCase) -> None:
    content = sales_csv(many_sales(500))
    await small_blocks.load(content)
    before = await small_blocks.books(), await small_blocks.table_sizes()
    job = await small_blocks.load(content)
    assert counts(job) == (500, 0, 0, 500, 0)
    assert (await small_blocks.books(), await small_blocks.table_sizes()) == before


async def test_a_file_without_ids_is_imported_once(small_blocks: ImportCase) -> None:
    content = sales_csv(many_sales(300), header=HEADER[1:])
    assert counts(await small_blocks.load(content)) == (300, 300, 0, 0, 0)
    assert counts(await small_blocks.load(content)) == (300, 0, 0, 300, 0)


async def test_the_size_of_blocks_makes_no_difference(database: Database, tmp_path: Path) -> None:
    content = sales_csv([*many_sales(400), sale("bad", date="2019-02-30"), *many_sales(400)[:10]])
    whole, blocks = ImportCase(database, tmp_path), ImportCase(database, tmp_path, block_bytes=4_096)
    first = await whole.load(content)
    books = await whole.books()
    async with unit_of_work(database) as work:
        await import_job.revert_import(work, first.id)
    await whole.runner.run(first.id)
    second = await blocks.load(content)
    assert counts(first) == counts(second) == (411, 400, 0, 10, 1)
    assert await blocks.books() == books


async def test_a_changed_line_is_refused_unless_it_may_replace(small_blocks: ImportCase) -> None:
    await small_blocks.load(sales_csv([sale("S1000001"), sale("S1000002")]))
    changed = sales_csv([sale("S1000001", bottles_sold="4", sale_dollars="57.00"), sale("S1000002")])
    refused = await small_blocks.load(changed)
    assert counts(refused) == (2, 0, 0, 1, 1)
    assert await small_blocks.rejects(refused.id) == [(2, "LINE_CONFLICT", "Invoice/Item Number")]
    ((hint,),) = await small_blocks.query("SELECT hint FROM import_reject")
    assert "another quantity, sale, cost;" in hint
    replaced = await small_blocks.load(changed, mode=ImportMode.UPSERT)
    assert counts(replaced) == (2, 0, 1, 1, 0)
    assert [row[8] for row in await small_blocks.books()] == [4, 2]
    assert counts(await small_blocks.load(changed, mode=ImportMode.UPSERT)) == (2, 0, 0, 2, 0)


@pytest.mark.parametrize("mode", list(ImportMode))
@pytest.mark.parametrize("dry_run", [True, False])
async def test_an_id_repeated_in_a_later_block_is_found(
    small_blocks: ImportCase, mode: ImportMode, *, dry_run: bool
) -> None:
    rows = [sale("S1000001"), *many_sales(200), sale("S1000001"), sale("S1000001", bottles_sold="9")]
    job = await small_blocks.load(sales_csv(rows), mode=mode, dry_run=dry_run)
    assert counts(job) == (203, 201, 0, 1, 1)
    assert await small_blocks.rejects(job.id) == [(204, "ID_REPEATED", "Invoice/Item Number")]


async def test_an_id_repeated_in_a_file_imported_again_changes_nothing(small_blocks: ImportCase) -> None:
    rows = [sale("S1000001"), *many_sales(200), sale("S1000001", bottles_sold="9")]
    await small_blocks.load(sales_csv(rows))
    books = await small_blocks.books()
    again = await small_blocks.load(sales_csv(rows), mode=ImportMode.UPSERT)
    assert counts(again) == (202, 0, 0, 201, 1)
    assert await small_blocks.books() == books


@pytest.mark.parametrize("dry_run", [True, False])
async def test_lines_of_one_invoice_must_agree(small_blocks: ImportCase, *, dry_run: bool) -> None:
    rows = [sale("S1000001"), *many_sales(200), sale("S1000002", date="2019-04-25"), sale("S1000003", store_number="9")]
    job = await small_blocks.load(sales_csv(rows), dry_run=dry_run)
    assert [code for _, code, _ in await small_blocks.rejects(job.id)] == ["INVOICE_CONFLICT"] * 2
    assert counts(job) == (203, 201, 0, 0, 2)


async def test_an_invoice_written_by_hand_is_left_alone(case: ImportCase) -> None:
    first = await case.load(sales_csv([sale("S1000001")]))
    async with case.database.dedicated() as connection:
        await connection.execute("UPDATE invoice SET import_id = NULL")
    job = await case.load(sales_csv([sale("S1000002")]))
    assert await case.rejects(job.id) == [(2, "INVOICE_NOT_IMPORTED", "Invoice/Item Number")]
    assert first.rows_inserted == len(await case.books()) == 1


async def test_a_dry_run_tells_what_would_happen_and_changes_nothing(small_blocks: ImportCase) -> None:
    await small_blocks.load(sales_csv(many_sales(50)))
    before = await small_blocks.books(), await small_blocks.table_sizes()
    content = sales_csv(
        [*many_sales(400), sale("bad", store_number=""), sale("new", item_number="7777", county="ADAIR")]
    )
    dry = await small_blocks.load(content, dry_run=True, mode=ImportMode.UPSERT)
    assert (await small_blocks.books(), await small_blocks.table_sizes()) == before
    async with unit_of_work(small_blocks.database) as work:
        confirmed = (await import_job.confirm_import(work, dry.id)).id
    await small_blocks.runner.run(confirmed)
    assert counts(dry) == counts(await small_blocks.job(confirmed))
    assert dry.rows_rejected == 1


async def test_reject_all_writes_nothing_when_one_row_is_bad(small_blocks: ImportCase) -> None:
    rows = [*many_sales(300), sale("bad", state_bottle_cost="9.5O")]
    job = await small_blocks.load(sales_csv(rows), on_error=RejectPolicy.REJECT_ALL)
    assert (job.status, job.rows_rejected) == (ImportStatus.REFUSED, 1)
    assert (await small_blocks.books(), await small_blocks.table_sizes()) == ([], NOTHING)
    good = await small_blocks.load(sales_csv(rows[:-1]), on_error=RejectPolicy.REJECT_ALL)
    assert (good.status, counts(good)) == (ImportStatus.COMPLETED, (300, 300, 0, 0, 0))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "EMPTY_FILE"),
        (sales_csv([]), "NO_ROWS"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "NOT_A_CSV"),
        (sales_csv([sale("a")]).decode().encode("utf-16"), "WRONG_ENCODING"),
        (sales_csv([sale("a")]).replace(b"City", b"Ciudad", 1), "UNKNOWN_HEADER"),
        (sales_csv([sale("a")], header=HEADER[:2]), "MISSING_HEADER"),
        (b",".join([b"x"] * 300_000) + b"\n1\n", "TOO_MANY_COLUMNS"),
    ],
)
async def test_a_file_that_cannot_be_read_fails_with_its_reason(case: ImportCase, content: bytes, code: str) -> None:
    job = await case.load(content)
    assert job.status is ImportStatus.FAILED
    assert job.failure is not None
    assert job.failure["code"] == code
    assert job.failure["hint"]
    assert await case.table_sizes() == NOTHING


async def test_an_archive_cut_off_in_the_middle_leaves_nothing(small_blocks: ImportCase) -> None:
    random.seed(7)
    rows = [sale(f"R{random.randrange(10**12)}", address=str(random.random())) for _ in range(5_000)]  # noqa: S311 - no secret
    content = packed(sales_csv(rows), "x.gz")
    job = await small_blocks.load(content[: len(content) * 2 // 3])
    assert job.failure is not None
    assert (job.status, job.failure["code"]) == (ImportStatus.FAILED, "BROKEN_ARCHIVE")
    assert job.rows_inserted > 0
    assert (await small_blocks.books(), await small_blocks.table_sizes()) == ([], NOTHING)


async def test_reverting_restores_the_books(small_blocks: ImportCase) -> None:
    await small_blocks.load(sales_csv(many_sales(100)))
    before = await small_blocks.books(), await small_blocks.table_sizes()
    rows = [{**row, "Bottles Sold": "8"} for row in many_sales(100)[:30]]
    rows += [sale("N100001", item_number="999", county_number="7", county="BLACK HAWK")]
    job = await small_blocks.load(sales_csv(rows), mode=ImportMode.UPSERT)
    assert job.rows_updated == 30
    async with unit_of_work(small_blocks.database) as work:
        await import_job.revert_import(work, job.id)
    await small_blocks.runner.run(job.id)
    assert (await small_blocks.job(job.id)).status is ImportStatus.REVERTED
    assert (await small_blocks.books(), await small_blocks.table_sizes()) == before


async def test_reverting_the_first_of_two_keeps_what_the_second_wrote(case: ImportCase) -> None:
    first = await case.load(sales_csv([sale("S1000001"), sale("S1000002")]))
    changed = sales_csv([sale("S1000001", bottles_sold="4")])
    second = await case.load(changed, mode=ImportMode.UPSERT)
    for job in (first, second):
        async with unit_of_work(case.database) as work:
            await import_job.revert_import(work, job.id)
        await case.runner.run(job.id)
        assert [(row[1], row[8]) for row in await case.books()] == ([(1, 4)] if job is first else [])
    assert (await case.table_sizes())["invoice"] == 0


async def test_cancelling_takes_back_what_was_written(small_blocks: ImportCase) -> None:
    import_id = await small_blocks.start(sales_csv(many_sales(4_000)))

    async def cancel() -> None:
        async with unit_of_work(small_blocks.database) as work:
            await import_job.cancel_import(work, import_id)

    async with small_blocks.running(import_id, until="INV-000300"):
        # which waits for the block that is being written
        cancelling = asyncio.create_task(cancel())
        await until_held_up(small_blocks.database, 2)
    await cancelling
    job = await small_blocks.job(import_id)
    assert job.status is ImportStatus.CANCELLED
    assert 0 < job.rows_inserted < 4_000
    assert (await small_blocks.books(), await small_blocks.table_sizes()) == ([], NOTHING)


async def test_a_queued_job_is_cancelled_at_once(case: ImportCase) -> None:
    import_id = await case.start(sales_csv(many_sales(5)))
    async with unit_of_work(case.database) as work:
        await import_job.cancel_import(work, import_id)
    await case.runner.run(import_id)
    assert (await case.job(import_id)).status is ImportStatus.CANCELLED
    assert await case.books() == []


async def test_what_a_job_cannot_do_any_more_is_refused(case: ImportCase) -> None:
    job = await case.load(sales_csv([sale("a")]))
    with pytest.raises(Conflict, match="COMPLETED"):
        async with unit_of_work(case.database) as work:
            await import_job.cancel_import(work, job.id)
    with pytest.raises(Conflict, match="dry run"):
        async with unit_of_work(case.database) as work:
            await import_job.confirm_import(work, job.id)
    dry = await case.load(sales_csv([sale("b")]), dry_run=True)
    with pytest.raises(Conflict, match="a dry run"):
        async with unit_of_work(case.database) as work:
            await import_job.revert_import(work, dry.id)
    with pytest.raises(NotFound):
        async with unit_of_work(case.database) as work:
            await import_job.revert_import(work, 999)


async def test_two_workers_do_not_run_one_job(case: ImportCase) -> None:
    import_id = await case.start(sales_csv([sale("a")]))
    async with case.database.dedicated() as connection:
        await connection.execute("SELECT pg_advisory_lock(7301, $1)", import_id)
        with pytest.raises(Busy):
            await case.runner.run(import_id)
    await case.runner.run(import_id)
    assert (await case.job(import_id)).rows_inserted == 1


async def test_rejected_rows_come_back_as_a_file_that_can_be_corrected(case: ImportCase) -> None:
    rows = [sale("S1000001"), sale("S1000002", date="2019-02-30"), sale("S1000003", bottles_sold="many")]
    job = await case.load(sales_csv(rows) + b"S1000004,2019\n")
    content = b"".join([part async for part in await import_reject.rejects_csv(case.database, job.id)])
    header, *refused = csv.reader(io.StringIO(content.decode()))
    assert header == [*HEADER, *REASON_HEADERS]
    assert [(row[0], row[-5], row[-4], row[-3]) for row in refused] == [
        ("S1000002", "3", "Date", "BAD_DATE"),
        ("S1000003", "4", "Bottles Sold", "BAD_NUMBER"),
        ("S1000004", "5", "", "WRONG_FIELD_COUNT"),
    ]
    corrected = content.replace(b"2019-02-30", b"2019-04-24", 1).replace(b",many,", b",2,", 1)
    again = await case.load(corrected)
    assert counts(again) == (3, 2, 0, 0, 1)


async def test_references_are_found_by_number_and_filled_in(case: ImportCase) -> None:
    await case.load(
        sales_csv([sale("A100001", county_number="", county="Pottawatta", category="", bottle_volume_ml="")])
    )
    await case.load(sales_csv([sale("A100002", county_number="78", county="POTTAWATTA")]))
    await case.load(sales_csv([sale("A100003", county_number="78", county="Pottawattamie")]))
    assert await case.query("SELECT number, name FROM county") == [(78, "POTTAWATTAMIE")]
    assert await case.query("SELECT number, name FROM category") == [(1062200, "WHITE RUM")]
    assert await case.query("SELECT volume_ml FROM product") == [(750,)]
    assert [row[-1] for row in await case.books()] == [None, 1500, 1500]


async def test_what_is_missing_stays_missing(case: ImportCase) -> None:
    await case.load(
        sales_csv([sale("A100001", city="", zip_code="", county="", county_number="", bottle_volume_ml="")])
    )
    assert await case.query("SELECT city, zip_code, county_id FROM place") == [(None, None, None)]
    assert await case.query("SELECT volume_ml FROM product") == [(None,)]
