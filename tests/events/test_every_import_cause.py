"""Whatever moves stock is told: every kind of import, its way back, and what was cancelled half way."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.import_job import ImportKind, ImportStatus, StockEffect
from graphql_api.schema.context import Services
from graphql_api.schema.root import ApiSchema, build_schema
from graphql_api.services import import_job
from graphql_api.services.import_run import ImportRunner
from graphql_api.services.storage import FileStorage
from graphql_api.services.unit_of_work import unit_of_work
from tests.client import create_services
from tests.events.cause_walk import IMPORTING, Walk
from tests.import_files import csv_of, products_file, purchases_file, stores_file
from tests.sales_files import sale, sales_csv
from tests.services.import_case import ImportCase


@pytest.fixture(scope="module")
def schema() -> ApiSchema:
    """The schema as the server offers it."""
    return build_schema()


@pytest.fixture
def services(database: Database, tmp_path: Path) -> Services:
    """What operations share."""
    return create_services(database, FileStorage(str(tmp_path / "storage")))


ROWS = 60
# Rows of an import that have moved bottles when it is cancelled; one of them is a return.
SEEN = 4


def sales_file(rows: int) -> bytes:
    """Bottles of `a` that store 10 sells and gets back by turns."""
    lines = [(f"S{number:07d}00001", -1 if number % 3 == 2 else 2) for number in range(rows)]
    cells = {"store_number": "10", "item_number": "a"}
    return sales_csv(
        sale(line, **cells, bottles_sold=str(sold), sale_dollars=f"{sold * 10}.00") for line, sold in lines
    )


def orders_file(rows: int) -> bytes:
    """Bottles that come to both stores."""
    return purchases_file(
        *((f"P{n}", "2019-01-02", 10 + n % 2, "ab"[n % 3 % 2], n + 1, "5.00", "") for n in range(rows))
    )


def counts_file(rows: int) -> bytes:
    """Counts of many products, that all differ from the books."""
    return csv_of("Store,SKU,Counted", [(10 + n % 2, f"c{n // 2}", n + 1) for n in range(rows)])


FILES: Mapping[ImportKind, Callable[[int], bytes]] = {
    ImportKind.SALES: sales_file,
    ImportKind.PURCHASES: orders_file,
    ImportKind.STOCK_COUNT: counts_file,
    ImportKind.STORES: lambda rows: stores_file(*range(10, 10 + rows)),
    ImportKind.PRODUCTS: lambda rows: products_file(*(f"z{n}" for n in range(rows))),
}
# Master data moves nothing and is over at once.
CANCELLED = (ImportKind.SALES, ImportKind.PURCHASES, ImportKind.STOCK_COUNT)


@pytest.fixture
async def case(database: Database, tmp_path: Path) -> ImportCase:
    """Stores 10 and 11, and enough of product `a` in store 10. Files are read a few rows at a time."""
    case = ImportCase(database, tmp_path, block_bytes=60)
    await case.load(stores_file(10, 11), kind=ImportKind.STORES)
    await case.load(products_file("a", "b", *(f"c{n}" for n in range(ROWS))), kind=ImportKind.PRODUCTS)
    await case.load(purchases_file(("P", "2019-01-02", 10, "a", 500, "5.00", "")), kind=ImportKind.PURCHASES)
    return case


async def start(case: ImportCase, kind: ImportKind, rows: int) -> int:
    effect = StockEffect.DEDUCT if kind is ImportKind.SALES else StockEffect.NONE
    return await case.start(FILES[kind](rows), kind=kind, stock_effect=effect)


async def load(case: ImportCase, import_id: int) -> None:
    """Run an import to its end."""
    await case.runner.run(import_id)
    job = await case.job(import_id)
    assert (job.status, job.rows_rejected) == (ImportStatus.COMPLETED, 0)


async def load_and_cancel(case: ImportCase, import_id: int) -> None:
    """Run an import that is cancelled once it has moved bottles, until nothing of it is left."""
    cancelled, conclude = asyncio.Event(), ImportRunner._conclude  # noqa: SLF001 - what ends an import too early

    async def conclude_late(*arguments: Any, **named: Any) -> None:
        await cancelled.wait()
        await conclude(*arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ImportRunner, "_conclude", conclude_late)
        running = asyncio.create_task(case.runner.run(import_id))
        moved = f"SELECT count(*) FROM stock_movement WHERE import_id = {import_id}"  # noqa: S608 - a number
        while (await case.query(moved))[0][0] < SEEN:  # noqa: ASYNC110 - the ledger says it
            await asyncio.sleep(0.005)
        async with unit_of_work(case.database) as work:
            await import_job.cancel_import(work, import_id)
        cancelled.set()
        await running
    assert (await case.job(import_id)).status is ImportStatus.CANCELLED


async def take_back(case: ImportCase, import_id: int) -> None:
    assert (await case.revert(import_id)).status is ImportStatus.REVERTED


async def test_every_import_that_moves_stock_is_told_and_so_is_its_way_back(
    database: Database, schema: ApiSchema, services: Services, case: ImportCase
) -> None:
    # given
    walk = Walk(database, schema, services)
    assert FILES.keys() == set(ImportKind), "every kind is walked"

    # when
    for kind in FILES:
        loaded = await start(case, kind, 6)
        await walk.compare(kind.value, partial(load, case, loaded))
        await walk.compare(f"{kind.value} taken back", partial(take_back, case, loaded))
    for kind in CANCELLED:
        cancelled = await start(case, kind, ROWS)
        await walk.compare(f"{kind.value} cancelled", partial(load_and_cancel, case, cancelled))

    # then
    assert {name: causes for name, causes in walk.causes.items() if causes} == IMPORTING
