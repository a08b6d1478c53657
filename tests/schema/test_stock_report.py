"""Stock reports, the overview of stock and the check of the books, as clients ask for them."""

import datetime as dt
from typing import Any

import pytest
from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.database.stock import MovementCause
from graphql_api.database.user import Role
from graphql_api.ledger.entries import Demand
from graphql_api.services import posting
from graphql_api.services.unit_of_work import unit_of_work
from tests.client import Client
from tests.factories import (
    create_category,
    create_county,
    create_place,
    create_product,
    create_stock,
    create_store,
    create_user,
)

MEASURES = "units value retailValue products lowStockCount"


@pytest.fixture
async def stocked(database: Database) -> dt.date:
    """Rum in two stores of Polk and in one without a county, gin in one; on the day given rum alone, and more."""
    async with unit_of_work(database) as work:
        session = work.session
        polk = await create_county(session, name="POLK", number=77)
        one = await create_store(session, number=1, place=await create_place(session, city="AMES", county=polk))
        two = await create_store(session, number=2, place=await create_place(session, city="AMES", county=polk))
        far = await create_store(session, number=3, place=await create_place(session, city=None, zip_code=None))
        rum_kind = await create_category(session, name="RUM", number=10)
        rum = await create_product(session, sku="R", name="Old rum", category=rum_kind, unit_price=1_250)
        gin = await create_product(session, sku="G", name="Dry gin", unit_price=None)
        for store, quantity, cost in ((one, 20, 500), (two, 30, 501), (far, 5, 499)):
            await create_stock(session, store, rum, quantity, unit_cost=cost)
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        await session.execute(text("UPDATE stock_movement SET at = now() - interval '1 day'"))
        await session.execute(text("SET LOCAL session_replication_role = origin"))
        await create_stock(session, one, gin, 7, unit_cost=333)
        await posting.take(work, [Demand(two.id, rum.id, 10)], MovementCause.ADJUSTMENT)
        day = await session.scalar(text("SELECT CAST(min(at) AT TIME ZONE 'UTC' AS date) FROM stock_movement"))
    assert isinstance(day, dt.date)
    return day


def measures(units: int, value: str, retail: str, products: int, low: int) -> dict[str, Any]:
    return {"units": units, "value": value, "retailValue": retail, "products": products, "lowStockCount": low}


@pytest.mark.usefixtures("stocked")
async def test_stock_is_shown_by_groups_as_objects(client: Client) -> None:
    data = await client.execute(
        f"""{{ stockReport(groupBy: [{{dimension: COUNTY}}, {{dimension: CITY}}], first: 1, others: true) {{
            rows {{ label missing share county {{ name number }} city {{ name }} zip store {{ name }}
                    measures {{ {MEASURES} }} }}
            others {{ {MEASURES} }} grandTotal {{ {MEASURES} }} totalGroups asOf
            pageInfo {{ hasNextPage hasPreviousPage endCursor }} meta {{ source exact rowsScanned }}
        }} }}"""
    )

    report = data["stockReport"]
    cursor = report["pageInfo"].pop("endCursor")
    assert report == {
        "rows": [
            {
                "label": "POLK · AMES",
                "missing": [],
                "share": "0.8996",
                "county": {"name": "POLK", "number": 77},
                "city": {"name": "AMES"},
                "zip": None,
                "store": None,
                "measures": measures(47, "223.51", "500.00", 2, 1),
            }
        ],
        "others": measures(5, "24.95", "62.50", 1, 1),
        "grandTotal": measures(52, "248.46", "562.50", 2, 2),
        "totalGroups": 2,
        "asOf": None,
        "pageInfo": {"hasNextPage": True, "hasPreviousPage": False},
        "meta": {"source": "LIVE", "exact": True, "rowsScanned": 4},
    }
    second = await client.execute(
        """query ($after: Cursor) { stockReport(groupBy: [{dimension: COUNTY}, {dimension: CITY}], after: $after) {
            rows { label missing measures { units } } pageInfo { hasNextPage hasPreviousPage } } }""",
        after=cursor,
    )
    assert second["stockReport"] == {
        "rows": [{"label": "(no county) · (no city)", "missing": ["COUNTY", "CITY"], "measures": {"units": 5}}],
        "pageInfo": {"hasNextPage": False, "hasPreviousPage": True},
    }


async def test_the_stock_of_a_day_is_that_at_its_end(client: Client, stocked: dt.date) -> None:
    document = f"query ($day: Date) {{ stockReport(groupBy: [], asOf: $day) {{ asOf grandTotal {{ {MEASURES} }} }} }}"

    before = await client.execute(document, day=str(stocked - dt.timedelta(days=1)))
    yesterday = await client.execute(document, day=str(stocked))
    today = await client.execute(document, day=str(stocked + dt.timedelta(days=1)))
    far = await client.execute(document, day="9999-12-31")

    assert before["stockReport"]["grandTotal"] == measures(0, "0.00", "0.00", 0, 0)
    assert yesterday["stockReport"] == {
        "asOf": str(stocked),
        "grandTotal": measures(55, "275.25", "687.50", 1, 1),
    }
    assert today["stockReport"]["grandTotal"] == measures(52, "248.46", "562.50", 2, 2)
    assert far["stockReport"]["grandTotal"] == today["stockReport"]["grandTotal"]


@pytest.mark.usefixtures("stocked")
async def test_stock_is_ordered_by_names_and_numbers(client: Client) -> None:
    data = await client.execute(
        """{ byName: stockReport(groupBy: [{dimension: PRODUCT}], orderBy: [{key: {dimension: PRODUCT}}]) {
               rows { product { sku } } }
             byUnits: stockReport(groupBy: [{dimension: STORE}], orderBy: [{measure: UNITS, direction: ASC}]) {
               rows { store { number } measures { units } } }
             rum: stockReport(where: {categoryName: {eq: "RUM"}, storeNumber: {in: [1, 3]}}, groupBy: []) {
               rows { label measures { units } } } }"""
    )

    assert [row["product"]["sku"] for row in data["byName"]["rows"]] == ["G", "R"]
    assert [(row["store"]["number"], row["measures"]["units"]) for row in data["byUnits"]["rows"]] == [
        (3, 5),
        (2, 20),
        (1, 27),
    ]
    assert data["rum"]["rows"] == [{"label": "Total", "measures": {"units": 25}}]


@pytest.mark.parametrize(
    ("arguments", "path", "words"),
    [
        ("groupBy: [{dimension: CITY}, {time: MONTH}]", ["groupBy", "1", "time"], "no MONTH to group by"),
        (
            "groupBy: [{dimension: CITY}], orderBy: [{key: {time: DAY}}]",
            ["orderBy", "0", "key", "time"],
            "no DAY to group by",
        ),
        ("groupBy: [{dimension: CITY}, {dimension: CITY}]", ["groupBy"], "Name each key"),
        ("groupBy: [], first: 1001", ["first"], "0 to 1000"),
        ("groupBy: [], orderBy: [{}]", ["orderBy", "0"], "one of the two"),
        ("groupBy: [], orderBy: [{key: {dimension: CITY}}]", ["orderBy", "0", "key"], "names CITY"),
        ('groupBy: [], after: "x"', ["after"], ""),
        ("groupBy: [], where: {near: {latitude: 91, longitude: 0, kilometers: 1}}", ["where", "near", "latitude"], ""),
    ],
)
async def test_what_cannot_be_asked_of_stock_is_refused(
    client: Client, arguments: str, path: list[str], words: str
) -> None:
    response = await client.execute_raw(f"{{ stockReport({arguments}) {{ totalGroups }} }}")

    error = response.errors[0]
    assert response.codes == ["BAD_USER_INPUT"]
    assert error["extensions"]["argumentPath"] == path
    assert words in error["message"]


@pytest.mark.usefixtures("stocked")
async def test_the_overview_has_stock_staff_and_what_is_low(database: Database, client: Client) -> None:
    async with database.transaction() as session:
        await create_user(session, role=Role.SALESPERSON)
        await create_user(session, role=Role.SALESPERSON, is_active=False)
        await create_user(session, role=Role.STAFF)
        # low in a store, and archived: it is nobody's worry
        store = await create_store(session)
        await create_stock(session, store, await create_product(session, is_active=False), 1, unit_cost=1)

    data = await client.execute(f"{{ overview {{ salesStaff lowStockProducts products stock {{ {MEASURES} }} }} }}")

    assert data["overview"] == {
        "salesStaff": 1,
        "lowStockProducts": 2,
        "products": 2,
        "stock": measures(53, "248.47", "571.50", 3, 2),
    }


async def test_the_books_are_checked_and_what_is_wrong_is_named(
    database: Database, client: Client, stocked: dt.date
) -> None:
    document = """query ($day: Date) { booksCheck(asOf: $day) { isBalanced asOf milliseconds checkedAt
        checks { name description isHeld checked violated violations { what expected actual } } } }"""
    sound = (await client.execute(document))["booksCheck"]
    async with database.transaction() as session:
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        await session.execute(text("UPDATE stock_level SET value = value + 1 WHERE on_hand = 7"))

    wrong = (await client.execute(document))["booksCheck"]
    past = (await client.execute(document, day=str(stocked)))["booksCheck"]

    assert (sound["isBalanced"], len(sound["checks"]), sound["asOf"]) == (True, 12, None)
    assert wrong["isBalanced"] is False
    assert next(check for check in wrong["checks"] if not check["isHeld"]) == {
        "name": "LEVELS_FOLLOW_FROM_MOVEMENTS",
        "description": "On-hand and value of every level are the sums of its movements.",
        "isHeld": False,
        "checked": 4,
        "violated": 1,
        "violations": [
            {
                "what": "product G of store 1",
                "expected": "7 bottles, 2331 cents",
                "actual": "7 bottles, 2332 cents",
            }
        ],
    }
    assert (past["isBalanced"], past["asOf"], len(past["checks"])) == (True, str(stocked), 3)


async def test_the_books_of_the_future_are_refused(client: Client) -> None:
    response = await client.execute_raw('{ booksCheck(asOf: "2999-01-01") { isBalanced } }')

    assert (response.codes, response.errors[0]["extensions"]["argumentPath"]) == (["BAD_USER_INPUT"], ["asOf"])


async def test_the_dearest_product_breaks_no_report(database: Database, client: Client) -> None:
    # given as many bottles as one adjustment adds, at the highest price a product can have
    async with database.transaction() as session:
        dear = await create_product(session, unit_price=10**15)
        await create_stock(session, await create_store(session), dear, 10_000_000, unit_cost=1)

    data = await client.execute("{ stockReport(groupBy: []) { grandTotal { retailValue } } overview { stores } }")

    assert data["stockReport"]["grandTotal"]["retailValue"] == "100000000000000000000.00"
