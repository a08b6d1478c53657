"""Files of purchases: lines become lots, once; taken back they leave them again, or what is in the way is named."""

from pathlib import Path

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.import_job import ImportJobRow, ImportKind, ImportMode, ImportStatus, StockEffect
from graphql_api.database.purchase import PurchaseStatus
from graphql_api.services import import_job
from graphql_api.services.errors import BadInput
from graphql_api.services.import_job import ImportRequest
from graphql_api.services.purchase_void import void_purchase
from graphql_api.services.storage import StoredFile
from graphql_api.services.unit_of_work import unit_of_work
from tests.import_files import csv_of, products_file, purchases_file, stores_file
from tests.sales_files import sale, sales_csv
from tests.services.import_case import ImportCase, counts

PURCHASES = """
SELECT p.number, p.status, s.number, v.number, p.date::text, l.line_number, r.sku, l.quantity, l.received, l.unit_cost,
       l.expires_on::text
FROM purchase p JOIN store s ON s.id = p.store_id JOIN vendor v ON v.id = p.vendor_id
JOIN purchase_line l ON l.purchase_id = p.id JOIN product r ON r.id = l.product_id ORDER BY p.id, l.line_number
"""
ROWS = [
    ("PO-1", "2024-01-02", 10, "a", 10, "5.00", "2030-01-01"),
    ("PO-1", "2024-01-02", 10, "b", 4, "1.25", ""),
    ("PO-2", "2024-01-03", 11, "a", 6, "4.00", ""),
]


@pytest.fixture
async def case(database: Database, tmp_path: Path) -> ImportCase:
    """Two stores and two products; small blocks, so that a purchase spans several."""
    case = ImportCase(database, tmp_path, block_bytes=150)
    await case.load(stores_file(10, 11), kind=ImportKind.STORES)
    await case.load(products_file("a", "b"), kind=ImportKind.PRODUCTS)
    return case


async def load(case: ImportCase, *rows: tuple[object, ...], dry_run: bool = False) -> ImportJobRow:
    return await case.load(purchases_file(*rows), kind=ImportKind.PURCHASES, dry_run=dry_run)


async def test_rows_become_purchases_lots_and_movements(case: ImportCase) -> None:
    job = await load(case, *ROWS)
    assert (job.status, counts(job)) == (ImportStatus.COMPLETED, (3, 3, 0, 0, 0))
    assert await case.query(PURCHASES) == [
        ("PO-1", PurchaseStatus.RECEIVED, 10, 7, "2024-01-02", 1, "a", 10, 10, 500, "2030-01-01"),
        ("PO-1", PurchaseStatus.RECEIVED, 10, 7, "2024-01-02", 2, "b", 4, 4, 125, None),
        ("PO-2", PurchaseStatus.RECEIVED, 11, 7, "2024-01-03", 1, "a", 6, 6, 400, None),
    ]
    assert await case.stock() == [(10, "a", 10, 5000), (10, "b", 4, 500), (11, "a", 6, 2400)]
    assert (await case.lots())[0] == (10, "a", 10, 10, 500, "2024-01-02", "2030-01-01")
    movements = await case.query("SELECT cause, import_id, purchase_line_id IS NOT NULL FROM stock_movement")
    assert set(movements) == {("RECEIPT", job.id, True)}


async def test_the_same_file_twice_changes_nothing(case: ImportCase) -> None:
    await load(case, *ROWS)
    before = await case.query(PURCHASES), await case.lots()
    assert counts(await load(case, *ROWS)) == (3, 0, 0, 3, 0)
    more = [*ROWS, ("PO-1", "2024-01-02", 10, "b", 4, "1.25", "2031-01-01")]
    assert counts(await load(case, *more)) == (4, 1, 0, 3, 0)
    assert [row[0] for row in await case.query(PURCHASES)] == ["PO-1", "PO-1", "PO-2", "PO-1-2"]
    assert (await case.lots())[:-1] == before[1]


async def test_a_line_number_keeps_equal_lines_apart(case: ImportCase) -> None:
    header = "Reference,Line,Date,Store,Supplier,SKU,Quantity,Unit Cost"
    rows = [("R1", number, "2024-01-02", 10, "MAKER", "a", 1, "5") for number in (3, 7)]
    job = await case.load(
        csv_of(header, [*rows, ("R1", "", "2024-01-02", 10, "MAKER", "a", 1, "5"), rows[0]]), kind=ImportKind.PURCHASES
    )
    assert counts(job) == (4, 2, 0, 1, 1)
    assert await case.rejects(job.id) == [(4, "MISSING_VALUE", "Line")]
    assert await case.query("SELECT line_number FROM purchase_line ORDER BY 1") == [(3,), (7,)]
    changed = [("R1", 3, "2024-01-02", 10, "MAKER", "a", 2, "6")]
    conflict = await case.load(csv_of(header, changed), kind=ImportKind.PURCHASES)
    assert await case.rejects(conflict.id) == [(2, "LINE_CONFLICT", "Reference")]
    ((hint,),) = await case.query(f"SELECT hint FROM import_reject WHERE import_id = {conflict.id}")  # noqa: S608 - a number
    assert "another quantity, unit cost;" in hint


@pytest.mark.parametrize("dry_run", [True, False])
async def test_rows_that_cannot_be_are_refused_with_advice(case: ImportCase, *, dry_run: bool) -> None:
    rows = [
        *ROWS,
        ("PO-1", "2024-01-02", 10, "a", 10, "5.00", "2030-01-01"),  # the same again
        ("PO-1", "2024-01-02", 10, "a", 11, "5.00", "2030-01-01"),  # and other content
        ("PO-1", "2024-01-03", 10, "b", 1, "1.00", "2032-01-01"),  # another date
        ("PO-3", "2024-01-03", 100, "a", 1, "1.00", ""),
        ("PO-3", "2024-01-03", 10, "A", 1, "1.00", ""),
        ("PO-3", "2024-01-03", 10, "a", 0, "1.00", ""),
        ("PO-3", "2024-01-03", 10, "a", 1, "-1.00", ""),
        ("PO-3", "2024-01-03", 10, "a", 1, "1.00", "2024-01-02"),
        ("PO-4", "2099-01-03", 10, "a", 1, "1.00", ""),
    ]
    job = await load(case, *rows, dry_run=dry_run)
    assert counts(job) == (12, 3, 0, 1, 8)
    assert await case.rejects(job.id) == [
        (6, "ID_REPEATED", "PO Number"),
        (7, "PURCHASE_CONFLICT", "PO Number"),
        (8, "UNKNOWN_STORE", "Store"),
        (9, "UNKNOWN_PRODUCT", "SKU"),
        (10, "OUT_OF_RANGE", "Quantity"),
        (11, "OUT_OF_RANGE", "Unit Cost"),
        (12, "OUT_OF_RANGE", "Expires"),
        (13, "OUT_OF_RANGE", "Date"),
    ]
    hints = dict(await case.query("SELECT line, hint FROM import_reject"))
    assert 'Did you mean "10"?' in hints[8]
    assert 'Did you mean "a"?' in hints[9]
    assert bool(await case.stock()) is not dry_run


async def test_a_purchase_of_another_store_or_written_by_hand_is_left_alone(case: ImportCase) -> None:
    await load(case, *ROWS)
    other = await load(case, ("PO-1", "2024-01-02", 11, "b", 4, "9.99", ""))
    assert await case.rejects(other.id) == [(2, "PURCHASE_CONFLICT", "PO Number")]
    async with case.database.dedicated() as connection:
        await connection.execute("UPDATE purchase SET number = 'HAND', import_id = NULL WHERE number = 'PO-2'")
    hand = await load(case, ("HAND", "2024-01-03", 11, "a", 6, "4.00", ""))
    assert await case.rejects(hand.id) == [(2, "PURCHASE_NOT_IMPORTED", "PO Number")]


async def test_reverting_takes_the_bottles_out_of_their_lots_and_voids(case: ImportCase) -> None:
    first = await load(case, ("PO-0", "2024-01-01", 10, "a", 5, "3.00", ""))
    job = await load(case, *ROWS)
    assert (await case.revert(job.id)).status is ImportStatus.REVERTED
    assert await case.stock() == [(10, "a", 5, 1500)]
    assert await case.query("SELECT number, status FROM purchase ORDER BY 1") == [
        ("PO-0", "RECEIVED"),
        ("PO-1", "VOID"),
        ("PO-2", "VOID"),
    ]
    assert set(await case.query("SELECT received FROM purchase_line WHERE purchase_id > 1")) == {(0,)}
    causes = await case.query("SELECT cause, sum(quantity) FROM stock_movement GROUP BY 1 ORDER BY 1")
    assert causes == [("RECEIPT", 25), ("RECEIPT_VOID", -20)]
    assert (await case.revert(first.id)).status is ImportStatus.REVERTED
    # what was taken back may come again
    assert counts(await load(case, *ROWS)) == (3, 3, 0, 0, 0)
    numbers = await case.query("SELECT number FROM purchase WHERE status = 'RECEIVED' ORDER BY 1")
    assert numbers == [("PO-1-2",), ("PO-2-2",)]


async def test_bottles_that_are_sold_block_a_revert_of_all(case: ImportCase) -> None:
    job = await load(case, *ROWS)
    sold = await case.load(
        sales_csv([sale("S1000001", store_number="10", item_number="a", bottles_sold="3")]),
        stock_effect=StockEffect.DEDUCT,
    )
    stock = await case.stock()
    blocked = await case.revert(job.id)
    assert blocked.status is ImportStatus.COMPLETED
    assert blocked.failure
    assert blocked.failure["code"] == "REVERT_BLOCKED"
    assert blocked.failure["blockers"] == [
        f"Of 10 bottles of product a that store 10 got, 3 are gone: import {sold.id}."
    ]
    assert await case.stock() == stock
    await case.revert(sold.id)
    assert (await case.revert(job.id)).status is ImportStatus.REVERTED
    assert await case.stock() == []


async def test_a_purchase_voided_since_is_nothing_to_take_back(case: ImportCase) -> None:
    job = await load(case, *ROWS)
    async with unit_of_work(case.database) as work:
        ((purchase_id, version),) = await case.query("SELECT id, version FROM purchase WHERE number = 'PO-1'")
        await void_purchase(work, purchase_id, version, "wrong goods")
    assert (await case.revert(job.id)).status is ImportStatus.REVERTED
    assert await case.stock() == []


async def test_cancelling_takes_back_purchases(case: ImportCase) -> None:
    import_id = await case.start(purchases_file(*ROWS), kind=ImportKind.PURCHASES)
    async with case.database.dedicated() as connection:
        await connection.execute("UPDATE import_job SET status = 'RUNNING', started_at = now()")
    async with unit_of_work(case.database) as work:
        await import_job.cancel_import(work, import_id)
    await case.runner.run(import_id)
    assert (await case.job(import_id)).status is ImportStatus.CANCELLED
    assert await case.stock() == []


async def test_low_stock_is_told_once_when_the_import_has_ended(case: ImportCase) -> None:
    job = await load(case, *ROWS)
    assert await case.query("SELECT topic FROM notification") == [(f"low-stock-import:{job.id}",)]
    await case.runner.run(job.id)
    assert len(await case.query("SELECT id FROM notification")) == 1


async def test_purchases_cannot_be_replaced(case: ImportCase) -> None:
    async with unit_of_work(case.database) as work:
        with pytest.raises(BadInput, match="not replaced") as refusal:
            await import_job.start_import(
                work,
                StoredFile("x", 1, "0" * 64),
                ImportRequest("p.csv", ImportKind.PURCHASES, ImportMode.UPSERT),
            )
    assert refusal.value.path == ("mode",)
