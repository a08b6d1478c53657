"""Files of counted stock: the difference is posted once, compared with what was expected, and taken back."""

from pathlib import Path

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.import_job import ImportJobRow, ImportKind, ImportStatus, RejectPolicy, StockEffect
from tests.import_files import csv_of, products_file, purchases_file, stores_file
from tests.sales_files import sale, sales_csv
from tests.services.import_case import ImportCase, counts

HEADER = "Store,SKU,Counted,Expected,Unit Cost,Expires"


@pytest.fixture
async def case(database: Database, tmp_path: Path) -> ImportCase:
    """Store 10 has 10 bottles of `a` in two lots and 4 of `b`; `c` has no known cost. Small blocks."""
    case = ImportCase(database, tmp_path, block_bytes=60)
    await case.load(stores_file(10, 11), kind=ImportKind.STORES)
    await case.load(products_file("a", "b"), kind=ImportKind.PRODUCTS)
    await case.load(csv_of("SKU,Name", [("c", "C")]), kind=ImportKind.PRODUCTS)
    rows = [
        ("P", "2024-01-02", 10, "a", 4, "5.00", ""),
        ("P", "2024-01-02", 10, "b", 4, "1.00", ""),
        ("P", "2024-01-02", 10, "a", 6, "7.00", "2030-01-01"),
    ]
    await case.load(purchases_file(*rows), kind=ImportKind.PURCHASES)
    return case


async def count(case: ImportCase, *rows: tuple[object, ...], **request: object) -> ImportJobRow:
    full = [(*row, *[""] * (6 - len(row))) for row in rows]
    return await case.load(csv_of(HEADER, full), kind=ImportKind.STOCK_COUNT, **request)


async def test_the_difference_is_posted(case: ImportCase) -> None:
    job = await count(
        case, (10, "a", 7), (10, "b", 6, "", "2.50", "2031-05-05"), (11, "a", 0), (11, "b", 2), (10, "c", 0)
    )
    assert (job.status, counts(job)) == (ImportStatus.COMPLETED, (5, 3, 0, 2, 0))
    # what expires first is what is missing; what was found has the cost of the row, else the product's
    assert await case.stock() == [(10, "a", 7, 4 * 500 + 3 * 700), (10, "b", 6, 900), (11, "b", 2, 1200)]
    assert [(lot[1], lot[3], lot[6]) for lot in (await case.lots())[-2:]] == [("b", 2, "2031-05-05"), ("b", 2, None)]
    causes = await case.query(f"SELECT DISTINCT cause FROM stock_movement WHERE import_id = {job.id}")  # noqa: S608 - a number
    assert causes == [("COUNT",)]


async def test_what_is_found_costs_what_the_newest_lot_did_unless_the_row_says(case: ImportCase) -> None:
    await count(case, (10, "a", 11), (10, "b", 5, "", "2.00"), (11, "a", 1))
    assert [(lot[0], lot[1], lot[4]) for lot in (await case.lots())[-3:]] == [
        (10, "a", 700),
        (10, "b", 200),
        (11, "a", 600),
    ]


async def test_a_row_is_posted_once_even_when_stock_has_moved_since(case: ImportCase) -> None:
    rows = (10, "a", 8), (10, "b", 4)
    await count(case, *rows)
    sold = sales_csv([sale("S1000001", store_number="10", item_number="a", bottles_sold="3")])
    await case.load(sold, stock_effect=StockEffect.DEDUCT)
    again = await count(case, *rows)
    assert counts(again) == (2, 0, 0, 2, 0)
    assert [row[2] for row in await case.stock()] == [5, 4]
    # another file is another count
    assert counts(await count(case, *rows, (10, "c", 0))) == (3, 1, 0, 2, 0)
    assert [row[2] for row in await case.stock()] == [8, 4]


async def test_what_is_not_as_expected_is_refused(case: ImportCase) -> None:
    rows = (10, "a", 3, 10), (10, "b", 3, 5), (11, "a", 1, 0)
    for dry_run in (True, False):
        job = await count(case, *rows, dry_run=dry_run)
        assert (counts(job), await case.rejects(job.id)) == ((3, 2, 0, 0, 1), [(3, "STOCK_CHANGED", "Expected")])
    hints = await case.query("SELECT DISTINCT hint FROM import_reject")
    assert hints == [("The store has 4 bottles by now; count again, or leave the expected quantity out.",)]
    assert [row[:3] for row in await case.stock()] == [(10, "a", 3), (10, "b", 4), (11, "a", 1)]


async def test_rows_that_cannot_be_are_refused(case: ImportCase) -> None:
    job = await count(
        case, (10, "a", 9), (10, "a", 9), (10, "a", 8), (10, "c", 1), (12, "a", 1), (10, "d", 1), (10, "b", -1)
    )
    assert counts(job) == (7, 1, 0, 1, 5)
    assert await case.rejects(job.id) == [
        (4, "ID_REPEATED", "SKU"),
        (5, "MISSING_VALUE", "Unit Cost"),
        (6, "UNKNOWN_STORE", "Store"),
        (7, "UNKNOWN_PRODUCT", "SKU"),
        (8, "OUT_OF_RANGE", "Counted"),
    ]


async def test_a_refused_row_is_posted_when_the_same_file_comes_again(case: ImportCase) -> None:
    rows = (10, "a", 9), (10, "d", 1)
    assert counts(await count(case, *rows)) == (2, 1, 0, 0, 1)
    await case.load(products_file("d"), kind=ImportKind.PRODUCTS)
    assert counts(await count(case, *rows)) == (2, 1, 0, 1, 0)
    assert [row[:3] for row in await case.stock()] == [(10, "a", 9), (10, "b", 4), (10, "d", 1)]


async def test_reject_all_posts_nothing_or_all(case: ImportCase) -> None:
    before = await case.stock()
    bad = await count(case, (10, "a", 9), (10, "d", 1), on_error=RejectPolicy.REJECT_ALL)
    assert bad.status is ImportStatus.REFUSED
    assert await case.stock() == before
    good = await count(case, (10, "a", 9), (10, "b", 9), on_error=RejectPolicy.REJECT_ALL)
    assert counts(good) == (2, 2, 0, 0, 0)


async def test_reverting_posts_the_opposite_once(case: ImportCase) -> None:
    before, lots = await case.stock(), await case.lots()
    rows = (10, "a", 2), (10, "b", 9)
    job = await count(case, *rows)
    assert (await case.revert(job.id)).status is ImportStatus.REVERTED
    assert await case.stock() == before
    assert (await case.lots())[:3] == lots
    await case.runner.run(job.id)
    assert await case.stock() == before
    assert counts(await count(case, *rows)) == (2, 2, 0, 0, 0)


async def test_found_bottles_that_are_gone_block_a_revert(case: ImportCase) -> None:
    job = await count(case, (11, "b", 5))
    taken = await count(case, (11, "b", 3))
    blocked = await case.revert(job.id)
    assert blocked.failure
    assert blocked.failure["blockers"] == [
        f"Of 5 bottles of product b that store 11 got, 2 are gone: import {taken.id}."
    ]
    await case.revert(taken.id)
    assert (await case.revert(job.id)).status is ImportStatus.REVERTED
