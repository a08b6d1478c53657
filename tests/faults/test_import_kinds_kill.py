"""Imports that move stock: workers are killed in the middle or run side by side; the books come out the same."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.import_job import ImportKind, ImportStatus, StockEffect
from graphql_api.services import import_job
from graphql_api.services.import_run import Busy
from graphql_api.services.unit_of_work import unit_of_work
from tests.faults.test_import_kill import until_past, worker_of
from tests.import_files import csv_of, many_purchases, products_file, purchases_file, stores_file
from tests.sales_files import sale, sales_csv
from tests.services.import_case import ImportCase, counts

STORES = list(range(1, 9))
SKUS = [f"p{number}" for number in range(40)]
LINES = "SELECT count(*), sum(quantity), sum(revenue), sum(cost) FROM invoice_line"
# Held by whoever writes or takes back.
UNDOING = """
SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = 7301847 AND granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
PATIENCE = 120.0
Prepare = Callable[[ImportCase, random.Random], Awaitable[tuple[bytes, dict[str, object]]]]


@pytest.fixture
async def case(database: Database, tmp_path: Path) -> ImportCase:
    case = ImportCase(database, tmp_path)
    await case.load(stores_file(*STORES), kind=ImportKind.STORES)
    await case.load(products_file(*SKUS), kind=ImportKind.PRODUCTS)
    return case


def dice() -> random.Random:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    return random.Random(seed)  # noqa: S311 - repeatable, no secret


async def purchases(_: ImportCase, rng: random.Random) -> tuple[bytes, dict[str, object]]:
    rows: list[Sequence[object]] = [*many_purchases(2_500, STORES, SKUS, rng)]
    for position in range(50, 2_500, 300):
        rows.insert(position, [*rows[3][:3], "unknown", *rows[3][4:]])
        rows.insert(position, [*rows[7][:4], 51, *rows[7][5:]])
        rows.insert(position, rows[5])
    return purchases_file(*rows), {"kind": ImportKind.PURCHASES}


async def stocked(case: ImportCase, rng: random.Random) -> None:
    """Some of each product in each store, at costs of their own."""
    rows = [
        ("START", "2019-01-01", store, sku, rng.randint(20, 60), f"{rng.randint(100, 900) / 100:.2f}", "")
        for store in STORES
        for sku in SKUS
    ]
    per_store = [[f"START-{row[2]}", *row[1:]] for row in rows]
    await case.load(purchases_file(*per_store), kind=ImportKind.PURCHASES)


async def stock_count(case: ImportCase, rng: random.Random) -> tuple[bytes, dict[str, object]]:
    await stocked(case, rng)
    rows: list[tuple[object, ...]] = [
        (store, sku, rng.randint(0, 90), "A note that makes the file longer. " * 9) for store in STORES for sku in SKUS
    ]
    rows += [(store, "unknown", 1, "") for store in STORES] + rows[:5] + [(*row[:2], 91, "") for row in rows[5:9]]
    content = csv_of("Store,SKU,Counted,Remark", rows)
    return content, {"kind": ImportKind.STOCK_COUNT, "mapping": {"Remark": ""}}


async def deducting_sales(case: ImportCase, rng: random.Random) -> tuple[bytes, dict[str, object]]:
    await stocked(case, rng)
    rows = [
        sale(
            f"S{number:05d}00001",
            store_number=str(rng.choice(STORES)),
            item_number=rng.choice(SKUS),
            bottles_sold=str(quantity := rng.choice([-2, 1, 2, 5, 12, 30])),
            sale_dollars=f"{quantity * 9}.00",
        )
        for number in range(1_500)
    ]
    return sales_csv(rows), {"stock_effect": StockEffect.DEDUCT}


KINDS = pytest.mark.parametrize("prepare", [purchases, stock_count, deducting_sales], ids=lambda f: f.__name__)


async def finish(case: ImportCase, import_id: int) -> None:
    """Bring a job to its end that a killed worker may still hold for a moment."""
    async with asyncio.timeout(PATIENCE):
        while (await case.job(import_id)).finished_at is None:
            with contextlib.suppress(Busy):
                await case.runner.run(import_id)
            await asyncio.sleep(0.05)


async def outcome(case: ImportCase, import_id: int) -> tuple[object, ...]:
    job = await case.job(import_id)
    assert job.status is ImportStatus.COMPLETED
    return counts(job), await case.rejects(import_id), await case.stock(), await case.query(LINES)


@KINDS
async def test_a_worker_killed_in_the_middle_leaves_the_same_stock(case: ImportCase, prepare: Prepare) -> None:
    rng = dice()
    content, request = await prepare(case, rng)
    before = await case.stock()
    undisturbed = await case.load(content, **request)
    assert undisturbed.rows_inserted > 100
    assert undisturbed.rows_rejected
    expected = await outcome(case, undisturbed.id)
    assert (await case.revert(undisturbed.id)).status is ImportStatus.REVERTED
    assert await case.stock() == before

    import_id = await case.start(content, **request)
    for goal in sorted(rng.randrange(len(content)) for _ in range(2)):
        with worker_of(case):
            await until_past(case, import_id, goal)
            await asyncio.sleep(rng.random() * 0.05)
    await finish(case, import_id)
    assert await outcome(case, import_id) == expected
    again = await case.load(content, **request)
    assert again.rows_inserted <= undisturbed.rows_rejected
    assert again.rows_unchanged == undisturbed.rows_inserted + undisturbed.rows_unchanged


@KINDS
async def test_a_worker_killed_while_it_takes_back_leaves_all_or_nothing(case: ImportCase, prepare: Prepare) -> None:
    rng = dice()
    content, request = await prepare(case, rng)
    before = await case.stock()
    job = await case.load(content, **request)
    after = await case.stock()
    async with unit_of_work(case.database) as work:
        await import_job.revert_import(work, job.id)
    with worker_of(case):
        async with asyncio.timeout(PATIENCE):
            while not await case.query(UNDOING) and (await case.job(job.id)).status not in import_job.FINAL:  # noqa: ASYNC110 - another process moves it
                await asyncio.sleep(0.002)
        await asyncio.sleep(rng.random() * 0.2)
    assert await case.stock() in (before, after)
    await finish(case, job.id)
    assert (await case.job(job.id)).status is ImportStatus.REVERTED
    assert await case.stock() == before


@KINDS
async def test_the_same_file_twice_at_once_moves_stock_once(case: ImportCase, prepare: Prepare) -> None:
    rng = dice()
    content, request = await prepare(case, rng)
    alone = await case.load(content, **request)
    expected = await outcome(case, alone.id)
    await case.revert(alone.id)
    ids = [await case.start(content, **request) for _ in range(2)]
    runner = ImportCase(case.database, case.folder, block_bytes=16_384).runner
    await asyncio.gather(*(runner.run(import_id) for import_id in ids))
    jobs = [await case.job(import_id) for import_id in ids]
    assert {job.status for job in jobs} == {ImportStatus.COMPLETED}
    if prepare is deducting_sales:
        # what the one refuses the other may sell, once more has come back; but nothing is sold twice
        assert await case.query("SELECT count(*) FROM invoice_line") == [(sum(job.rows_inserted for job in jobs),)]
        sold = "SELECT sum(quantity)::int, sum(cost)::int FROM invoice_line"
        moved = f"SELECT -sum(quantity)::int, -sum(cost)::int FROM stock_movement WHERE import_id IN {(*ids,)}"  # noqa: S608 - numbers
        assert await case.query(sold) == await case.query(moved)
        assert await case.stock()
        return
    assert sum(job.rows_inserted for job in jobs) == alone.rows_inserted
    assert await case.stock() == expected[2]
