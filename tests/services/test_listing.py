from typing import Any

import pytest
from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.services import category, cursors, invoice, place, product, store, vendor
from graphql_api.services.errors import BadInput
from graphql_api.services.listing import MAX_SEARCH, MAX_SORTS, Listing, ListQuery, Sort
from graphql_api.services.paging import PageRequest
from graphql_api.services.policy import Viewer
from tests.client import ADMIN

SERVED_BY_INDEX: dict[str, Listing[Any]] = {
    "counties": place.COUNTIES,
    "stores": store.STORES,
    "vendors": vendor.VENDORS,
    "categories": category.CATEGORIES,
    "products": product.PRODUCTS,
    "invoices": invoice.INVOICES,
}


async def plan(database: Database, listing: Listing[Any], query: ListQuery) -> str:
    dialect = database.engine.dialect
    statement = listing.page_statement(query).compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    async with database.transaction() as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        return "\n".join(await session.scalars(text(f"EXPLAIN {statement}".replace(":", r"\:"))))


@pytest.mark.parametrize("noun", SERVED_BY_INDEX)
async def test_an_index_serves_the_default_order(database: Database, noun: str) -> None:
    listing = SERVED_BY_INDEX[noun]

    for request in (PageRequest(first=10), PageRequest(last=10)):
        explained = await plan(database, listing, ListQuery(page=request, viewer=ADMIN))
        assert "Index" in explained
        assert "Sort" not in explained


async def test_an_index_serves_the_invoices_of_a_customer(database: Database) -> None:
    customer = Viewer(user_id=7, role=Role.CUSTOMER, session_id=1)

    explained = await plan(database, invoice.INVOICES, ListQuery(page=PageRequest(first=10), viewer=customer))

    assert "ix_invoice_customer_id" in explained


async def test_nobody_is_shown_no_invoice(database: Database) -> None:
    assert "One-Time Filter: false" in await plan(database, invoice.INVOICES, ListQuery())


async def test_an_index_finds_the_next_page(database: Database) -> None:
    cursor = cursors.encode("StoreRow.id:NAME,StoreRow.id", ["a", 1])
    query = ListQuery(page=PageRequest(first=10, after=cursor))

    explained = await plan(database, store.STORES, query)

    assert "Index Cond: (ROW(name, id) > ROW('a'" in explained


def test_too_much_is_refused_with_its_argument() -> None:
    many = [Sort(name) for name in ("NAME", "SKU", "UNIT_PRICE", "UNIT_COST", "VOLUME", "NAME")]
    assert len(many) > MAX_SORTS

    for query, path in ((ListQuery(order=many), "orderBy"), (ListQuery(search="a" * (MAX_SEARCH + 1)), "search")):
        with pytest.raises(BadInput) as refusal:
            product.PRODUCTS.page_statement(query)
        assert refusal.value.path == (path,)


def test_a_sort_named_twice_counts_once() -> None:
    twice = ListQuery(order=[Sort("SKU"), Sort("SKU", is_descending=True)])
    once = ListQuery(order=[Sort("SKU")])

    assert str(product.PRODUCTS.page_statement(twice)) == str(product.PRODUCTS.page_statement(once))
