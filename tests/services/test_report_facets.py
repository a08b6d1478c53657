"""Autocomplete and the overview."""

from datetime import date
from typing import Any

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.invoice import InvoiceStatus
from graphql_api.services.errors import BadInput
from graphql_api.services.facet import FacetField, facets
from graphql_api.services.overview import sales_overview
from tests.factories import Line, create_invoice, create_product, create_store
from tests.services.test_report import MARCH, POLK_SUMS, UNKNOWN_SUMS, create_sales


async def found(database: Database, field: FacetField, **arguments: Any) -> list[tuple[str | int, str, int]]:
    async with database.read() as session:
        return [(facet.value, facet.label, facet.count) for facet in await facets(session, field, **arguments)]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (FacetField.STORE_NUMBER, [(1, "1 Hy-Vee", 2), (2, "2 Casey's", 1)]),
        (FacetField.STORE_NAME, [("Hy-Vee", "Hy-Vee", 2), ("Casey's", "Casey's", 1)]),
        (FacetField.CITY, [("AMES", "AMES", 2)]),
        (FacetField.ZIP, [("50010", "50010", 2)]),
        (FacetField.COUNTY, [("POLK", "POLK", 2)]),
        (FacetField.COUNTY_NUMBER, [(77, "77 POLK", 2)]),
        (FacetField.CATEGORY_NUMBER, [(10, "10 RUM", 2)]),
        (FacetField.CATEGORY_NAME, [("RUM", "RUM", 2)]),
        (FacetField.VENDOR_NUMBER, [(5, "5 ACME", 2)]),
        (FacetField.VENDOR_NAME, [("ACME", "ACME", 2)]),
        (FacetField.SKU, [("R", "R Old rum", 2), ("G", "G Dry gin", 1)]),
        (FacetField.PRODUCT_NAME, [("Old rum", "Old rum", 2), ("Dry gin", "Dry gin", 1)]),
    ],
)
async def test_each_field_lists_its_values_by_frequency(
    database: Database, field: FacetField, expected: list[tuple[str | int, str, int]]
) -> None:
    await create_sales(database)

    assert await found(database, field) == expected


@pytest.mark.parametrize(
    ("field", "search", "values"),
    [
        (FacetField.STORE_NAME, "VEE", ["Hy-Vee"]),
        (FacetField.STORE_NUMBER, "2", [2]),
        (FacetField.STORE_NUMBER, "casey", [2]),
        (FacetField.COUNTY, "ol", ["POLK"]),
        (FacetField.CITY, "mes", ["AMES"]),
        (FacetField.SKU, "rum", ["R"]),
        (FacetField.PRODUCT_NAME, "%", []),
    ],
)
async def test_what_is_typed_narrows_the_values(
    database: Database, field: FacetField, search: str, values: list[str | int]
) -> None:
    await create_sales(database)

    assert [value for value, _, _ in await found(database, field, search=search)] == values


async def test_a_filter_counts_except_the_one_of_the_field_itself(database: Database) -> None:
    await create_sales(database)
    where = {"sku": {"eq": "R"}, "and": [{"date": {"eq": MARCH}}, {"storeName": {"eq": "Casey's"}}]}

    assert await found(database, FacetField.STORE_NAME, where=where) == [("Hy-Vee", "Hy-Vee", 1)]
    assert await found(database, FacetField.SKU, where=where) == []


async def test_values_of_voided_invoices_alone_are_not_offered(database: Database) -> None:
    async with database.transaction() as session:
        await create_invoice(session, Line(await create_product(session)), status=InvoiceStatus.VOID)

    assert await found(database, FacetField.SKU) == []


@pytest.mark.parametrize("first", [0, 101])
async def test_the_number_of_values_is_limited(database: Database, first: int) -> None:
    with pytest.raises(BadInput) as caught:
        await found(database, FacetField.SKU, first=first)

    assert caught.value.path == ("first",)


async def test_the_overview_adds_up_and_counts_who_sold(database: Database) -> None:
    await create_sales(database)
    async with database.transaction() as session:
        await create_store(session, is_active=False)
        await create_invoice(session, Line(await create_product(session)), status=InvoiceStatus.DRAFT)

    async with database.read() as session:
        overview = await sales_overview(session)
        of_rum = await sales_overview(session, {"sku": {"eq": "R"}})

    assert overview.sales == POLK_SUMS + UNKNOWN_SUMS
    assert (overview.first_sale, overview.last_sale) == (date(2024, 1, 10), date(2024, 3, 10))
    assert (overview.stores_selling, overview.products_selling, overview.counties_selling) == (2, 2, 1)
    assert (overview.stores, overview.products) == (3, 3)
    assert (of_rum.sales, of_rum.stores_selling) == (POLK_SUMS, 1)


async def test_the_overview_of_nothing_is_zero(database: Database) -> None:
    async with database.read() as session:
        overview = await sales_overview(session)

    assert (overview.sales.line_count, overview.first_sale, overview.stores_selling) == (0, None, 0)
