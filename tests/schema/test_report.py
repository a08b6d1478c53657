"""Reports as clients ask for them."""

from datetime import date
from typing import Any

import pytest

from graphql_api.database.engine import Database
from tests.client import Client
from tests.factories import Line, create_invoice, create_product, create_store
from tests.services.test_report import counted, create_sales

MEASURES = "lineCount quantity revenue cost profit margin averagePrice volumeLiters"


async def test_a_report_shows_groups_as_objects(database: Database, client: Client) -> None:
    await create_sales(database)

    data = await client.execute(
        f"""{{ salesReport(groupBy: [{{dimension: COUNTY}}, {{time: MONTH}}], others: true, first: 1) {{
            rows {{ label missing share county {{ name number }} city {{ name }} bucket {{ start end label }}
                    measures {{ {MEASURES} }} before {{ revenue }} change {{ revenue {{ absolute }} }} }}
            others {{ revenue }} grandTotal {{ {MEASURES} }} totalGroups pageInfo {{ hasNextPage hasPreviousPage }}
            meta {{ source exact rowsScanned }}
        }} }}"""
    )

    report = data["salesReport"]
    assert report["rows"] == [
        {
            "label": "POLK · 2024-01",
            "missing": [],
            "share": "0.5625",
            "county": {"name": "POLK", "number": 77},
            "city": None,
            "bucket": {"start": "2024-01-01", "end": "2024-01-31", "label": "2024-01"},
            "measures": {
                "lineCount": 1,
                "quantity": 2,
                "revenue": "18.00",
                "cost": "12.00",
                "profit": "6.00",
                "margin": "0.3333",
                "averagePrice": "9.0000",
                "volumeLiters": "1.500",
            },
            "before": None,
            "change": None,
        }
    ]
    assert report["others"] == {"revenue": "14.00"}
    assert report["grandTotal"]["revenue"] == "32.00"
    assert (report["totalGroups"], report["pageInfo"]) == (3, {"hasNextPage": True, "hasPreviousPage": False})
    assert report["meta"] == {"source": "LIVE", "exact": True, "rowsScanned": 3}


async def test_a_group_without_a_county_says_so(database: Database, client: Client) -> None:
    await create_sales(database)

    data = await client.execute(
        "{ salesReport(groupBy: [{dimension: COUNTY}, {dimension: CITY}]) { rows { label missing county { name } } } }"
    )

    assert data["salesReport"]["rows"][1] == {
        "label": "(no county) · (no city)",
        "missing": ["COUNTY", "CITY"],
        "county": None,
    }


async def test_every_dimension_comes_as_its_object(database: Database, client: Client) -> None:
    await create_sales(database)
    document = """query ($keys: [GroupKey!]!) { salesReport(groupBy: $keys, where: {sku: {eq: "R"}}) { rows {
        city { name } zip store { number } product { sku } category { name } vendor { name } } } }"""

    groups = [["CITY", "ZIP", "STORE"], ["PRODUCT", "CATEGORY", "VENDOR"]]
    rows = []
    for dimensions in groups:
        data = await client.execute(document, keys=[{"dimension": dimension} for dimension in dimensions])
        rows += data["salesReport"]["rows"]

    nothing: dict[str, Any] = dict.fromkeys(["city", "zip", "store", "product", "category", "vendor"])
    assert rows == [
        {**nothing, "city": {"name": "AMES"}, "zip": "50010", "store": {"number": 1}},
        {**nothing, "product": {"sku": "R"}, "category": {"name": "RUM"}, "vendor": {"name": "ACME"}},
    ]


async def test_a_comparison_shows_both_periods_and_the_change(database: Database, client: Client) -> None:
    await create_sales(database)

    data = await client.execute(
        """{ salesReport(groupBy: [{dimension: COUNTY}], where: {date: {gte: "2024-03-01", lte: "2024-03-31"}},
              compareTo: {range: {from: "2024-01-01", to: "2024-01-31"}},
              orderBy: [{measure: REVENUE, value: CHANGE, direction: ASC}]) {
            rows { label measures { revenue } before { revenue }
                   change { revenue { absolute percent } margin { absolute percent } } }
            before { revenue } change { revenue { absolute percent } } } }"""
    )

    report = data["salesReport"]
    assert report["rows"][0] == {
        "label": "POLK",
        "measures": {"revenue": "9.00"},
        "before": {"revenue": "18.00"},
        "change": {
            "revenue": {"absolute": "-9.00", "percent": "-50.00"},
            "margin": {"absolute": "0.0000", "percent": "0.00"},
        },
    }
    assert report["rows"][1]["change"]["margin"] == {"absolute": None, "percent": None}
    assert report["before"] == {"revenue": "23.00"}
    assert report["change"] == {"revenue": {"absolute": "-14.00", "percent": "-60.87"}}


async def test_a_row_leads_to_its_lines(database: Database, client: Client) -> None:
    await create_sales(database)

    data = await client.execute(
        """{ salesReport(groupBy: [{dimension: COUNTY}], first: 1) { rows {
            lines(first: 1) { nodes { revenue product { name } } totalCount pageInfo { hasNextPage } } } } }"""
    )

    assert data["salesReport"]["rows"][0]["lines"] == {
        "nodes": [{"revenue": "9.00", "product": {"name": "Old rum"}}],
        "totalCount": 2,
        "pageInfo": {"hasNextPage": True},
    }


async def test_the_next_page_begins_after_the_cursor(database: Database, client: Client) -> None:
    await create_sales(database)
    document = """query ($after: Cursor) { salesReport(groupBy: [{dimension: STORE}], first: 1, after: $after) {
        rows { store { name } } pageInfo { endCursor hasNextPage hasPreviousPage } } }"""

    first = (await client.execute(document))["salesReport"]
    second = (await client.execute(document, after=first["pageInfo"]["endCursor"]))["salesReport"]

    assert [page["rows"][0]["store"]["name"] for page in (first, second)] == ["Hy-Vee", "Casey's"]
    assert second["pageInfo"]["hasPreviousPage"]
    assert not second["pageInfo"]["hasNextPage"]


async def test_names_of_many_rows_cost_one_statement(database: Database, client: Client) -> None:
    async with database.transaction() as session:
        product = await create_product(session)
        for _ in range(20):
            await create_invoice(session, Line(product), store=await create_store(session))

    async with counted(database) as counter:
        data = await client.execute("{ salesReport(groupBy: [{dimension: STORE}]) { rows { store { name } } } }")

    assert len(data["salesReport"]["rows"]) == 20
    assert counter.statements == 2


@pytest.mark.parametrize(
    ("arguments", "code", "path"),
    [
        ("groupBy: [{dimension: CITY}, {dimension: CITY}]", "BAD_USER_INPUT", ["groupBy"]),
        ("groupBy: [], orderBy: [{}]", "BAD_USER_INPUT", ["orderBy", "0"]),
        (
            "groupBy: [{dimension: CITY}], orderBy: [{measure: COST, key: {dimension: CITY}}]",
            "BAD_USER_INPUT",
            ["orderBy", "0"],
        ),
        ("groupBy: [], first: 1001", "BAD_USER_INPUT", ["first"]),
        ("groupBy: [], compareTo: {period: PREVIOUS_PERIOD}", "BAD_USER_INPUT", ["compareTo"]),
        ('groupBy: [], after: "nonsense"', "BAD_USER_INPUT", ["after"]),
        (
            "groupBy: [], where: {near: {latitude: 91, longitude: 0, kilometers: 1}}",
            "BAD_USER_INPUT",
            ["where", "near", "latitude"],
        ),
        (
            'groupBy: [{time: DAY}], gapFill: true, where: {date: {gte: "1900-01-01", lte: "2024-01-01"}}',
            "QUERY_TOO_COMPLEX",
            ["gapFill"],
        ),
    ],
)
async def test_a_refusal_names_the_argument(client: Client, arguments: str, code: str, path: list[str]) -> None:
    response = await client.execute_raw(f"{{ salesReport({arguments}) {{ totalGroups }} }}")

    assert response.codes == [code]
    assert response.errors[0]["extensions"]["argumentPath"] == path


async def test_two_keys_in_one_are_refused_by_the_schema(client: Client) -> None:
    response = await client.execute_raw("{ salesReport(groupBy: [{dimension: CITY, time: DAY}]) { totalGroups } }")

    assert response.codes == ["GRAPHQL_VALIDATION_FAILED"]


async def test_absent_and_null_arguments_are_the_same(database: Database, client: Client) -> None:
    await create_sales(database)

    data = await client.execute(
        """{ salesReport(groupBy: [], where: null, having: null, orderBy: null, first: null, after: null,
              others: null, compareTo: null, gapFill: null) { grandTotal { revenue } others { revenue } } }"""
    )

    assert data["salesReport"] == {"grandTotal": {"revenue": "32.00"}, "others": None}


async def test_amounts_of_nothing_have_their_digits_too(client: Client) -> None:
    data = await client.execute(
        "{ salesReport(groupBy: []) { grandTotal { revenue cost profit volumeLiters margin quantity } } }"
    )

    assert data["salesReport"]["grandTotal"] == {
        "revenue": "0.00",
        "cost": "0.00",
        "profit": "0.00",
        "volumeLiters": "0.000",
        "margin": None,
        "quantity": 0,
    }


async def test_facets_complete_what_is_typed(database: Database, client: Client) -> None:
    await create_sales(database)

    data = await client.execute(
        """{ facets(field: COUNTY_NUMBER, search: "po", where: {date: {gte: "2024-03-01"}}) {
            value number label count } }"""
    )

    assert data["facets"] == [{"value": "77", "number": 77, "label": "77 POLK", "count": 1}]


async def test_the_overview_shows_profit_and_who_sold(database: Database, client: Client) -> None:
    await create_sales(database)

    data = await client.execute(
        """{ overview(where: {county: {eq: "polk"}}) { sales { profit } firstSale lastSale
            storesSelling productsSelling countiesSelling stores products } }"""
    )

    assert data["overview"] == {
        "sales": {"profit": "9.00"},
        "firstSale": date(2024, 1, 10).isoformat(),
        "lastSale": "2024-03-10",
        "storesSelling": 1,
        "productsSelling": 1,
        "countiesSelling": 1,
        "stores": 2,
        "products": 2,
    }
