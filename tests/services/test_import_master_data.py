"""Files of products and stores: created, compared, changed column by column, and taken back."""

from pathlib import Path

import pytest
from sqlalchemy import select

from graphql_api.database.engine import Database
from graphql_api.database.import_job import ImportKind, ImportMode, ImportStatus, RejectPolicy
from graphql_api.database.product import ProductRow
from graphql_api.database.store import StoreRow
from graphql_api.services import import_job
from graphql_api.services.audit import Act
from graphql_api.services.unit_of_work import unit_of_work
from tests.factories import create_product, create_stock, create_store
from tests.import_files import csv_of, products_file, stores_file
from tests.sales_files import sale, sales_csv
from tests.services.import_case import ImportCase, counts

PRODUCTS = {"kind": ImportKind.PRODUCTS}
UPSERT = {"kind": ImportKind.PRODUCTS, "mode": ImportMode.UPSERT}
STORES = {"kind": ImportKind.STORES}
CATALOGUE = """
SELECT p.sku, p.name, p.description, c.number, c.name, v.name, p.pack, p.volume_ml, p.unit_cost, p.unit_price,
       p.low_stock_threshold, p.is_active, p.version
FROM product p LEFT JOIN category c ON c.id = p.category_id LEFT JOIN vendor v ON v.id = p.vendor_id ORDER BY p.sku
"""
MAP = """
SELECT s.number, s.name, s.address, p.city, p.zip_code, c.name, s.latitude, s.longitude, s.is_active, s.version
FROM store s JOIN place p ON p.id = s.place_id LEFT JOIN county c ON c.id = p.county_id ORDER BY s.number
"""
FULL = (
    "SKU,Name,Description,Category,Category Name,Vendor,Vendor Name,Pack,Volume ml,"
    "Unit Cost,Unit Price,Threshold,Active"
)


@pytest.fixture
def case(database: Database, tmp_path: Path) -> ImportCase:
    return ImportCase(database, tmp_path, block_bytes=8_192)


async def test_a_file_of_products_creates_them_and_again_changes_nothing(case: ImportCase) -> None:
    content = csv_of(
        FULL,
        [
            ("x1", "Dry gin", "Two\nlines", 5, "GIN", 7, "MAKER", 12, 750, "$6.00", "9", 3, "yes"),
            ("007", "Old gin", "", "", "RUM", "", "", "", "", "", "", "", "no"),
        ],
    )
    first = await case.load(content, **PRODUCTS)
    assert (first.status, counts(first)) == (ImportStatus.COMPLETED, (2, 2, 0, 0, 0))
    expected = [
        ("007", "Old gin", None, None, "RUM", None, None, None, None, None, None, False, 1),
        ("x1", "Dry gin", "Two\nlines", 5, "GIN", "MAKER", 12, 750, 600, 900, 3, True, 1),
    ]
    assert await case.query(CATALOGUE) == expected
    for mode in ImportMode:
        assert counts(await case.load(content, kind=ImportKind.PRODUCTS, mode=mode)) == (2, 0, 0, 2, 0)
    assert await case.query(CATALOGUE) == expected


async def test_insert_refuses_other_content_and_upsert_changes_what_is_given(case: ImportCase) -> None:
    await case.load(products_file("a", "b"), **PRODUCTS)
    changed = csv_of("SKU,Unit Price,Name,Category Name", [("a", "10.50", "", "GIN"), ("b", "", "Product b", "")])
    refused = await case.load(changed, **PRODUCTS)
    assert await case.rejects(refused.id) == [(2, "PRODUCT_CONFLICT", "SKU")]
    ((hint,),) = await case.query("SELECT hint FROM import_reject")
    assert "another category, unit price; import with mode UPSERT" in hint
    assert await case.query("SELECT count(*) FROM category") == [(0,)]
    job = await case.load(changed, **UPSERT)
    assert counts(job) == (2, 0, 1, 1, 0)
    rows = await case.query("SELECT sku, name, unit_cost, unit_price, version FROM product ORDER BY sku")
    assert rows == [("a", "Product a", 600, 1050, 2), ("b", "Product b", 600, 900, 1)]


async def test_what_is_new_needs_a_name_and_bad_cells_are_explained(case: ImportCase) -> None:
    content = csv_of(
        "SKU,Name,Unit Price,Pack,Active",
        [("a", "", "1", "", ""), ("", "N", "1", "", ""), ("b", "N", "-1", "0", "perhaps")],
    )
    job = await case.load(content, **PRODUCTS)
    assert await case.rejects(job.id) == [
        (2, "MISSING_VALUE", "Name"),
        (3, "MISSING_VALUE", "SKU"),
        (4, "OUT_OF_RANGE", "Unit Price"),
    ]
    hints = [hint for (hint,) in await case.query("SELECT hint FROM import_reject ORDER BY record")]
    assert 'needs "Name"' in hints[0]
    assert "Also check Pack, Active." in hints[2]


async def test_a_product_named_twice_is_found_in_any_block(case: ImportCase) -> None:
    many = [(f"s{n}", f"Product {n}", "9.00") for n in range(1_000)]
    rows = [("twice", "One", "1.00"), ("twice", "One", "1.00"), *many, ("twice", "Two", "1.00"), many[0]]
    for dry_run in (True, False):
        job = await case.load(csv_of("SKU,Name,Unit Price", rows), dry_run=dry_run, **PRODUCTS)
        assert counts(job) == (1_004, 1_001, 0, 2, 1)
        assert await case.rejects(job.id) == [(1_004, "ID_REPEATED", "SKU")]
    assert (await case.table_sizes())["import_seen"] == 0


async def test_a_dry_run_of_products_tells_and_writes_nothing(case: ImportCase) -> None:
    await case.load(products_file("a"), **PRODUCTS)
    before = await case.query(CATALOGUE), await case.table_sizes()
    content = csv_of("SKU,Name,Unit Price,Vendor Name", [("a", "", "3", "NEW"), ("b", "B", "", "NEW")])
    dry = await case.load(content, dry_run=True, **UPSERT)
    assert counts(dry) == (2, 1, 1, 0, 0)
    assert (await case.query(CATALOGUE), await case.table_sizes()) == before
    async with unit_of_work(case.database) as work:
        confirmed = (await import_job.confirm_import(work, dry.id)).id
    await case.runner.run(confirmed)
    assert counts(await case.job(confirmed)) == counts(dry)
    assert (await case.job(confirmed)).kind is ImportKind.PRODUCTS


async def test_reject_all_creates_no_product_when_one_is_bad(case: ImportCase) -> None:
    job = await case.load(
        csv_of("SKU,Name,Category", [("a", "A", 5), ("b", "", 5)]), on_error=RejectPolicy.REJECT_ALL, **PRODUCTS
    )
    assert job.status is ImportStatus.REFUSED
    assert set((await case.table_sizes()).values()) == {0}


async def test_reverting_restores_products_and_removes_new_ones(case: ImportCase) -> None:
    await case.load(csv_of(FULL, [("a", "A", "", 5, "GIN", 7, "V", 12, 750, 6, 9, 3, "yes")]), **PRODUCTS)
    before = await case.query(CATALOGUE.replace(", p.version", "")), await case.table_sizes()
    job = await case.load(
        csv_of(FULL, [("a", "B", "d", 6, "RUM", 8, "W", 6, 1000, 7, 8, 4, "no"), ("n", "N", *[""] * 11)]), **UPSERT
    )
    assert counts(job) == (2, 1, 1, 0, 0)
    reverted = await case.revert(job.id)
    assert (reverted.status, reverted.failure) == (ImportStatus.REVERTED, None)
    assert (await case.query(CATALOGUE.replace(", p.version", "")), await case.table_sizes()) == before
    assert await case.query("SELECT version FROM product") == [(3,)]


async def test_what_was_changed_again_blocks_a_revert_and_is_named(case: ImportCase) -> None:
    await case.load(products_file("a", "b"), **PRODUCTS)
    first = await case.load(csv_of("SKU,Unit Price", [("a", 10), ("b", 10)]), **UPSERT)
    second = await case.load(csv_of("SKU,Unit Price,Pack", [("a", 11, 6)]), **UPSERT)
    blocked = await case.revert(first.id)
    assert (blocked.status, blocked.failure and blocked.failure["code"]) == (ImportStatus.COMPLETED, "REVERT_BLOCKED")
    assert blocked.failure
    assert blocked.failure["blockers"] == [f"The unit price of product a was changed again by import {second.id}."]
    assert await case.query("SELECT sku, unit_price FROM product ORDER BY 1") == [("a", 1100), ("b", 1000)]
    for job in (second, first):
        assert (await case.revert(job.id)).status is ImportStatus.REVERTED
    assert await case.query("SELECT sku, unit_price, pack FROM product ORDER BY 1") == [
        ("a", 900, None),
        ("b", 900, None),
    ]


async def test_a_change_of_another_column_does_not_stand_in_the_way(case: ImportCase) -> None:
    await case.load(products_file("a"), **PRODUCTS)
    job = await case.load(csv_of("SKU,Unit Price", [("a", 10)]), **UPSERT)
    async with case.database.dedicated() as connection:
        await connection.execute("UPDATE product SET name = 'Mine', version = version + 1")
    assert (await case.revert(job.id)).status is ImportStatus.REVERTED
    assert await case.query("SELECT name, unit_price, version FROM product") == [("Mine", 900, 4)]


async def test_a_product_in_use_stays_when_its_import_is_taken_back(case: ImportCase) -> None:
    stores = await case.load(stores_file(1), **STORES)
    job = await case.load(products_file("sold", "stocked", "edited", "changed", "idle"), **PRODUCTS)
    sales = await case.load(sales_csv([sale("S1000001", item_number="sold", store_number="1")]))
    later = await case.load(csv_of("SKU,Pack", [("changed", 6)]), **UPSERT)
    async with unit_of_work(case.database, Act("test")) as work:
        ids = dict(await case.query("SELECT sku, id FROM product"))
        work.record("Product", ids["edited"])
    async with case.database.transaction() as session:
        store = (await session.scalars(select(StoreRow))).one()
        await create_stock(session, store, await session.get_one(ProductRow, ids["stocked"]))
    assert (await case.revert(job.id)).status is ImportStatus.REVERTED
    owners = await case.query("SELECT sku, import_id FROM product ORDER BY sku")
    assert owners == [("changed", later.id), ("edited", None), ("sold", sales.id), ("stocked", None)]
    assert (await case.revert(later.id)).status is ImportStatus.REVERTED
    assert (await case.revert(sales.id)).status is ImportStatus.REVERTED
    assert await case.query("SELECT sku FROM product ORDER BY sku") == [("edited",), ("stocked",)]
    assert (await case.revert(stores.id)).status is ImportStatus.REVERTED
    assert await case.query("SELECT number FROM store") == [(1,)]


async def test_a_threshold_that_a_file_changes_opens_and_resolves_episodes(case: ImportCase) -> None:
    async with case.database.transaction() as session:
        product = await create_product(session, sku="a")
        await create_stock(session, await create_store(session), product, 50)
    for threshold, episodes in ((60, 1), (40, 0)):
        await case.load(csv_of("SKU,Threshold", [("a", threshold)]), **UPSERT)
        assert await case.query("SELECT count(*) FROM low_stock_episode WHERE resolved_at IS NULL") == [(episodes,)]


async def test_stores_are_created_changed_and_restored(case: ImportCase) -> None:
    content = csv_of(
        "Store Number,Store Name,Address,City,Zip Code,County Number,County,Store Location,Latitude,Longitude,Active",
        [
            (10, "Ten", "1 Main St", "ames", "50010.0", 85, "story", "POINT (-93.6 42.03)", "", "", ""),
            (11, "Eleven", "", "Ames", "50010", 85, "", "", "41.5", "-90", "no"),
            (12, "", "", "", "", "", "", "nowhere", "", "", ""),
        ],
    )
    job = await case.load(content, **STORES)
    assert counts(job) == (3, 2, 0, 0, 1)
    assert await case.rejects(job.id) == [(4, "BAD_NUMBER", "Store Location")]
    first = [tuple(map(str, row)) for row in await case.query(MAP)]
    assert first == [
        ("10", "Ten", "1 Main St", "AMES", "50010", "STORY", "42.030000", "-93.600000", "True", "1"),
        ("11", "Eleven", "None", "AMES", "50010", "STORY", "41.500000", "-90.000000", "False", "1"),
    ]
    assert counts(await case.load(content, **STORES)) == (3, 0, 0, 2, 1)
    changed = csv_of("Number,Name,City,Lat", [(10, "", "Boone", ""), (11, "Elf", "", "41.5")])
    refused = await case.load(changed, **STORES)
    assert await case.rejects(refused.id) == [(2, "STORE_CONFLICT", "Number"), (3, "STORE_CONFLICT", "Number")]
    upsert = await case.load(changed, kind=ImportKind.STORES, mode=ImportMode.UPSERT)
    assert [row[1:6] for row in await case.query(MAP)] == [
        ("Ten", "1 Main St", "BOONE", "50010", "STORY"),
        ("Elf", None, "AMES", "50010", "STORY"),
    ]
    assert (await case.revert(upsert.id)).status is ImportStatus.REVERTED
    assert [tuple(map(str, row))[:9] for row in await case.query(MAP)] == [row[:9] for row in first]
    assert (await case.revert(job.id)).status is ImportStatus.REVERTED
    assert set((await case.table_sizes()).values()) == {0}


async def test_a_sale_stays_where_it_was_made_when_a_file_moves_the_store(case: ImportCase) -> None:
    await case.load(sales_csv([sale("S1000001", store_number="10", city="Ames")]))
    await case.load(csv_of("Number,City", [(10, "Boone")]), kind=ImportKind.STORES, mode=ImportMode.UPSERT)
    assert [row[4] for row in await case.books()] == ["AMES"]
    assert [row[3] for row in await case.query(MAP)] == ["BOONE"]
