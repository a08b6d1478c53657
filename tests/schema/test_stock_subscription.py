"""`stockChanged` and `stockWatch`: what they tell, to whom, and chosen by what."""

from typing import Any

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.product import ProductRow
from graphql_api.database.store import StoreRow
from graphql_api.database.user import Role
from graphql_api.schema.node import global_id
from graphql_api.services.policy import Viewer
from tests.client import Client
from tests.factories import (
    Line,
    OrderLine,
    create_category,
    create_county,
    create_draft,
    create_place,
    create_product,
    create_purchase,
    create_stock,
    create_store,
)
from tests.schema.listening import Listen, Listener, change, refusal_of, relay, start_of_log
from tests.schema.people import ClientOf, create_viewer

CHANGES = """subscription ($where: StockChangeWhere, $after: Cursor) { stockChanged(where: $where, after: $after) {
    cursor at before after delta cause reason place { city zip county countyNumber }
    store { number city } product { sku } movement { quantity }
    document { __typename ... on Invoice { number } ... on Purchase { id } ... on Import { id } } actor { id } } }"""
WATCH = """subscription ($where: StockWatchWhere) { stockWatch(where: $where) { __typename
    ... on StockState { cursor isComplete levels { onHand store { number } product { sku } } }
    ... on StockChange { cursor before after delta product { sku } } } }"""
DELTAS = "subscription ($where: StockChangeWhere) { stockChanged(where: $where) { delta } }"


class Shop:
    """A store in Ames, Story, with 10 bottles of a vodka."""

    def __init__(self, database: Database, store: StoreRow, product: ProductRow) -> None:
        self.database, self.store, self.product = database, store, product

    @property
    def ids(self) -> dict[str, str]:
        return {"storeId": global_id("Store", self.store.id), "productId": global_id("Product", self.product.id)}

    async def adjust(self, client: Client, quantity: int, reason: str = "broken") -> None:
        await change(client, "adjustStock", **self.ids, quantity=quantity, reason=reason)

    async def another(self, quantity: int) -> ProductRow:
        async with self.database.transaction() as session:
            product = await create_product(session)
            await create_stock(session, self.store, product, quantity)
            return product


@pytest.fixture
async def admin(database: Database) -> Viewer:
    return await create_viewer(database, Role.ADMIN)


@pytest.fixture
def client(client_of: ClientOf, admin: Viewer) -> Client:
    return client_of(admin)


@pytest.fixture
async def shop(database: Database) -> Shop:
    async with database.transaction() as session:
        county = await create_county(session, name="STORY", number=85)
        place = await create_place(session, city="AMES", zip_code="50010", county=county)
        store = await create_store(session, number=7, place=place)
        category = await create_category(session, name="Vodka 80 Proof", number=1031080)
        product = await create_product(session, sku="V-1", category=category)
        await create_stock(session, store, product, 10)
    await relay(database)
    return Shop(database, store, product)


async def deltas(listener: Listener) -> list[int]:
    return [int(told["delta"]) for told in await listener.take()]


async def test_a_change_tells_all_about_itself(client: Client, hear: Listen, admin: Viewer, shop: Shop) -> None:
    listener = await hear(CHANGES)

    await shop.adjust(client, -3)

    (told,) = await listener.take()
    assert {name: told[name] for name in ("before", "after", "delta")} == {"before": 10, "after": 7, "delta": -3}
    assert (told["cause"], told["reason"], told["document"]) == ("ADJUSTMENT", "broken", None)
    assert told["place"] == {"city": "AMES", "zip": "50010", "county": "STORY", "countyNumber": 85}
    assert (told["store"], told["product"]) == ({"number": 7, "city": "AMES"}, {"sku": "V-1"})
    assert (told["movement"], told["actor"]) == ({"quantity": -3}, {"id": global_id("User", admin.user_id)})


async def test_the_place_is_that_of_the_moment(client: Client, hear: Listen, shop: Shop) -> None:
    # given
    listener = await hear(CHANGES, where={"city": {"eq": "ames"}})
    await shop.adjust(client, -1)
    async with shop.database.transaction() as session:
        store = await session.get(StoreRow, shop.store.id)
        assert store is not None
        store.place_id = (await create_place(session, city="BOONE")).id

    # when
    await shop.adjust(client, -2)

    # then
    (told,) = await listener.take()
    assert (told["delta"], told["place"]["city"], told["store"]["city"]) == (-1, "AMES", "BOONE")


async def test_whoever_comes_back_gets_what_was_missed_once_and_in_order(
    client: Client, hear: Listen, shop: Shop
) -> None:
    # given
    listener = await hear(CHANGES)
    for quantity in (-1, 2, 3):
        await shop.adjust(client, quantity)
    heard = await listener.take()

    # when
    again = await hear(CHANGES, after=heard[0]["cursor"])
    await shop.adjust(client, 4)

    # then
    assert await deltas(again) == [2, 3, 4]
    assert await again.take() == []


@pytest.mark.parametrize(
    ("where", "is_meant"),
    [
        ({}, True),
        ({"sku": {"eq": "V-1"}}, True),
        ({"sku": {"eq": "v-1"}}, False),
        ({"sku": {"startsWith": "v-"}}, True),
        ({"storeNumber": {"in": [6, 7]}}, True),
        ({"storeNumber": {"gt": 7}}, False),
        ({"city": {"eq": " ames "}}, True),
        ({"zip": {"eq": "50010.0"}}, True),
        ({"county": {"eq": "Story"}}, True),
        ({"countyNumber": {"eq": 85}}, True),
        ({"countyNumber": {"isNull": True}}, False),
        ({"category": {"contains": "VODKA"}}, True),
        ({"categoryNumber": {"eq": 1031080}}, True),
        ({"cause": {"in": ["ADJUSTMENT", "COUNT"]}}, True),
        ({"cause": {"eq": "SALE"}}, False),
        ({"delta": {"gte": 0}}, False),
        ({"or": []}, False),
        ({"not": {"or": [{"cause": {"eq": "SALE"}}, {"delta": {"gt": 0}}]}}, True),
        ({"and": [{"sku": {"in": ["V-1"]}}, {"sku": {"in": []}}]}, False),
    ],
    ids=str,
)
async def test_changes_are_chosen(client: Client, hear: Listen, shop: Shop, where: object, *, is_meant: bool) -> None:
    listener = await hear(DELTAS, where=where)

    await shop.adjust(client, -1)

    assert await deltas(listener) == ([-1] if is_meant else [])


async def test_changes_are_chosen_by_id(client: Client, hear: Listen, shop: Shop) -> None:
    other = global_id("Product", (await shop.another(5)).id)
    await relay(shop.database)
    ids = {"store": {"eq": shop.ids["storeId"]}, "product": {"in": [shop.ids["productId"]]}}
    meant = await hear(DELTAS, where=ids)
    not_meant = await hear(DELTAS, where={**ids, "product": {"eq": other}})

    await shop.adjust(client, -1)

    assert (await deltas(meant), await deltas(not_meant)) == ([-1], [])


@pytest.mark.parametrize(
    ("variables", "code", "path"),
    [
        ({"where": {"product": {"eq": global_id("Store", 1)}}}, "BAD_USER_INPUT", ["where", "product", "eq"]),
        ({"where": {"sku": {"in": ["x"] * 1001}}}, "QUERY_TOO_COMPLEX", ["where", "sku", "in"]),
        ({"where": {"city": {"eq": "\x07"}}}, "BAD_USER_INPUT", ["where", "city", "eq"]),
        ({"where": {"or": [{"storeNumber": {"eq": n}} for n in range(201)]}}, "QUERY_TOO_COMPLEX", ["where"]),
        ({"after": "nonsense"}, "BAD_USER_INPUT", ["after"]),
        ({"after": ""}, "BAD_USER_INPUT", ["after"]),
    ],
    ids=["id", "list", "control", "size", "cursor", "empty cursor"],
)
async def test_what_cannot_be_asked_is_named(
    hear: Listen, variables: dict[str, Any], code: str, path: list[str]
) -> None:
    error = await refusal_of(hear(CHANGES, **variables))

    assert (error["extensions"]["code"], error["extensions"]["argumentPath"]) == (code, path)


async def test_the_document_is_null_for_those_who_may_not_see_it(client: Client, hear: Listen, shop: Shop) -> None:
    # given
    document = CHANGES.replace("actor { id }", "")
    everybody = await hear(document)
    seller = await hear(document, await create_viewer(shop.database, Role.SALESPERSON))
    async with shop.database.transaction() as session:
        key = (await create_purchase(session, OrderLine(shop.product, 4), store=shop.store)).id
        draft = (await create_draft(session, Line(shop.product, quantity=2), store=shop.store)).id
    purchase, invoice = global_id("Purchase", key), global_id("Invoice", draft)

    # when
    await change(client, "receivePurchase", id=purchase, expectedVersion=1)
    await change(client, "issueInvoice", id=invoice, expectedVersion=1)

    # then
    seen, hidden = [[told["document"] for told in await heard.take()] for heard in (everybody, seller)]
    assert seen[0] == {"__typename": "Purchase", "id": purchase}
    assert seen[1]["__typename"] == "Invoice"
    assert seen[1]["number"]
    assert hidden == [None, seen[1]]


async def test_a_watch_begins_with_the_state_and_goes_on_with_what_follows(
    client: Client, hear: Listen, shop: Shop
) -> None:
    # given
    await shop.another(5)
    await relay(shop.database)
    await shop.adjust(client, -1)  # committed, and without a number yet

    # when
    watch = await hear(WATCH, where={"category": {"startsWith": "vodka"}})
    await shop.adjust(client, -2)

    # then
    (state,) = watch.opened_with
    level = {"onHand": 10, "store": {"number": 7}, "product": {"sku": "V-1"}}
    assert (state["levels"], state["isComplete"]) == ([level], True)
    assert [(told["before"], told["after"]) for told in await watch.take()] == [(10, 9), (9, 7)]


async def test_the_cursor_of_a_state_is_one_to_go_on_behind(client: Client, hear: Listen, shop: Shop) -> None:
    (state,) = (await hear(WATCH)).opened_with
    await shop.adjust(client, -2)

    listener = await hear(CHANGES, after=state["cursor"])

    assert await deltas(listener) == [-2]


async def test_an_empty_state_is_told_too(hear: Listen) -> None:
    watch = await hear(WATCH)

    assert [(state["levels"], state["isComplete"]) for state in watch.opened_with] == [([], True)]


async def test_a_state_comes_in_pages_of_one_moment(hear: Listen, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for quantity in (1, 2):
        await shop.another(quantity)
    monkeypatch.setattr("graphql_api.schema.stock_subscription.LEVELS_OF_PAGE", 2)

    watch = await hear(WATCH)

    sizes = [(len(page["levels"]), page["isComplete"]) for page in watch.opened_with]
    assert sizes == [(2, False), (1, True)]
    assert len({page["cursor"] for page in watch.opened_with}) == 1
    # two levels have no number yet, so at the cursor there was nothing of them
    assert [level["onHand"] for page in watch.opened_with for level in page["levels"]] == [10, 0, 0]
    assert [(told["before"], told["after"]) for told in await watch.take()] == [(0, 1), (0, 2)]


async def test_too_many_levels_are_refused(hear: Listen, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    await shop.another(1)
    monkeypatch.setattr("graphql_api.services.stock_state.MAX_LEVELS", 1)

    error = await refusal_of(hear(WATCH))
    narrow = await hear(WATCH, where={"sku": {"eq": "V-1"}})

    assert error["extensions"]["code"] == "QUERY_TOO_COMPLEX"
    assert "Narrow `where`" in error["message"]
    assert len(narrow.opened_with[0]["levels"]) == 1


async def test_the_rows_of_a_state_count_for_what_a_document_may_cost(hear: Listen) -> None:
    trail = "auditTrail(first: 100) { nodes { id action outcome entity entityId at } }"
    document = f"subscription {{ stockWatch {{ ... on StockState {{ levels {{ product {{ {trail} }} }} }} }} }}"

    error = await refusal_of(hear(document))

    assert error["extensions"]["code"] == "QUERY_TOO_COMPLEX"


async def test_from_the_start_of_the_log_everything_is_heard(hear: Listen, shop: Shop) -> None:
    listener = await hear(CHANGES, after=await start_of_log(shop.database))

    assert await deltas(listener) == [10]
