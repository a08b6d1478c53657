import asyncio
import datetime as dt
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlmodel import col

from graphql_api.database.audit import AuditEntryRow
from graphql_api.database.engine import Database
from graphql_api.database.product import ProductRow
from graphql_api.database.store import StoreRow
from graphql_api.database.user import Role
from graphql_api.schema.node import global_id
from graphql_api.services.books import books_check
from graphql_api.services.low_stock_sweep import sweep_low_stock
from tests.client import Client
from tests.factories import create_product, create_stock, create_store
from tests.schema.people import ClientOf, create_viewer

MUTATION = """mutation ($input: %s!) { %s(input: $input) {
    levels { onHand value store { number } product { sku } }
    movements { quantity cost cause reason actor { id } store { number } lots { lot { unitCost expiresOn } } }
    userErrors { __typename code path message
        ... on InsufficientStock { shortages { requested available product { sku } store { number } } } } } }"""
ADJUST = MUTATION % ("AdjustStockInput", "adjustStock")
COUNT = MUTATION % ("CountStockInput", "countStock")
TRANSFER = MUTATION % ("TransferStockInput", "transferStock")
MAY = dt.date(2024, 5, 1)


@dataclass
class Shop:
    """A store with 10 bottles of ale at 1.00 and 10 at 2.00, an empty store, and gin that nobody ever had."""

    database: Database
    client: Client
    user_id: int
    stores: list[StoreRow]
    ale: ProductRow
    gin: ProductRow

    def store_id(self, position: int = 0) -> str:
        return global_id("Store", self.stores[position].id)

    async def adjust(self, quantity: int, product: ProductRow | None = None, **values: Any) -> dict[str, Any]:
        wish = {
            "storeId": self.store_id(),
            "productId": global_id("Product", (product or self.ale).id),
            "quantity": quantity,
            "reason": "found",
            **values,
        }
        answer: dict[str, Any] = (await self.client.execute(ADJUST, input=wish))["adjustStock"]
        return answer

    async def count(self, *lines: tuple[ProductRow, int, int], **values: Any) -> dict[str, Any]:
        """Lines are product, counted, expected."""
        wish = {
            "storeId": self.store_id(),
            "lines": [
                {"productId": global_id("Product", product.id), "counted": counted, "expected": expected}
                for product, counted, expected in lines
            ],
            **values,
        }
        answer: dict[str, Any] = (await self.client.execute(COUNT, input=wish))["countStock"]
        return answer

    async def transfer(self, *lines: tuple[ProductRow, int], **values: Any) -> dict[str, Any]:
        wish = {
            "fromStoreId": self.store_id(0),
            "toStoreId": self.store_id(1),
            "lines": [
                {"productId": global_id("Product", product.id), "quantity": quantity} for product, quantity in lines
            ],
            **values,
        }
        answer: dict[str, Any] = (await self.client.execute(TRANSFER, input=wish))["transferStock"]
        return answer

    async def archive(self, table: str, key: int) -> None:
        async with self.database.transaction() as session:
            await session.execute(text(f"UPDATE {table} SET is_active = false WHERE id = :id"), {"id": key})  # noqa: S608 - of this test

    async def on_hand(self) -> list[tuple[int, int, int]]:
        """Store, product, bottles."""
        async with self.database.read() as session:
            rows = await session.execute(text("SELECT store_id, product_id, on_hand FROM stock_level ORDER BY 1, 2"))
            return [(row[0], row[1], row[2]) for row in rows]

    async def movement_count(self) -> int:
        async with self.database.read() as session:
            return await session.scalar(text("SELECT count(*) FROM stock_movement")) or 0

    async def entries(self) -> list[AuditEntryRow]:
        async with self.database.read() as session:
            return list(await session.scalars(select(AuditEntryRow).order_by(col(AuditEntryRow.id))))


@pytest.fixture
async def shop(database: Database, client_of: ClientOf) -> Shop:
    viewer = await create_viewer(database, Role.ADMIN)
    async with database.transaction() as session:
        stores = [await create_store(session, number=number) for number in (1, 2)]
        ale = await create_product(session, sku="ALE", unit_cost=300)
        gin = await create_product(session, sku="GIN", unit_cost=None)
        await create_stock(session, stores[0], ale, 10, unit_cost=100)
        await create_stock(session, stores[0], ale, 10, unit_cost=200)
    return Shop(database, client_of(viewer), viewer.user_id, stores, ale, gin)


def errors_of(answer: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Code and path below `input` of each error."""
    assert all(error["path"][0] == "input" and error["message"] for error in answer["userErrors"])
    return [(error["code"], error["path"][1:]) for error in answer["userErrors"]]


def costs(answer: dict[str, Any]) -> list[tuple[int, str]]:
    return [(movement["quantity"], movement["cost"]) for movement in answer["movements"]]


async def test_bottles_that_are_gone_leave_the_oldest_lots(shop: Shop) -> None:
    answer = await shop.adjust(-12, reason="  broken ")

    assert answer == {
        "levels": [{"onHand": 8, "value": "16.00", "store": {"number": 1}, "product": {"sku": "ALE"}}],
        "movements": [
            {
                "quantity": -12,
                "cost": "-14.00",
                "cause": "ADJUSTMENT",
                "reason": "broken",
                "actor": {"id": global_id("User", shop.user_id)},
                "store": {"number": 1},
                "lots": [
                    {"lot": {"unitCost": "1.00", "expiresOn": None}},
                    {"lot": {"unitCost": "2.00", "expiresOn": None}},
                ],
            }
        ],
        "userErrors": [],
    }


@pytest.mark.parametrize(("given", "cost"), [({}, "2.00"), ({"unitCost": "0.50"}, "0.50"), ({"unitCost": "0"}, "0.00")])
async def test_bottles_that_are_found_cost_what_is_said_or_what_the_newest_lot_did(
    shop: Shop, given: dict[str, Any], cost: str
) -> None:
    answer = await shop.adjust(3, expiresOn="2030-01-01", **given)

    assert answer["userErrors"] == []
    assert answer["movements"][0]["lots"] == [{"lot": {"unitCost": cost, "expiresOn": "2030-01-01"}}]
    assert answer["levels"][0]["onHand"] == 23


async def test_what_the_store_never_had_costs_what_the_product_says(shop: Shop) -> None:
    answer = await shop.adjust(2, storeId=shop.store_id(1))

    assert costs(answer) == [(2, "6.00")]
    assert answer["levels"][0]["onHand"] == 2


async def test_a_cost_that_nobody_knows_is_asked_for(shop: Shop) -> None:
    refused = await shop.adjust(2, shop.gin)
    taken = await shop.adjust(2, shop.gin, unitCost="9.99")

    assert errors_of(refused) == [("BAD_USER_INPUT", ["unitCost"])]
    assert costs(taken) == [(2, "19.98")]


async def test_more_than_there_is_cannot_be_taken_away(shop: Shop) -> None:
    before = await shop.on_hand()

    answer = await shop.adjust(-21)

    assert errors_of(answer) == [("CONFLICT", ["quantity"])]
    assert answer["userErrors"][0]["__typename"] == "InsufficientStock"
    shortage = {"requested": 21, "available": 20, "product": {"sku": "ALE"}, "store": {"number": 1}}
    assert answer["userErrors"][0]["shortages"] == [shortage]
    assert await shop.on_hand() == before


async def test_all_that_is_wrong_with_an_adjustment_is_said_at_once(shop: Shop) -> None:
    answer = await shop.adjust(
        -10_000_001,
        reason=" ",
        unitCost="1.234",
        expiresOn="2030-01-01",
        storeId=global_id("Store", 999),
        productId=global_id("Product", 999),
    )

    assert errors_of(answer) == [
        ("BAD_USER_INPUT", ["reason"]),
        ("BAD_USER_INPUT", ["unitCost"]),
        ("BAD_USER_INPUT", ["quantity"]),
        ("BAD_USER_INPUT", ["unitCost"]),
        ("BAD_USER_INPUT", ["expiresOn"]),
        ("NOT_FOUND", ["storeId"]),
        ("NOT_FOUND", ["productId"]),
    ]


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"quantity": 0}, ["quantity"]),
        ({"reason": "x" * 501}, ["reason"]),
        ({"reason": "two\nlines"}, ["reason"]),
        ({"quantity": 5, "unitCost": "-1"}, ["unitCost"]),
        ({"quantity": 10_000_000, "unitCost": "9999999999.99"}, ["unitCost"]),
        ({"quantity": -1, "unitCost": "1"}, ["unitCost"]),
        ({"storeId": "rubbish"}, ["storeId"]),
        ({"productId": global_id("Store", 1)}, ["productId"]),
    ],
)
async def test_what_cannot_be_is_refused_and_changes_nothing(
    shop: Shop, values: dict[str, Any], path: list[str]
) -> None:
    quantity = values.pop("quantity", 1)

    answer = await shop.adjust(quantity, **values)

    assert errors_of(answer) == [("BAD_USER_INPUT", path)]
    assert (answer["levels"], answer["movements"]) == ([], [])
    assert await shop.movement_count() == 2


async def test_what_is_archived_becomes_fewer_and_never_more(shop: Shop) -> None:
    await shop.archive("product", shop.ale.id)
    await shop.archive("store", shop.stores[0].id)

    more, fewer = await shop.adjust(1), await shop.adjust(-1)

    assert errors_of(more) == [("CONFLICT", ["storeId"]), ("CONFLICT", ["productId"])]
    assert errors_of(fewer) == []


async def test_an_adjustment_is_in_the_record_of_its_level(shop: Shop) -> None:
    await shop.adjust(-2, reason="broken")

    (entry,) = await shop.entries()
    assert (entry.action, entry.entity, entry.before) == ("adjustStock", "StockLevel", {"onHand": 20})
    assert entry.after == {"onHand": 18, "reason": "broken", "unitCost": None}


async def test_a_count_posts_the_differences_and_nothing_else(shop: Shop) -> None:
    # given
    async with shop.database.transaction() as session:
        stout = await create_product(session, sku="STOUT", unit_cost=50)
        await create_stock(session, shop.stores[0], stout, 4, unit_cost=70)

    # when
    answer = await shop.count((shop.ale, 17, 20), (stout, 6, 4), (shop.gin, 0, 0), reason="January")

    # then
    assert answer["userErrors"] == []
    assert sorted(costs(answer)) == [(-3, "-3.00"), (2, "1.40")]
    assert {movement["cause"] for movement in answer["movements"]} == {"COUNT"}
    assert {movement["reason"] for movement in answer["movements"]} == {"January"}
    assert {level["product"]["sku"]: level["onHand"] for level in answer["levels"]} == {"ALE": 17, "GIN": 0, "STOUT": 6}


async def test_a_count_that_finds_no_difference_moves_nothing(shop: Shop) -> None:
    answer = await shop.count((shop.ale, 20, 20))

    assert (answer["userErrors"], answer["movements"]) == ([], [])
    assert answer["levels"][0]["onHand"] == 20


async def test_what_a_count_finds_missing_for_the_first_time_is_low(shop: Shop) -> None:
    """A level begins with the count, though no bottle moves: it is low at once, and the sweep has nothing to add."""
    answer = await shop.count((shop.gin, 0, 0))

    assert (answer["userErrors"], [level["onHand"] for level in answer["levels"]]) == ([], [0])
    async with shop.database.read() as session:
        books = await books_check(session)
        told = await session.scalar(text("SELECT count(*) FROM notification WHERE topic LIKE 'low-stock:%'"))
    assert [violation for result in books.results for violation in result.violations] == []
    assert told == 1
    assert await sweep_low_stock(shop.database) == 0


async def test_lines_that_have_moved_since_they_were_counted_are_all_named(shop: Shop) -> None:
    # given
    async with shop.database.transaction() as session:
        await create_stock(session, shop.stores[0], shop.gin, 4)
    before = await shop.on_hand()

    # when
    answer = await shop.count((shop.ale, 15, 19), (shop.gin, 9, 0))

    # then
    assert errors_of(answer) == [("CONFLICT", ["lines", "0", "expected"]), ("CONFLICT", ["lines", "1", "expected"])]
    assert "20" in answer["userErrors"][0]["message"]
    assert await shop.on_hand() == before


async def test_one_line_that_has_moved_stops_the_others(shop: Shop) -> None:
    answer = await shop.count((shop.ale, 15, 20), (shop.gin, 3, 1))

    assert errors_of(answer) == [("CONFLICT", ["lines", "1", "expected"])]
    assert await shop.movement_count() == 2


async def test_of_two_counts_at_once_one_wins(shop: Shop) -> None:
    answers = await asyncio.gather(*(shop.count((shop.ale, counted, 20)) for counted in (15, 16, 17, 18)))

    assert sorted(len(answer["userErrors"]) for answer in answers) == [0, 1, 1, 1]
    assert await shop.movement_count() == 3


async def test_a_sale_between_count_and_posting_is_not_lost(shop: Shop) -> None:
    await shop.adjust(-1, reason="sold meanwhile")

    answer = await shop.count((shop.ale, 20, 20))

    assert errors_of(answer) == [("CONFLICT", ["lines", "0", "expected"])]
    assert (await shop.on_hand())[0][2] == 19


async def test_what_is_wrong_with_a_count_is_said_line_by_line(shop: Shop) -> None:
    # given
    await shop.archive("product", shop.gin.id)
    unknown = ProductRow(id=999, sku="?", name="?")

    # when
    answer = await shop.count((shop.ale, -1, 20), (shop.gin, 1, 0), (shop.ale, 1, -5), (unknown, 1, 1))

    # then
    assert errors_of(answer) == [
        ("BAD_USER_INPUT", ["lines", "2", "productId"]),
        ("BAD_USER_INPUT", ["lines", "0", "counted"]),
        ("BAD_USER_INPUT", ["lines", "2", "expected"]),
        ("CONFLICT", ["lines", "1", "productId"]),
        ("NOT_FOUND", ["lines", "3", "productId"]),
    ]


async def test_found_bottles_of_unknown_cost_are_named_by_their_line(shop: Shop) -> None:
    answer = await shop.count((shop.ale, 21, 20), (shop.gin, 3, 0))

    assert errors_of(answer) == [("BAD_USER_INPUT", ["lines", "1", "unitCost"])]
    assert await shop.movement_count() == 2


@pytest.mark.parametrize("count", [0, 501])
async def test_lines_have_bounds(shop: Shop, count: int) -> None:
    assert ("BAD_USER_INPUT", ["lines"]) in errors_of(await shop.count(*[(shop.ale, 1, 1)] * count))
    assert ("BAD_USER_INPUT", ["lines"]) in errors_of(await shop.transfer(*[(shop.ale, 1)] * count))


async def test_what_is_archived_can_be_counted_down(shop: Shop) -> None:
    await shop.archive("product", shop.ale.id)
    await shop.archive("store", shop.stores[0].id)

    assert errors_of(await shop.count((shop.ale, 0, 20))) == []


async def test_a_count_is_in_the_record_of_its_store(shop: Shop) -> None:
    await shop.count((shop.ale, 18, 20))

    (entry,) = await shop.entries()
    assert (entry.action, entry.entity, entry.entity_id) == ("countStock", "Store", shop.stores[0].id)
    assert entry.before == {"lines": [{"sku": "ALE", "onHand": 20}]}
    assert entry.after == {"lines": [{"sku": "ALE", "onHand": 18}], "reason": None}


async def test_a_transfer_adds_up_lines_of_the_same_product(shop: Shop) -> None:
    answer = await shop.transfer((shop.ale, 4), (shop.ale, 8), reason="closing down")

    assert answer["userErrors"] == []
    assert [(m["cause"], m["quantity"], m["cost"], m["store"]["number"]) for m in answer["movements"]] == [
        ("TRANSFER_OUT", -12, "-14.00", 1),
        ("TRANSFER_IN", 12, "14.00", 2),
    ]
    assert {(level["store"]["number"], level["onHand"], level["value"]) for level in answer["levels"]} == {
        (1, 8, "16.00"),
        (2, 12, "14.00"),
    }


async def test_a_transfer_of_what_is_short_names_it_all_and_moves_nothing(shop: Shop) -> None:
    answer = await shop.transfer((shop.ale, 15), (shop.gin, 1), (shop.ale, 6))

    (error,) = answer["userErrors"]
    assert (error["__typename"], error["path"]) == ("InsufficientStock", ["input", "lines"])
    assert [(s["product"]["sku"], s["requested"], s["available"]) for s in error["shortages"]] == [
        ("ALE", 21, 20),
        ("GIN", 1, 0),
    ]
    assert await shop.on_hand() == [(shop.stores[0].id, shop.ale.id, 20)]


async def test_what_is_wrong_with_a_transfer_is_said_at_once(shop: Shop) -> None:
    await shop.archive("product", shop.gin.id)
    await shop.archive("store", shop.stores[1].id)

    answer = await shop.transfer((shop.ale, 0), (shop.gin, 1))

    assert errors_of(answer) == [
        ("BAD_USER_INPUT", ["lines", "0", "quantity"]),
        ("CONFLICT", ["toStoreId"]),
        ("CONFLICT", ["lines", "1", "productId"]),
    ]


async def test_a_transfer_goes_to_another_store(shop: Shop) -> None:
    answer = await shop.transfer((shop.ale, 1), toStoreId=shop.store_id(0))

    assert errors_of(answer) == [("BAD_USER_INPUT", ["toStoreId"])]


async def test_a_line_with_a_wrong_id_is_named(shop: Shop) -> None:
    wish = {
        "fromStoreId": shop.store_id(0),
        "toStoreId": shop.store_id(1),
        "lines": [{"productId": global_id("Product", shop.ale.id), "quantity": 1}, {"productId": "x", "quantity": 1}],
    }

    answer = (await shop.client.execute(TRANSFER, input=wish))["transferStock"]

    assert errors_of(answer) == [("BAD_USER_INPUT", ["lines", "1", "productId"])]


async def test_an_archived_store_can_be_emptied(shop: Shop) -> None:
    await shop.archive("store", shop.stores[0].id)

    assert errors_of(await shop.transfer((shop.ale, 20))) == []
    assert (await shop.on_hand())[0][2] == 0


async def test_a_transfer_is_in_the_record_of_the_store_it_leaves(shop: Shop) -> None:
    await shop.transfer((shop.ale, 2))

    (entry,) = await shop.entries()
    assert (entry.action, entry.entity, entry.entity_id) == ("transferStock", "Store", shop.stores[0].id)
    assert entry.after == {"toStore": 2, "lines": [{"sku": "ALE", "quantity": 2}], "reason": None}
