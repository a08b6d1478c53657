"""Low stock as clients see it."""

from typing import Any

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.schema.node import global_id
from tests.client import Client
from tests.factories import create_category, create_county, create_place, create_product, create_store
from tests.schema.people import ClientOf, create_viewer
from tests.services.low_stock_case import Shelf, create_shelf

LIST = """query ($where: LowStockWhere, $search: String) { lowStock(where: $where, search: $search) {
  nodes { id onHand onHandAtStart threshold isOpen openedAt acknowledgedAt resolvedAt
          store { number } product { name category { name } } }
  totalCount } }"""
ACKNOWLEDGE = """mutation ($input: AcknowledgeLowStockInput!) { acknowledgeLowStock(input: $input) {
  lowStock { id acknowledgedAt acknowledgedBy { id } } userErrors { code path } } }"""


async def listed(client: Client, **variables: Any) -> list[dict[str, Any]]:
    found = (await client.execute(LIST, **variables))["lowStock"]
    assert found["totalCount"] == len(found["nodes"])
    nodes: list[dict[str, Any]] = found["nodes"]
    return nodes


async def test_what_is_low_and_what_was_is_listed(database: Database, client: Client) -> None:
    over, low = await create_shelf(database, 5, name="Bock"), await create_shelf(database, 20, name="Ale")
    await over.add(20)
    await low.take(13)
    await low.take(1)

    newest, oldest = await listed(client)

    assert (newest["product"]["name"], newest["store"]["number"]) == ("Ale", low.store.number)
    assert (newest["onHand"], newest["onHandAtStart"], newest["threshold"]) == (6, 7, 10)
    assert (newest["isOpen"], newest["resolvedAt"], newest["acknowledgedAt"]) == (True, None, None)
    assert (oldest["product"]["name"], oldest["onHand"], oldest["isOpen"]) == ("Bock", 25, False)
    assert oldest["resolvedAt"] > oldest["openedAt"]


async def create_shelf_at(database: Database, city: str, category: str) -> Shelf:
    async with database.transaction() as session:
        place = await create_place(session, city=city, county=await create_county(session))
        kind = await create_category(session, name=category)
        shelf = Shelf(database, await create_store(session, place=place), await create_product(session, category=kind))
    await shelf.add(4)
    return shelf


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ({"store": {"city": {"eq": "ames"}}}, {"AMES"}),
        ({"product": {"category": {"eq": "Gin"}}}, {"BOONE"}),
        ({"isOpen": {"eq": True}}, {"AMES", "BOONE"}),
        ({"isOpen": {"eq": False}}, {"CLIVE"}),
        ({"isAcknowledged": {"eq": True}}, {"BOONE"}),
        ({"isAcknowledged": {"eq": False}, "isOpen": {"eq": True}}, {"AMES"}),
        ({"not": {"isOpen": {"eq": True}}}, {"CLIVE"}),
        ({"openedAt": {"lt": "2000-01-01T00:00:00Z"}}, set()),
        ({"store": {"number": {"eq": -1}}}, set()),
    ],
)
async def test_the_list_is_filtered(
    database: Database, client_of: ClientOf, where: dict[str, Any], found: set[str]
) -> None:
    # given three levels of which one is over and one is looked after
    client = client_of(await create_viewer(database, Role.STAFF))
    shelves = {
        city: await create_shelf_at(database, city, kind)
        for city, kind in (("AMES", "Rum"), ("BOONE", "Gin"), ("CLIVE", "Rye"))
    }
    await shelves["CLIVE"].add(50)
    numbers = {shelf.store.number: city for city, shelf in shelves.items()}
    boone = [node["id"] for node in await listed(client) if numbers[node["store"]["number"]] == "BOONE"]
    await client.execute(
        "mutation ($input: AcknowledgeLowStockInput!) { acknowledgeLowStock(input: $input) { userErrors { code } } }",
        input={"ids": boone},
    )

    # when
    nodes = await listed(client, where=where)

    # then
    assert {numbers[node["store"]["number"]] for node in nodes} == found


async def test_the_list_is_searched_by_names_and_sku(database: Database, client: Client) -> None:
    ale, _ = await create_shelf(database, 5, name="Old Ale"), await create_shelf(database, 5, name="Bock")

    by_name, by_sku = await listed(client, search="old"), await listed(client, search=ale.product.sku)
    by_store = await listed(client, search=ale.store.name)

    assert [[node["product"]["name"] for node in nodes] for nodes in (by_name, by_sku, by_store)] == [["Old Ale"]] * 3


@pytest.mark.parametrize("role", [Role.ADMIN, Role.STAFF])
async def test_the_office_acknowledges(database: Database, client_of: ClientOf, role: Role) -> None:
    viewer = await create_viewer(database, role)
    for _ in range(2):
        await create_shelf(database, 5)
    ids = [node["id"] for node in await listed(client_of(viewer))][::-1]
    document = ACKNOWLEDGE if role is Role.ADMIN else ACKNOWLEDGE.replace("acknowledgedBy { id }", "")

    answer = (await client_of(viewer).execute(document, input={"ids": ids}))["acknowledgeLowStock"]

    assert answer["userErrors"] == []
    assert [node["id"] for node in answer["lowStock"]] == ids
    assert all(node["acknowledgedAt"] for node in answer["lowStock"])
    if role is Role.ADMIN:
        assert {node["acknowledgedBy"]["id"] for node in answer["lowStock"]} == {global_id("User", viewer.user_id)}


async def test_what_does_not_exist_cannot_be_acknowledged(database: Database, client_of: ClientOf) -> None:
    client = client_of(await create_viewer(database, Role.STAFF))
    await create_shelf(database, 5)
    (node,) = await listed(client)
    document = ACKNOWLEDGE.replace("acknowledgedBy { id }", "")

    wish = {"ids": [node["id"], global_id("LowStock", 999_999)]}
    answer = (await client.execute(document, input=wish))["acknowledgeLowStock"]

    assert answer == {"lowStock": [], "userErrors": [{"code": "NOT_FOUND", "path": ["input", "ids", "1"]}]}
    assert [node["acknowledgedAt"] for node in await listed(client)] == [None]


async def test_salespeople_see_low_stock_and_do_not_acknowledge_it(database: Database, client_of: ClientOf) -> None:
    client = client_of(await create_viewer(database, Role.SALESPERSON))
    await create_shelf(database, 5)
    (node,) = await listed(client)

    answer = await client.execute_raw(ACKNOWLEDGE, input={"ids": [node["id"]]})

    assert answer.codes == ["FORBIDDEN"]


async def test_customers_see_no_stock(database: Database, client_of: ClientOf) -> None:
    client = client_of(await create_viewer(database, Role.CUSTOMER))
    await create_shelf(database, 5)
    node = "query ($id: ID!) { node(id: $id) { id } }"

    codes = [
        (await client.execute_raw(document)).codes
        for document in ("{ lowStock { totalCount } }", "{ lowStockReport { textUrl } }")
    ]

    assert codes == [["FORBIDDEN"], ["FORBIDDEN"]]
    assert (await client.execute(node, id=global_id("LowStock", 1)))["node"] is None


@pytest.mark.parametrize("days", [-1, 3_651])
async def test_the_report_looks_so_far_ahead_and_no_further(client: Client, days: int) -> None:
    answer = await client.execute_raw("query ($days: Int!) { lowStockReport(withinDays: $days) { csvUrl } }", days=days)

    assert answer.codes == ["BAD_USER_INPUT"]
