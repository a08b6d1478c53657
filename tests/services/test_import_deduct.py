"""Sales files that take their bottles from stock: FIFO costs, refusals, returns, dry runs that tell the truth."""

from pathlib import Path
from typing import Any

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.import_job import (
    ImportJobRow,
    ImportKind,
    ImportMode,
    ImportStatus,
    RejectPolicy,
    StockEffect,
)
from graphql_api.services import import_job
from graphql_api.services.errors import BadInput
from graphql_api.services.import_job import ImportRequest
from graphql_api.services.storage import StoredFile
from graphql_api.services.unit_of_work import unit_of_work
from tests.import_files import products_file, purchases_file, stores_file
from tests.sales_files import sale, sales_csv
from tests.services.import_case import ImportCase, counts

LINES = "SELECT line_number, quantity, revenue, cost FROM invoice_line ORDER BY invoice_id, line_number"
# What lines of imports cost is what their bottles had cost.
COSTS = """
SELECT (SELECT coalesce(sum(cost), 0)::int FROM invoice_line),
       (SELECT -coalesce(sum(cost), 0)::int FROM stock_movement WHERE cause <> 'RECEIPT')
"""


@pytest.fixture
async def case(database: Database, tmp_path: Path) -> ImportCase:
    """Store 10 has 4 bottles of `a` at 5.00 and then 6 at 7.00, and 3 of `b` that expire on 2019-05-01."""
    case = ImportCase(database, tmp_path, block_bytes=300)
    await case.load(stores_file(10, 11), kind=ImportKind.STORES)
    await case.load(products_file("a", "b"), kind=ImportKind.PRODUCTS)
    rows = [
        ("P1", "2019-01-02", 10, "a", 4, "5.00", ""),
        ("P2", "2019-01-03", 10, "a", 6, "7.00", ""),
        ("P2", "2019-01-03", 10, "b", 3, "1.00", "2019-05-01"),
    ]
    await case.load(purchases_file(*rows), kind=ImportKind.PURCHASES)
    return case


def sold(number: int, quantity: int, sku: str = "a", store: int = 10, **cells: str) -> dict[str, str]:
    return sale(
        f"S{store}{number:05d}",
        store_number=str(store),
        item_number=sku,
        bottles_sold=str(quantity),
        sale_dollars=f"{quantity * 10}.00",
        **cells,
    )


async def sell(case: ImportCase, *rows: dict[str, str], **request: Any) -> ImportJobRow:
    return await case.load(sales_csv(rows), stock_effect=StockEffect.DEDUCT, **request)


async def test_lines_cost_what_their_bottles_had_cost(case: ImportCase) -> None:
    job = await sell(case, sold(1, 3), sold(2, 3), sold(3, 1, "b"))
    assert counts(job) == (3, 3, 0, 0, 0)
    assert await case.query(LINES) == [(1, 3, 3000, 1500), (2, 3, 3000, 1900), (3, 1, 1000, 100)]
    assert await case.stock() == [(10, "a", 4, 2800), (10, "b", 2, 200)]
    movements = await case.query("SELECT cause, import_id, invoice_id FROM stock_movement WHERE quantity < 0")
    assert movements == [("SALE", job.id, None)] * 3
    assert len(set(*await case.query(COSTS))) == 1


async def test_a_line_that_would_go_below_zero_is_refused_alone(case: ImportCase) -> None:
    rows = [sold(1, 8), sold(2, 3), sold(3, 2), sold(4, 1), sold(5, 1, store=11), sold(6, 1, "new")]
    for dry_run in (True, False):
        job = await sell(case, *rows, dry_run=dry_run)
        assert counts(job) == (6, 2, 0, 0, 4)
        assert await case.rejects(job.id) == [(line, "INSUFFICIENT_STOCK", "Bottles Sold") for line in (3, 5, 6, 7)]
    hints = dict(await case.query(f"SELECT line, hint FROM import_reject WHERE import_id = {job.id}"))  # noqa: S608 - a number
    assert hints[3].startswith("The store has 2 bottles left of this product;")
    assert hints[5].startswith("The store has 0 bottles left")
    assert await case.stock() == [(10, "b", 3, 300)]
    # a product that only a refused line names is not kept
    assert await case.query("SELECT count(*) FROM product WHERE sku = 'new'") == [(0,)]


async def test_what_comes_back_is_a_lot_of_the_files_cost_and_can_be_sold_again(case: ImportCase) -> None:
    rows = [sold(1, 10), sold(2, -2, state_bottle_cost="9.00"), sold(3, 1), sold(4, 2), sold(5, 1)]
    for dry_run in (True, False):
        job = await sell(case, *rows, dry_run=dry_run)
        assert (counts(job), await case.rejects(job.id)) == (
            (5, 4, 0, 0, 1),
            [(5, "INSUFFICIENT_STOCK", "Bottles Sold")],
        )
    assert await case.query(LINES) == [
        (1, 10, 10000, 6200),
        (2, -2, -2000, -1800),
        (3, 1, 1000, 900),
        (5, 1, 1000, 900),
    ]
    assert await case.stock() == [(10, "b", 3, 300)]
    assert len(set(*await case.query(COSTS))) == 1


async def test_a_lot_is_sold_until_it_expires_unless_settings_say_otherwise(case: ImportCase) -> None:
    rows = [sold(1, 1, "b", date="2019-05-01"), sale("X", store_number="10", item_number="b", bottles_sold="1",
            date="2019-05-02")]  # fmt: skip
    for dry_run in (True, False):
        job = await sell(case, *rows, dry_run=dry_run)
        assert [code for _, code, _ in await case.rejects(job.id)] == ["INSUFFICIENT_STOCK"]
    async with case.database.dedicated() as connection:
        await connection.execute("UPDATE settings SET sells_expired = true")
    assert counts(await sell(case, *rows)) == (2, 1, 0, 1, 0)


async def test_the_same_file_twice_takes_no_more(case: ImportCase) -> None:
    rows = [sold(1, 3), sold(2, -1), sold(3, 99)]
    await sell(case, *rows)
    before = await case.stock(), await case.query(LINES)
    for request in ({}, {"dry_run": True}):
        assert counts(await sell(case, *rows, **request)) == (3, 0, 0, 2, 1)
    assert counts(await case.load(sales_csv(rows[:2]))) == (2, 0, 0, 2, 0)
    assert (await case.stock(), await case.query(LINES)) == before


async def test_a_line_that_took_bottles_is_not_replaced(case: ImportCase) -> None:
    await sell(case, sold(1, 3))
    job = await case.load(sales_csv([sold(1, 4)]), mode=ImportMode.UPSERT)
    assert await case.rejects(job.id) == [(2, "LINE_LOCKED", "Invoice/Item Number")]
    assert await case.query(LINES) == [(1, 3, 3000, 1500)]


async def test_reverting_puts_the_bottles_back_into_their_lots_once(case: ImportCase) -> None:
    before, lots = await case.stock(), await case.lots()
    job = await sell(case, sold(1, 7), sold(2, -2), sold(3, 4))
    assert (await case.revert(job.id)).status is ImportStatus.REVERTED
    await case.runner.run(job.id)
    assert await case.stock() == before
    assert (await case.lots())[:3] == lots
    assert await case.query(LINES) == []
    causes = {row[0] for row in await case.query("SELECT cause FROM stock_movement WHERE id > 3")}
    assert causes == {"SALE", "CREDIT", "IMPORT_REVERT"}


async def test_bottles_that_came_back_and_were_sold_block_a_revert(case: ImportCase) -> None:
    back = await sell(case, sold(1, -5, store=11))
    again = await sell(case, sold(2, 2, store=11, date="2019-04-24"))
    blocked = await case.revert(back.id)
    assert blocked.failure
    assert blocked.failure["blockers"] == [
        f"Of 5 bottles of product a that store 11 got, 2 are gone: import {again.id}."
    ]
    assert len(await case.query(LINES)) == 2


async def test_reject_all_takes_all_or_nothing(case: ImportCase) -> None:
    before = await case.stock()
    bad = await sell(case, sold(1, 8), sold(2, 3), on_error=RejectPolicy.REJECT_ALL)
    assert (bad.status, await case.stock()) == (ImportStatus.REFUSED, before)
    good = await sell(case, sold(1, 8), sold(2, 2), on_error=RejectPolicy.REJECT_ALL)
    assert (good.status, counts(good)) == (ImportStatus.COMPLETED, (2, 2, 0, 0, 0))


async def test_an_invoice_that_was_credited_blocks_a_revert_and_a_replacement(case: ImportCase) -> None:
    job = await case.load(sales_csv([sold(1, 1)]))
    async with case.database.dedicated() as connection:
        await connection.execute(
            "INSERT INTO invoice (number, store_id, date, status, credit_of) "
            "SELECT 'C-1', store_id, date, 'ISSUED', id FROM invoice"
        )
    ((number,),) = await case.query("SELECT number FROM invoice WHERE credit_of IS NULL")
    replaced = await case.load(sales_csv([sold(1, 2)]), mode=ImportMode.UPSERT)
    assert [code for _, code, _ in await case.rejects(replaced.id)] == ["LINE_LOCKED"]
    blocked = await case.revert(job.id)
    assert blocked.failure
    assert blocked.failure["blockers"] == [f"Invoice {number} was credited by C-1."]
    assert len(await case.query(LINES)) == 1


@pytest.mark.parametrize(
    ("request_", "path"),
    [
        (ImportRequest("x", mode=ImportMode.UPSERT, stock_effect=StockEffect.DEDUCT), ("stockEffect",)),
        (ImportRequest("x", ImportKind.PRODUCTS, stock_effect=StockEffect.DEDUCT), ("stockEffect",)),
        (ImportRequest("x", ImportKind.STOCK_COUNT, ImportMode.UPSERT), ("mode",)),
    ],
)
async def test_what_does_not_go_together_is_refused(
    database: Database, request_: ImportRequest, path: tuple[str, ...]
) -> None:
    async with unit_of_work(database) as work:
        with pytest.raises(BadInput) as refusal:
            await import_job.start_import(work, StoredFile("x", 1, "0" * 64), request_)
    assert refusal.value.path == path
