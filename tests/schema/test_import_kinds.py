"""Every kind of file through the mutation, as clients send it."""

from pathlib import Path
from typing import Any

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from tests.client import Client
from tests.import_files import csv_of, products_file, purchases_file, stores_file
from tests.sales_files import sale, sales_csv
from tests.schema.people import ClientOf, create_viewer
from tests.schema.test_imports import change, run, upload
from tests.services.import_case import ImportCase

START = """
mutation ($input: StartImportInput!) {
  startImport(input: $input) { import { id kind mode stockEffect } userErrors { code message path } }
}
"""
STATE = """
query ($id: ID!) {
  import(id: $id) {
    status kind rowsRead rowsInserted rowsUpdated rowsUnchanged rowsRejected
    failure { code hint blockers } rejects { nodes { line column code value hint } }
  }
}
"""


@pytest.fixture
def case(database: Database, tmp_path: Path) -> ImportCase:
    return ImportCase(database, tmp_path)


async def load(client: Client, case: ImportCase, content: bytes, **options: Any) -> dict[str, Any]:
    """The import when it has ended, with its id."""
    payload = (await client.execute(START, input={"file": upload(content), **options}))["startImport"]
    assert payload["userErrors"] == []
    await run(case)
    state = (await client.execute(STATE, id=payload["import"]["id"]))["import"]
    return {**state, "id": payload["import"]["id"]}


async def refuse(client: Client, **options: Any) -> dict[str, Any]:
    payload = (await client.execute(START, input={"file": upload(b"x"), **options}))["startImport"]
    (error,) = payload["userErrors"]
    return dict(error)


async def test_every_kind_goes_in_and_what_is_used_cannot_be_taken_back(client: Client, case: ImportCase) -> None:
    # given stores and products from files
    stores = await load(client, case, stores_file(10), kind="STORES")
    products = await load(client, case, products_file("a"), kind="PRODUCTS")
    assert [(job["status"], job["rowsInserted"]) for job in (stores, products)] == [("COMPLETED", 1)] * 2
    prices = await load(client, case, csv_of("SKU,Unit Price", [("a", 12)]), kind="PRODUCTS", mode="UPSERT")
    assert (prices["kind"], prices["rowsUpdated"]) == ("PRODUCTS", 1)

    # when they are bought, counted and sold
    bought = ("PO-1", "2019-01-02", 10, "a", 10, "5.00", "")
    purchases = await load(client, case, purchases_file(bought), kind="PURCHASES")
    counted = await load(client, case, csv_of("Store,SKU,Counted", [(10, "a", 9)]), kind="STOCK_COUNT")
    rows = [sale(f"S100000{n}", store_number="10", item_number="a", bottles_sold="5") for n in (1, 2)]
    sold = await load(client, case, sales_csv(rows), stockEffect="DEDUCT")
    assert [(job["rowsInserted"], job["rowsRejected"]) for job in (purchases, counted, sold)] == [
        (1, 0),
        (1, 0),
        (1, 1),
    ]
    (reject,) = sold["rejects"]["nodes"]
    assert (reject["code"], reject["column"], reject["value"]) == ("INSUFFICIENT_STOCK", "Bottles Sold", "5")
    assert "has 4 bottles left" in reject["hint"]

    # then what is used stays and says why, and in the right order all goes
    await change(client, "revertImport", purchases["id"])
    await case.runner.run((await case.query("SELECT id FROM import_job WHERE kind = 'PURCHASES'"))[0][0])
    blocked = (await client.execute(STATE, id=purchases["id"]))["import"]
    assert (blocked["status"], blocked["failure"]["code"]) == ("COMPLETED", "REVERT_BLOCKED")
    assert blocked["failure"]["blockers"][0].startswith("Of 10 bottles of product a that store 10 got, 6 are gone:")
    for job in (sold, counted, purchases):
        await change(client, "revertImport", job["id"])
        for (import_id,) in await case.query("SELECT id FROM import_job WHERE status = 'REVERTING'"):
            await case.runner.run(import_id)
        assert (await client.execute(STATE, id=job["id"]))["import"]["status"] == "REVERTED"
    assert await case.stock() == []


async def test_what_does_not_go_together_is_refused_before_the_file_is_kept(client: Client, case: ImportCase) -> None:
    for options, path in (
        ({"kind": "PURCHASES", "mode": "UPSERT"}, "mode"),
        ({"kind": "STOCK_COUNT", "mode": "UPSERT"}, "mode"),
        ({"stockEffect": "DEDUCT", "mode": "UPSERT"}, "stockEffect"),
        ({"stockEffect": "DEDUCT", "kind": "STORES"}, "stockEffect"),
    ):
        error = await refuse(client, **options)
        assert (error["code"], error["path"]) == ("BAD_USER_INPUT", ["input", path])
    assert await case.query("SELECT count(*) FROM import_job") == [(0,)]
    assert [path for path in (case.folder / "storage").rglob("*") if path.is_file()] == []


async def test_staff_create_products_by_file_but_do_not_change_those_of_others(
    database: Database, client_of: ClientOf, case: ImportCase
) -> None:
    viewer = await create_viewer(database, Role.STAFF)
    client = client_of(viewer)
    created = await load(client, case, products_file("a"), kind="PRODUCTS")
    assert created["rowsInserted"] == 1
    assert await case.query("SELECT created_by FROM product") == [(viewer.user_id,)]
    error = await refuse(client, kind="PRODUCTS", mode="UPSERT")
    assert (error["code"], error["path"]) == ("FORBIDDEN", ["input", "mode"])


async def test_a_header_of_another_kind_is_explained(client: Client, case: ImportCase) -> None:
    job = await load(client, case, stores_file(10), kind="PRODUCTS")
    assert (job["status"], job["failure"]["code"]) == ("FAILED", "UNKNOWN_HEADER")
    job = await load(client, case, b"Mood,Weather\n1,2\n", kind="STOCK_COUNT")
    assert "is this a stock count file?" in job["failure"]["hint"]
