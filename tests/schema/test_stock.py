from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.dialects import postgresql

from graphql_api.database.engine import Database, driver_connection
from graphql_api.database.product import ProductRow
from graphql_api.database.stock import MovementCause
from graphql_api.database.store import StoreRow
from graphql_api.database.user import Role
from graphql_api.ledger import moves
from graphql_api.ledger.entries import Demand, Entry
from graphql_api.schema.node import global_id
from graphql_api.services.listing import Listing, ListQuery
from graphql_api.services.stock_lot import LOTS as LOTS_LIST
from graphql_api.services.stock_lot import expiring_lots
from graphql_api.services.stock_movement import MOVEMENTS as MOVEMENTS_LIST
from graphql_api.services.unit_of_work import unit_of_work
from tests.client import Client
from tests.days import in_days
from tests.factories import (
    Line,
    create_category,
    create_county,
    create_invoice,
    create_place,
    create_product,
    create_stock,
    create_store,
    create_vendor,
)
from tests.schema.people import ClientOf, create_viewer

pytestmark = pytest.mark.usefixtures("steady_day")

LEVELS = """query ($where: StockLevelWhere, $search: String, $orderBy: [StockLevelOrder!]) {
    stockLevels(where: $where, search: $search, orderBy: $orderBy) {
        totalCount nodes { product { sku } store { number } onHand value threshold isLow version } } }"""
MOVEMENTS = """query ($where: StockMovementWhere) { stockMovements(where: $where) { nodes {
    quantity cost cause reason lineNumber store { number } product { sku } invoice { number } actor { id }
    lots { quantity cost lot { unitCost remaining } } } } }"""
EXPIRING = """query ($days: Int!, $where: StockLotWhere) { expiring(withinDays: $days, where: $where) {
    totalCount nodes { product { sku } remaining value daysLeft isExpired } } }"""
LOTS = """query ($where: StockLotWhere) { stockLots(where: $where) { nodes {
    received remaining unitCost value receivedOn expiresOn daysLeft isExpired } } }"""


@dataclass
class Shop:
    """Two stores in two counties: ale (12 bottles) and gin (5, low) in the first, ale (30) in the second."""

    database: Database
    stores: list[StoreRow] = field(default_factory=list)
    products: dict[str, ProductRow] = field(default_factory=dict)

    async def fill(self) -> None:
        async with self.database.transaction() as session:
            for number, county, city, zip_code in ((1, "POLK", "AMES", "50010"), (2, "STORY", "NEVADA", "50201")):
                place = await create_place(
                    session,
                    city=city,
                    zip_code=zip_code,
                    county=await create_county(session, name=county, number=number),
                )
                self.stores.append(await create_store(session, number=number, name=f"Store {number}", place=place))
            beer = await create_category(session, name="BEER", number=10)
            vendor = await create_vendor(session, name="BREWER", number=77)
            ale = await create_product(session, sku="ALE", name="Ale", category=beer, vendor=vendor)
            self.products = {"ALE": ale, "GIN": await create_product(session, sku="GIN", name="Gin")}
            await create_stock(session, self.stores[0], ale, 12, unit_cost=150)
            await create_stock(session, self.stores[0], self.products["GIN"], 5, unit_cost=999)
            await create_stock(session, self.stores[1], ale, 30, unit_cost=160)

    async def sell(self, *demands: Demand) -> None:
        async with unit_of_work(self.database) as work:
            await moves.take(await work.driver(), demands, Entry(MovementCause.SALE))


@pytest.fixture
async def shop(database: Database) -> Shop:
    shop = Shop(database)
    await shop.fill()
    return shop


async def found(client: Client, where: dict[str, Any], **arguments: Any) -> list[tuple[str, int]]:
    """SKU and store number of the levels that match."""
    data = await client.execute(LEVELS, where=where, **arguments)
    nodes = data["stockLevels"]["nodes"]
    assert data["stockLevels"]["totalCount"] == len(nodes)
    return [(node["product"]["sku"], node["store"]["number"]) for node in nodes]


async def test_levels_tell_bottles_value_and_whether_they_are_low(client: Client, shop: Shop) -> None:
    async with shop.database.transaction() as session:
        (await session.get_one(ProductRow, shop.products["ALE"].id)).low_stock_threshold = 12

    data = await client.execute(LEVELS)

    assert [list(node.values())[2:] for node in data["stockLevels"]["nodes"]] == [
        [12, "18.00", 12, True, 2],
        [30, "48.00", 12, False, 2],
        [5, "49.95", 10, True, 2],
    ]


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, [("ALE", 1), ("ALE", 2), ("GIN", 1)]),
        ({"city": {"eq": "ames"}}, [("ALE", 1), ("GIN", 1)]),
        ({"zip": {"eq": "50201"}}, [("ALE", 2)]),
        ({"county": {"in": ["story"]}}, [("ALE", 2)]),
        ({"countyNumber": {"eq": 1}}, [("ALE", 1), ("GIN", 1)]),
        ({"category": {"eq": "BEER"}}, [("ALE", 1), ("ALE", 2)]),
        ({"categoryNumber": {"isNull": True}}, [("GIN", 1)]),
        ({"vendor": {"contains": "brew"}}, [("ALE", 1), ("ALE", 2)]),
        ({"vendorNumber": {"eq": 77}, "onHand": {"gt": 12}}, [("ALE", 2)]),
        ({"value": {"gte": "48.00"}}, [("ALE", 2), ("GIN", 1)]),
        ({"isLow": {"eq": True}}, [("GIN", 1)]),
        ({"isLow": {"eq": False}}, [("ALE", 1), ("ALE", 2)]),
        ({"store": {"number": {"eq": 2}}}, [("ALE", 2)]),
        ({"store": {"not": {"city": {"eq": "AMES"}}}}, [("ALE", 2)]),
        ({"product": {"sku": {"eq": "GIN"}}}, [("GIN", 1)]),
        ({"or": [{"city": {"eq": "NEVADA"}}, {"product": {"name": {"eq": "Gin"}}}]}, [("ALE", 2), ("GIN", 1)]),
        ({"not": {"city": {"eq": "AMES"}}}, [("ALE", 2)]),
        ({"product": {"mine": True}}, []),
    ],
)
async def test_levels_are_found_by_place_product_and_quantity(
    client: Client, where: dict[str, Any], expected: list[tuple[str, int]]
) -> None:
    assert await found(client, where) == expected


@pytest.mark.usefixtures("shop")
async def test_levels_are_searched_and_sorted(client: Client) -> None:
    assert await found(client, {}, search="GI") == [("GIN", 1)]
    assert await found(client, {}, orderBy=[{"by": "ON_HAND", "direction": "DESC"}]) == [
        ("ALE", 2),
        ("ALE", 1),
        ("GIN", 1),
    ]
    assert await found(client, {}, orderBy=[{"by": "VALUE"}]) == [("ALE", 1), ("ALE", 2), ("GIN", 1)]
    assert await found(client, {}, orderBy=[{"by": "STORE", "direction": "DESC"}, {"by": "PRODUCT"}]) == [
        ("ALE", 2),
        ("ALE", 1),
        ("GIN", 1),
    ]


@pytest.mark.usefixtures("shop")
async def test_levels_are_paged(client: Client) -> None:
    document = """query ($after: Cursor) { stockLevels(first: 2, after: $after) {
        nodes { onHand } pageInfo { endCursor hasNextPage } } }"""

    first = (await client.execute(document))["stockLevels"]
    second = (await client.execute(document, after=first["pageInfo"]["endCursor"]))["stockLevels"]

    assert [node["onHand"] for page in (first, second) for node in page["nodes"]] == [12, 30, 5]
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)


async def test_a_level_shows_its_lots_in_the_order_of_use(client: Client, shop: Shop) -> None:
    async with shop.database.transaction() as session:
        await create_stock(session, shop.stores[0], shop.products["ALE"], 2, unit_cost=170, expires_on=in_days(5))
        await create_stock(session, shop.stores[0], shop.products["ALE"], 3, unit_cost=180, expires_on=in_days(9))
    document = """query ($where: StockLevelWhere, $first: Int) {
        stockLevels(where: $where) { nodes { lots(first: $first) { remaining value } } } }"""
    where = {"store": {"number": {"eq": 1}}, "product": {"sku": {"eq": "ALE"}}}

    whole = (await client.execute(document, where=where))["stockLevels"]["nodes"][0]["lots"]
    part = (await client.execute(document, where=where, first=1))["stockLevels"]["nodes"][0]["lots"]

    assert [(lot["remaining"], lot["value"]) for lot in whole] == [(2, "3.40"), (3, "5.40"), (12, "18.00")]
    assert part == whole[:1]
    refused = await client.execute_raw(document, where=where, first=101)
    assert refused.codes == ["BAD_USER_INPUT"]


async def test_movements_say_what_moved_why_and_out_of_which_lots_the_latest_first(client: Client, shop: Shop) -> None:
    # given
    store, ale = shop.stores[0], shop.products["ALE"]
    async with shop.database.transaction() as session:
        invoice = await create_invoice(session, Line(ale, 13), store=store, number="1-000001")
        await create_stock(session, store, ale, 5, unit_cost=200)
    await shop.sell(Demand(store.id, ale.id, 13, invoice.id, 1))

    # when
    where = {"store": {"number": {"eq": 1}}, "product": {"sku": {"eq": "ALE"}}}
    sale, second, first = (await client.execute(MOVEMENTS, where=where))["stockMovements"]["nodes"]

    # then
    assert sale == {
        "quantity": -13,
        "cost": "-20.00",
        "cause": "SALE",
        "reason": None,
        "lineNumber": 1,
        "store": {"number": 1},
        "product": {"sku": "ALE"},
        "invoice": {"number": "1-000001"},
        "actor": None,
        "lots": [
            {"quantity": -12, "cost": "-18.00", "lot": {"unitCost": "1.50", "remaining": 0}},
            {"quantity": -1, "cost": "-2.00", "lot": {"unitCost": "2.00", "remaining": 4}},
        ],
    }
    assert [(m["quantity"], m["cost"], m["reason"]) for m in (second, first)] == [
        (5, "10.00", "test stock"),
        (12, "18.00", "test stock"),
    ]


async def test_movements_are_found_by_cause_day_document_and_lot(client: Client, shop: Shop) -> None:
    # given
    store, ale = shop.stores[0], shop.products["ALE"]
    async with shop.database.transaction() as session:
        invoice = await create_invoice(session, Line(ale, 2), store=store)
    await shop.sell(Demand(store.id, ale.id, 2, invoice.id, 1))

    async def quantities(**where: Any) -> list[int]:
        nodes = (await client.execute(MOVEMENTS, where=where))["stockMovements"]["nodes"]
        return [node["quantity"] for node in nodes]

    # then
    assert await quantities(cause={"eq": "SALE"}) == [-2]
    assert await quantities(cause={"in": ["ADJUSTMENT"]}, quantity={"gt": 10}) == [30, 12]
    assert await quantities(invoice={"eq": global_id("Invoice", invoice.id)}) == [-2]
    assert await quantities(lot={"eq": global_id("StockLot", 1)}) == [-2, 12]
    assert await quantities(purchase={"eq": global_id("Purchase", 1)}) == []
    assert await quantities(**{"import": {"eq": global_id("Import", 1)}}) == []
    assert await quantities(actor={"eq": global_id("User", 1)}) == []
    assert await quantities(at={"gte": f"{in_days(2)}T00:00:00Z"}) == []
    assert len(await quantities(at={"gte": f"{in_days(-1)}T00:00:00Z", "lt": f"{in_days(2)}T00:00:00Z"})) == 4


@pytest.mark.usefixtures("shop")
async def test_whoever_may_not_see_accounts_finds_only_own_movements(database: Database, client_of: ClientOf) -> None:
    viewer = await create_viewer(database, Role.STAFF)
    client = client_of(viewer)
    document = "query ($where: StockMovementWhere) { stockMovements(where: $where) { totalCount } }"

    own = await client.execute(document, where={"actor": {"eq": global_id("User", viewer.user_id)}})
    others = await client.execute_raw(document, where={"actor": {"in": [global_id("User", viewer.user_id + 1)]}})

    assert own["stockMovements"]["totalCount"] == 0
    assert others.codes == ["FORBIDDEN"]


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("field", "where"),
    [
        ("stockLots", {"purchase": {"eq": global_id("Purchase", 1)}}),
        ("stockLots", {"not": {"purchase": {"in": [global_id("Purchase", 1)]}}}),
        ("stockMovements", {"or": [{"purchase": {"eq": global_id("Purchase", 1)}}]}),
        ("stockMovements", {"import": {"eq": global_id("Import", 1)}}),
    ],
)
async def test_what_purchases_and_imports_brought_is_for_those_who_may_see_them(
    database: Database, client_of: ClientOf, field: str, where: dict[str, Any]
) -> None:
    kind = "StockLotWhere" if field == "stockLots" else "StockMovementWhere"
    document = f"query ($where: {kind}) {{ {field}(where: $where) {{ totalCount }} }}"

    office = await client_of(await create_viewer(database, Role.STAFF)).execute_raw(document, where=where)
    sales = await client_of(await create_viewer(database, Role.SALESPERSON)).execute_raw(document, where=where)

    assert (office.codes, sales.codes) == ([], ["FORBIDDEN"])


async def test_what_expires_soon_or_has_expired_is_listed_with_its_value(client: Client, shop: Shop) -> None:
    # given
    store, gin = shop.stores[1], shop.products["GIN"]
    async with shop.database.transaction() as session:
        for days, quantity in ((-2, 1), (0, 2), (7, 3), (8, 4)):
            await create_stock(session, store, gin, quantity, unit_cost=250, expires_on=in_days(days))
        await create_stock(session, store, shop.products["ALE"], 6, expires_on=in_days(1))
        await create_stock(session, store, gin, 9, expires_on=in_days(-3))
    await shop.sell(Demand(store.id, gin.id, 9))

    # when
    data = (await client.execute(EXPIRING, days=7, where={"product": {"sku": {"eq": "GIN"}}}))["expiring"]

    # then: the lot that is sold out is not there
    assert [[*node.values()][1:] for node in data["nodes"]] == [
        [1, "2.50", -2, True],
        [2, "5.00", 0, False],
        [3, "7.50", 7, False],
    ]
    assert data["totalCount"] == 3
    assert (await client.execute(EXPIRING, days=8))["expiring"]["totalCount"] == 5


@pytest.mark.parametrize("days", [-1, 3_651])
async def test_days_ahead_have_bounds(client: Client, days: int) -> None:
    response = await client.execute_raw(EXPIRING, days=days)

    assert response.codes == ["BAD_USER_INPUT"]
    assert response.errors[0]["extensions"]["argumentPath"] == ["withinDays"]


async def test_lots_are_found_by_day_and_remainder(client: Client, shop: Shop) -> None:
    async with shop.database.transaction() as session:
        await create_stock(session, shop.stores[1], shop.products["GIN"], 4, unit_cost=5, expires_on=in_days(3))

    soon = await client.execute(LOTS, where={"expiresOn": {"lte": str(in_days(3))}, "remaining": {"gt": 0}})
    dear = await client.execute(LOTS, where={"unitCost": {"gt": "5"}})

    assert soon["stockLots"]["nodes"] == [
        {
            "received": 4,
            "remaining": 4,
            "unitCost": "0.05",
            "value": "0.20",
            "receivedOn": "2024-03-15",
            "expiresOn": str(in_days(3)),
            "daysLeft": 3,
            "isExpired": False,
        }
    ]
    assert [node["unitCost"] for node in dear["stockLots"]["nodes"]] == ["9.99"]


@pytest.mark.usefixtures("shop")
async def test_stock_is_read_again_by_id(client: Client) -> None:
    document = "query ($id: ID!) { node(id: $id) { __typename id } }"
    listed = await client.execute(
        "{ stockLevels(first: 1) { nodes { id } } stockLots(first: 1) { nodes { id } } "
        "stockMovements(first: 1) { nodes { id } } }"
    )

    ids = [connection["nodes"][0]["id"] for connection in listed.values()]
    nodes = [(await client.execute(document, id=key))["node"] for key in ids]

    assert [node["__typename"] for node in nodes] == ["StockLevel", "StockLot", "StockMovement"]
    assert [node["id"] for node in nodes] == ids


async def test_a_page_takes_as_many_statements_as_a_row(client: Client, shop: Shop) -> None:
    # given
    statements: list[str] = []
    document = """query ($first: Int) { stockMovements(first: $first) { nodes {
        store { name } product { name category { name } } invoice { number } lots { lot { remaining } } } } }"""

    def count(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    event.listen(shop.database.engine.sync_engine, "before_cursor_execute", count)

    # when
    await client.execute(document, first=1)
    one = len(statements)
    await client.execute(document, first=50)

    # then
    assert len(statements) == 2 * one


@pytest.mark.parametrize(
    ("listing", "index"),
    [
        (MOVEMENTS_LIST, "ix_stock_movement_at_id"),
        (expiring_lots(7), "ix_stock_lot_expires_on"),
        (LOTS_LIST, "pk_stock_lot"),
    ],
)
async def test_an_index_has_the_order_of_a_list(database: Database, listing: Listing[Any], index: str) -> None:
    compiled = listing.page_statement(ListQuery()).compile(
        dialect=postgresql.dialect(),  # type: ignore[no-untyped-call]  # SQLAlchemy does not type it
        compile_kwargs={"literal_binds": True},
    )
    async with database.read() as session:
        connection = await driver_connection(await session.connection())
        # of empty tables, reading everything would be the cheapest
        await connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {compiled}"))

    assert index in plan
