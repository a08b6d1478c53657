import datetime as dt
from decimal import Decimal

from graphql_api.database.engine import Database
from tests.client import Client
from tests.factories import (
    Line,
    create_category,
    create_county,
    create_invoice,
    create_place,
    create_product,
    create_store,
    create_vendor,
)


async def names(client: Client, noun: str, arguments: str, **variables: object) -> list[str]:
    declared = "($where: StoreWhere)" if "where" in variables else ""
    data = await client.execute(f"query {declared} {{ {noun}({arguments}) {{ nodes {{ name }} }} }}", **variables)
    return [node["name"] for node in data[noun]["nodes"]]


async def create_two_stores(database: Database) -> None:
    async with database.transaction() as session:
        polk = await create_county(session, name="POLK", number=77)
        place = await create_place(session, city="DES MOINES", zip_code="50309", county=polk)
        nowhere = await create_place(session, city=None, zip_code=None)
        north, east = Decimal("41.5868"), Decimal("-93.6250")
        await create_store(session, number=1, name="Hy-Vee #1", place=place, latitude=north, longitude=east)
        await create_store(session, number=2, name="Casey's 50%", place=nowhere)


async def test_a_store_shows_its_place(database: Database, client: Client) -> None:
    await create_two_stores(database)

    data = await client.execute(
        "{ store(number: 1) { number name address isActive latitude city zip county { number name } } }"
    )

    assert data["store"] == {
        "number": 1,
        "name": "Hy-Vee #1",
        "address": "1 Main Street",
        "isActive": True,
        "latitude": "41.586800",
        "city": "DES MOINES",
        "zip": "50309",
        "county": {"number": 77, "name": "POLK"},
    }


async def test_an_unknown_place_is_null(database: Database, client: Client) -> None:
    await create_two_stores(database)

    data = await client.execute("{ store(number: 2) { city zip county { name } } }")

    assert data["store"] == {"city": None, "zip": None, "county": None}


async def test_stores_are_filtered_by_each_field(database: Database, client: Client) -> None:
    await create_two_stores(database)
    first, second = ["Hy-Vee #1"], ["Casey's 50%"]
    expected = [
        ("{number: {eq: 1}}", first),
        ("{number: {in: [2, 3]}}", second),
        ('{name: {contains: "hy-v"}}', first),
        ('{name: {contains: "50%"}}', second),
        ('{name: {contains: "_"}}', []),
        ('{city: {eq: " des  moines "}}', first),
        ('{zip: {eq: "50309.0"}}', first),
        ('{zip: {startsWith: "503"}}', first),
        ('{county: {eq: "Polk"}}', first),
        ("{county: {isNull: true}}", second),
        ("{countyNumber: {gte: 77, lt: 78}}", first),
        ("{city: {isNull: true}}", second),
        ("{isActive: {eq: false}}", []),
        ("{number: {in: []}}", []),
        ("{or: []}", []),
        ("{or: [{number: {eq: 1}}, {number: {eq: 2}}]}", second + first),
        ('{not: {county: {eq: "POLK"}}}', second),
        ('{and: [{number: {gt: 1}}, {name: {startsWith: "c"}}]}', second),
        ("{number: null}", second + first),
    ]
    for where, found in expected:
        assert await names(client, "stores", f"where: {where}") == found, where


async def test_stores_near_a_point(database: Database, client: Client) -> None:
    await create_two_stores(database)
    # 0.1 degrees of latitude are 11.12 km.
    near = {"latitude": "41.6868", "longitude": "-93.6250"}

    for kilometers, found in ((11, []), (12, ["Hy-Vee #1"]), (1000, ["Hy-Vee #1"])):
        where = {"near": {**near, "kilometers": kilometers}}
        assert await names(client, "stores", "where: $where", where=where) == found


async def test_a_circle_may_cross_the_date_line(database: Database, client: Client) -> None:
    async with database.transaction() as session:
        await create_store(session, name="East", latitude=Decimal(0), longitude=Decimal("179.99"))

    where = {"near": {"latitude": 0, "longitude": "-179.99", "kilometers": 3}}

    assert await names(client, "stores", "where: $where", where=where) == ["East"]


async def test_search_looks_at_names_and_numbers(database: Database, client: Client) -> None:
    await create_two_stores(database)

    assert await names(client, "stores", 'search: "CASEY"') == ["Casey's 50%"]
    assert await names(client, "stores", 'search: "1"') == ["Hy-Vee #1"]
    assert await names(client, "stores", 'search: "2"') == ["Casey's 50%"]
    assert await names(client, "stores", 'search: "99999999999999"') == []
    assert await names(client, "stores", 'search: "²"') == []
    assert len(await names(client, "stores", 'search: "  "')) == 2


async def test_cities_appear_once_with_all_their_zips_and_counties(database: Database, client: Client) -> None:
    async with database.transaction() as session:
        polk, dallas = await create_county(session, name="POLK"), await create_county(session, name="DALLAS")
        for zip_code, county in (("50266", polk), ("50265", polk), ("50265", dallas), (None, None)):
            await create_place(session, city="WEST DES MOINES", zip_code=zip_code, county=county)
        await create_place(session, city="AMES", zip_code="50010")
        await create_place(session, city=None)

    data = await client.execute("{ cities { nodes { name zips counties { name } } totalCount } }")

    assert data["cities"]["totalCount"] == 2
    assert data["cities"]["nodes"] == [
        {"name": "AMES", "zips": ["50010"], "counties": []},
        {
            "name": "WEST DES MOINES",
            "zips": ["50265", "50266"],
            "counties": [{"name": "DALLAS"}, {"name": "POLK"}],
        },
    ]
    assert await names(client, "cities", 'where: {name: {eq: "ames"}}') == ["AMES"]
    assert await names(client, "cities", 'where: {county: {eq: "polk"}}') == ["WEST DES MOINES"]
    assert await names(client, "cities", "orderBy: [{by: NAME, direction: DESC}], first: 1") == ["WEST DES MOINES"]


async def test_counties_vendors_and_categories_are_listed(database: Database, client: Client) -> None:
    async with database.transaction() as session:
        for create in (create_county, create_vendor, create_category):
            await create(session, name="B", number=1)
            await create(session, name="A", number=2)
            await create(session, name="C")

    for noun in ("counties", "vendors", "categories"):
        assert await names(client, noun, "first: 10") == ["A", "B", "C"]
        assert await names(client, noun, "orderBy: [{by: NUMBER}]") == ["B", "A", "C"]
        assert await names(client, noun, "orderBy: [{by: NUMBER, direction: DESC}]") == ["A", "B", "C"]
        assert await names(client, noun, 'search: "b"') == ["B"]
        assert await names(client, noun, "where: {number: {isNull: true}}") == ["C"]


async def test_products_are_filtered_by_category_vendor_and_price(database: Database, client: Client) -> None:
    async with database.transaction() as session:
        vodka = await create_category(session, name="VODKA", number=10)
        vendor = await create_vendor(session, name="DIAGEO", number=260)
        await create_product(session, sku="A1", name="Ale", category=vodka, vendor=vendor, unit_price=1234)
        await create_product(session, sku="x9", name="Beer", unit_price=None)

    for where, found in (
        ('{category: {eq: "VODKA"}}', ["Ale"]),
        ("{category: {isNull: true}}", ["Beer"]),
        ("{vendorNumber: {eq: 260}}", ["Ale"]),
        ("{vendorNumber: {isNull: false}}", ["Ale"]),
        ('{unitPrice: {eq: "12.34"}}', ["Ale"]),
        ("{unitPrice: {gt: 12.34}}", []),
        ('{unitPrice: {gte: 12.34, lte: "12.340"}}', ["Ale"]),
        ("{unitPrice: {isNull: true}}", ["Beer"]),
        ('{sku: {in: ["x9"]}}', ["Beer"]),
        ("{volumeMl: {eq: 750}}", ["Ale", "Beer"]),
    ):
        assert await names(client, "products", f"where: {where}") == found, where

    assert await names(client, "products", 'search: "x9"') == ["Beer"]
    assert await names(client, "products", "orderBy: [{by: UNIT_PRICE, direction: DESC}]") == ["Ale", "Beer"]
    data = await client.execute('{ product(sku: "A1") { sku unitPrice category { name } vendor { number } } }')
    assert data["product"] == {
        "sku": "A1",
        "unitPrice": "12.34",
        "category": {"name": "VODKA"},
        "vendor": {"number": 260},
    }


async def test_an_invoice_shows_lines_and_totals(database: Database, client: Client) -> None:
    async with database.transaction() as session:
        ale = await create_product(session, sku="ALE", unit_price=1000, unit_cost=400)
        back = Line(ale, quantity=-1)
        await create_invoice(session, Line(ale, quantity=3, discount=50), back, number="INV-1")

    data = await client.execute(
        """{ invoice(number: "INV-1") { number date status
             totals { revenue cost profit quantity lineCount }
             lines { totalCount nodes { lineNumber quantity unitPrice discount revenue cost profit volumeLiters
                                        product { sku } county { name } } } } }"""
    )

    assert data["invoice"]["totals"] == {
        "revenue": "19.50",
        "cost": "8.00",
        "profit": "11.50",
        "quantity": 2,
        "lineCount": 2,
    }
    assert data["invoice"]["lines"]["totalCount"] == 2
    first = data["invoice"]["lines"]["nodes"][0]
    assert first.pop("county")["name"].startswith("COUNTY")
    assert first == {
        "lineNumber": 1,
        "quantity": 3,
        "unitPrice": "10.00",
        "discount": "0.50",
        "revenue": "29.50",
        "cost": "12.00",
        "profit": "17.50",
        "volumeLiters": "2.250",
        "product": {"sku": "ALE"},
    }


async def test_invoices_are_found_by_store_product_and_day(database: Database, client: Client) -> None:
    async with database.transaction() as session:
        ale, beer = await create_product(session, sku="ALE"), await create_product(session, sku="BEER")
        store = await create_store(session, number=7)
        await create_invoice(session, Line(ale), store=store, number="1", date=dt.date(2024, 1, 1))
        await create_invoice(session, Line(ale), Line(beer), number="2", date=dt.date(2024, 1, 2))
        await create_invoice(session, number="3", date=dt.date(2024, 1, 2))

    for arguments, found in (
        ("first: 9", ["3", "2", "1"]),
        ("where: {store: {number: {eq: 7}}}", ["1"]),
        ('where: {product: {sku: {eq: "ALE"}}}', ["2", "1"]),
        ('where: {product: {sku: {eq: "BEER"}}}', ["2"]),
        ('where: {date: {gte: "2024-01-02"}}', ["3", "2"]),
        ("where: {status: {in: [VOID]}}", []),
        ("where: {status: {eq: PAID}}, first: 1", ["3"]),
        ('search: "2"', ["2"]),
        ("orderBy: [{by: NUMBER}]", ["1", "2", "3"]),
    ):
        data = await client.execute(f"{{ invoices({arguments}) {{ nodes {{ number }} }} }}")
        assert [node["number"] for node in data["invoices"]["nodes"]] == found, arguments


async def test_lines_are_paged_both_ways(database: Database, client: Client) -> None:
    async with database.transaction() as session:
        ale = await create_product(session)
        await create_invoice(session, *(Line(ale, quantity=count) for count in range(1, 6)), number="1")
    document = """query ($first: Int, $after: Cursor, $last: Int, $before: Cursor) { invoice(number: "1") {
        lines(first: $first, after: $after, last: $last, before: $before) {
          nodes { lineNumber } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }"""

    async def page(**arguments: object) -> tuple[list[int], dict[str, object]]:
        lines = (await client.execute(document, **arguments))["invoice"]["lines"]
        return [line["lineNumber"] for line in lines["nodes"]], lines["pageInfo"]

    numbers, info = await page(first=2)
    assert (numbers, info["hasNextPage"], info["hasPreviousPage"]) == ([1, 2], True, False)
    numbers, info = await page(first=3, after=info["endCursor"])
    assert (numbers, info["hasNextPage"], info["hasPreviousPage"]) == ([3, 4, 5], False, True)
    numbers, info = await page(last=2)
    assert (numbers, info["hasNextPage"], info["hasPreviousPage"]) == ([4, 5], False, True)
    numbers, info = await page(last=9, before=info["startCursor"])
    assert (numbers, info["hasNextPage"], info["hasPreviousPage"]) == ([1, 2, 3], True, False)
