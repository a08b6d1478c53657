import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from graphql_api.database.audit import AuditEntryRow
from graphql_api.database.engine import Database
from graphql_api.database.product import ProductRow
from graphql_api.database.stock import MovementCause
from graphql_api.database.store import StoreRow
from graphql_api.database.user import Role
from graphql_api.ledger.entries import Demand
from graphql_api.schema.node import global_id
from graphql_api.services import posting
from graphql_api.services.unit_of_work import unit_of_work
from tests.client import Client
from tests.days import TODAY, in_days
from tests.factories import (
    Line,
    OrderLine,
    create_invoice,
    create_product,
    create_purchase,
    create_stock,
    create_store,
    create_vendor,
)
from tests.schema.people import ClientOf, create_viewer
from tests.schema.test_loaders import counted_statements

pytestmark = pytest.mark.usefixtures("steady_day")

PURCHASE = """number date status note voidReason version store { number }
    supplier { name vendor { name } } createdBy { id }
    totals { quantity received cost receivedCost lineCount }
    lines { totalCount nodes { lineNumber quantity received outstanding unitCost cost receivedCost expiresOn
        product { sku } purchase { number } lots { received remaining unitCost expiresOn receivedOn } } }"""
ERRORS = """userErrors { __typename code path message ... on PurchaseBlocked { blockers {
    lineNumber received remaining gone product { sku } lot { remaining }
    usedBy { quantity cause invoice { number } movement { cause quantity } } } } }"""


def mutation(name: str) -> str:
    kind = f"{name[0].upper()}{name[1:]}Input"
    return f"mutation ($input: {kind}!) {{ {name}(input: $input) {{ purchase {{ id {PURCHASE} }} {ERRORS} }} }}"


@dataclass(frozen=True)
class Desk:
    """Somebody who orders for a store."""

    database: Database
    client: Client
    user_id: int
    store: StoreRow
    ale: ProductRow
    gin: ProductRow

    async def send(self, name: str, **wish: Any) -> dict[str, Any]:
        answer: dict[str, Any] = (await self.client.execute(mutation(name), input=wish))[name]
        return answer

    async def done(self, name: str, **wish: Any) -> dict[str, Any]:
        answer = await self.send(name, **wish)
        assert answer["userErrors"] == []
        purchase: dict[str, Any] = answer["purchase"]
        return purchase

    async def order(self, *lines: dict[str, Any], **wish: Any) -> dict[str, Any]:
        if "vendorId" not in wish:
            wish.setdefault("supplierName", "Brewery")
        store_id = global_id("Store", self.store.id)
        return await self.done("createPurchase", storeId=store_id, lines=lines or [line(self.ale)], **wish)


def line(product: ProductRow, quantity: int = 12, **wish: Any) -> dict[str, Any]:
    return {"productId": global_id("Product", product.id), "quantity": quantity, **wish}


def errors_of(answer: dict[str, Any]) -> list[tuple[str, list[str]]]:
    assert answer["purchase"] is None
    return [(error["code"], error["path"]) for error in answer["userErrors"]]


@pytest.fixture
async def desk(database: Database, client_of: ClientOf) -> Desk:
    viewer = await create_viewer(database, Role.ADMIN)
    async with database.transaction() as session:
        store = await create_store(session)
        ale, gin = await create_product(session, sku="ALE"), await create_product(session, sku="GIN")
    return Desk(database, client_of(viewer), viewer.user_id, store, ale, gin)


async def test_a_purchase_shows_all_that_was_ordered(desk: Desk) -> None:
    async with desk.database.transaction() as session:
        vendor = await create_vendor(session, name="BREWER")

    purchase = await desk.order(
        line(desk.ale), line(desk.gin, 6, unitCost="1.05", expiresOn=str(in_days(9))),
        vendorId=global_id("Vendor", vendor.id), note=" Ring first ", date=str(in_days(-1)),
    )  # fmt: skip

    number = f"{desk.store.number}-P000001"
    lots: dict[str, Any] = {"received": 0, "receivedCost": "0.00", "purchase": {"number": number}, "lots": []}
    purchase.pop("id")
    assert purchase == {
        "number": number,
        "date": str(in_days(-1)),
        "status": "ORDERED",
        "note": "Ring first",
        "voidReason": None,
        "version": 1,
        "store": {"number": desk.store.number},
        "supplier": {"name": "BREWER", "vendor": {"name": "BREWER"}},
        "createdBy": {"id": global_id("User", desk.user_id)},
        "totals": {"quantity": 18, "received": 0, "cost": "78.30", "receivedCost": "0.00", "lineCount": 2},
        "lines": {
            "totalCount": 2,
            "nodes": [
                {
                    "lineNumber": 1, "quantity": 12, "outstanding": 12, "unitCost": "6.00", "cost": "72.00",
                    "expiresOn": None, "product": {"sku": "ALE"}, **lots,
                },
                {
                    "lineNumber": 2, "quantity": 6, "outstanding": 6, "unitCost": "1.05", "cost": "6.30",
                    "expiresOn": str(in_days(9)), "product": {"sku": "GIN"}, **lots,
                },
            ],
        },
    }  # fmt: skip


async def test_a_purchase_comes_in_parts_and_is_received_in_the_end(desk: Desk) -> None:
    # given
    ordered = await desk.order(line(desk.ale, 12, expiresOn=str(in_days(30))), line(desk.gin, 6))

    # when
    receipts = [
        {"lineNumber": 1, "quantity": 5, "unitCost": "6.50"},
        {"lineNumber": 1, "quantity": 4, "expiresOn": None},
    ]
    part = await desk.done(
        "receivePurchase", id=ordered["id"], expectedVersion=1, lines=receipts, receivedOn=str(in_days(-2))
    )
    whole = await desk.done("receivePurchase", id=ordered["id"], expectedVersion=2)

    # then
    assert (part["status"], part["version"], whole["status"], whole["version"]) == ("ORDERED", 2, "RECEIVED", 3)
    assert part["totals"] == {
        "quantity": 18, "received": 9, "cost": "108.00", "receivedCost": "56.50", "lineCount": 2
    }  # fmt: skip
    ale, gin = whole["lines"]["nodes"]
    assert [(node["received"], node["outstanding"], node["receivedCost"]) for node in (ale, gin)] == [
        (12, 0, "74.50"),
        (6, 0, "36.00"),
    ]
    assert [tuple(lot.values()) for lot in ale["lots"]] == [
        (5, 5, "6.50", str(in_days(30)), str(in_days(-2))),
        (4, 4, "6.00", None, str(in_days(-2))),
        (3, 3, "6.00", str(in_days(30)), str(TODAY)),
    ]


async def test_two_receipts_at_once_receive_once(desk: Desk) -> None:
    ordered = await desk.order()

    answers = await asyncio.gather(
        *(desk.send("receivePurchase", id=ordered["id"], expectedVersion=1) for _ in range(2))
    )

    won, lost = sorted(answers, key=lambda answer: answer["purchase"] is None)
    assert won["purchase"]["lines"]["nodes"][0]["received"] == 12
    assert errors_of(lost) == [("CONFLICT", ["input", "expectedVersion"])]
    assert len(won["purchase"]["lines"]["nodes"][0]["lots"]) == 1


@pytest.mark.parametrize(
    ("name", "wish", "code", "path"),
    [
        ("createPurchase", {"storeId": "x"}, "BAD_USER_INPUT", ["storeId"]),
        ("createPurchase", {"vendorId": "x"}, "BAD_USER_INPUT", ["vendorId"]),
        ("createPurchase", {"supplierName": None}, "BAD_USER_INPUT", []),
        ("createPurchase", {"lines": []}, "BAD_USER_INPUT", ["lines"]),
        (
            "createPurchase",
            {"lines": [{"productId": "x", "quantity": 1}]},
            "BAD_USER_INPUT",
            ["lines", "0", "productId"],
        ),
        ("updatePurchase", {"id": "x"}, "BAD_USER_INPUT", ["id"]),
        ("updatePurchase", {"expectedVersion": 9}, "CONFLICT", ["expectedVersion"]),
        ("updatePurchase", {"vendorId": global_id("Store", 1)}, "BAD_USER_INPUT", ["vendorId"]),
        ("updatePurchase", {"vendorId": global_id("Vendor", 99)}, "NOT_FOUND", ["vendorId"]),
        ("updatePurchase", {"lines": None}, "BAD_USER_INPUT", ["lines"]),
        ("receivePurchase", {"id": global_id("Purchase", 10**15)}, "NOT_FOUND", ["id"]),
        (
            "receivePurchase",
            {"lines": [{"lineNumber": 1, "quantity": 13}]},
            "BAD_USER_INPUT",
            ["lines", "0", "quantity"],
        ),
        ("receivePurchase", {"lines": [{"lineNumber": 2, "quantity": 1}]}, "NOT_FOUND", ["lines", "0", "lineNumber"]),
        ("voidPurchase", {"reason": "\n"}, "BAD_USER_INPUT", ["reason"]),
        ("voidPurchase", {"expectedVersion": 2, "reason": "x"}, "CONFLICT", ["expectedVersion"]),
    ],
)
async def test_what_cannot_be_is_refused_with_its_path(
    desk: Desk, name: str, wish: dict[str, Any], code: str, path: list[str]
) -> None:
    # given
    ordered = await desk.order()
    new = {"storeId": global_id("Store", desk.store.id), "supplierName": "X", "lines": [line(desk.ale)]}
    known = new if name == "createPurchase" else {"id": ordered["id"], "expectedVersion": 1}

    # when
    answer = await desk.send(name, **{**known, **wish})

    # then
    assert errors_of(answer) == [(code, ["input", *path])]
    data = await desk.client.execute("{ purchases { nodes { version status } } stockLots { totalCount } }")
    assert data == {"purchases": {"nodes": [{"version": 1, "status": "ORDERED"}]}, "stockLots": {"totalCount": 0}}


async def test_an_order_is_changed_and_what_was_left_out_stays(desk: Desk) -> None:
    ordered = await desk.order(line(desk.ale), note="kept")

    changed = await desk.done(
        "updatePurchase",
        id=ordered["id"],
        expectedVersion=1,
        lines=[line(desk.gin, 3), line(desk.gin, 2, unitCost="1")],
    )
    emptied = await desk.done("updatePurchase", id=ordered["id"], expectedVersion=2, note=None, supplierName="Monks")

    assert (changed["note"], changed["version"], changed["supplier"]["name"]) == ("kept", 2, "Brewery")
    assert [(node["product"]["sku"], node["quantity"], node["cost"]) for node in changed["lines"]["nodes"]] == [
        ("GIN", 3, "18.00"),
        ("GIN", 2, "2.00"),
    ]
    assert (emptied["note"], emptied["supplier"], emptied["lines"]) == (
        None,
        {"name": "Monks", "vendor": None},
        changed["lines"],
    )


async def test_a_void_purchase_has_left_the_stock(desk: Desk) -> None:
    ordered = await desk.order(line(desk.ale), line(desk.gin))
    await desk.done("receivePurchase", id=ordered["id"], expectedVersion=1, lines=[{"lineNumber": 1, "quantity": 5}])

    void = await desk.done("voidPurchase", id=ordered["id"], expectedVersion=2, reason="wrong")

    assert (void["status"], void["voidReason"]) == ("VOID", "wrong")
    ale, gin = void["lines"]["nodes"]
    assert [(node["received"], node["outstanding"], node["receivedCost"]) for node in (ale, gin)] == [
        (0, 0, "0.00")
    ] * 2
    assert [(lot["received"], lot["remaining"]) for lot in ale["lots"]] == [(5, 0)]


async def test_a_purchase_whose_bottles_are_gone_names_what_used_them(desk: Desk) -> None:
    # given
    ordered = await desk.order(line(desk.ale), line(desk.gin))
    await desk.done("receivePurchase", id=ordered["id"], expectedVersion=1)
    async with desk.database.transaction() as session:
        invoice = await create_invoice(session, Line(desk.ale, 5), store=desk.store, number="INV-7")
    sale = Demand(desk.store.id, desk.ale.id, 5, invoice.id, 1)
    async with unit_of_work(desk.database) as work:
        await posting.take(work, [sale], MovementCause.SALE)
        await posting.take(work, [Demand(desk.store.id, desk.gin.id, 1)], MovementCause.ADJUSTMENT)

    # when
    answer = await desk.send("voidPurchase", id=ordered["id"], expectedVersion=2, reason="wrong")

    # then
    (error,) = answer["userErrors"]
    assert (error["__typename"], error["code"], error["path"]) == ("PurchaseBlocked", "CONFLICT", ["input", "id"])
    assert error["message"].startswith("6 bottles")
    assert error["blockers"] == [
        {
            "lineNumber": 1, "received": 12, "remaining": 7, "gone": 5, "product": {"sku": "ALE"},
            "lot": {"remaining": 7},
            "usedBy": [
                {
                    "quantity": 5, "cause": "SALE", "invoice": {"number": "INV-7"},
                    "movement": {"cause": "SALE", "quantity": -5},
                }
            ],
        },
        {
            "lineNumber": 2, "received": 12, "remaining": 11, "gone": 1, "product": {"sku": "GIN"},
            "lot": {"remaining": 11},
            "usedBy": [
                {
                    "quantity": 1, "cause": "ADJUSTMENT", "invoice": None,
                    "movement": {"cause": "ADJUSTMENT", "quantity": -1},
                }
            ],
        },
    ]  # fmt: skip
    data = await desk.client.execute("query ($id: ID!) { purchase(id: $id) { status version } }", id=ordered["id"])
    assert data == {"purchase": {"status": "RECEIVED", "version": 2}}


async def test_each_change_is_in_the_audit_record(desk: Desk) -> None:
    # given
    ordered = await desk.order(line(desk.ale, 3))
    await desk.done("updatePurchase", id=ordered["id"], expectedVersion=1, note="soon")
    await desk.done("receivePurchase", id=ordered["id"], expectedVersion=2)
    await desk.done("voidPurchase", id=ordered["id"], expectedVersion=3, reason="wrong")

    # when
    async with desk.database.read() as session:
        create, update, receive, void = await session.scalars(select(AuditEntryRow).order_by(col(AuditEntryRow.id)))
    trail = await desk.client.execute(
        "query ($id: ID!) { purchase(id: $id) { auditTrail { nodes { action } } } }", id=ordered["id"]
    )

    # then
    assert {(entry.entity, entry.entity_id) for entry in (create, update, receive, void)} == {("Purchase", 1)}
    assert create.after is not None
    assert (create.after["number"], create.after["lines"][0]["unitCost"]) == (ordered["number"], "6.00")
    assert (update.before, update.after) == ({"note": None}, {"note": "soon"})
    assert receive.after is not None
    assert (receive.after["status"], receive.after["receipts"][0]["quantity"]) == ("RECEIVED", 3)
    assert void.after is not None
    assert (void.after["status"], void.after["voidReason"]) == ("VOID", "wrong")
    assert [node["action"] for node in trail["purchase"]["auditTrail"]["nodes"]] == [
        "voidPurchase",
        "receivePurchase",
        "updatePurchase",
        "createPurchase",
    ]


async def test_a_purchase_is_found_by_id_number_and_node(desk: Desk) -> None:
    ordered = await desk.order()

    data = await desk.client.execute(
        """query ($id: ID!, $number: String!) { purchase(id: $id) { number } other: purchase(number: $number) { id }
        none: purchase(number: "x") { id } node(id: $id) { ... on Purchase { number import { id } } } }""",
        id=ordered["id"],
        number=ordered["number"],
    )

    assert data == {
        "purchase": {"number": ordered["number"]},
        "other": {"id": ordered["id"]},
        "none": None,
        "node": {"number": ordered["number"], "import": None},
    }


LIST = """query ($first: Int!, $where: PurchaseWhere) { purchases(first: $first, where: $where,
    orderBy: [{by: DATE, direction: DESC}]) { totalCount nodes {
    number totals { cost receivedCost } store { city county { name } } supplier { name } createdBy { name }
    lines(first: 3) { totalCount nodes { receivedCost lots { remaining } product { sku vendor { name } } } } } } }"""


async def test_fifty_purchases_take_as_many_statements_as_five(desk: Desk) -> None:
    # given
    async with desk.database.transaction() as session:
        for _ in range(50):
            vendor = await create_vendor(session)
            products = [await create_product(session, vendor=vendor) for _ in range(4)]
            await create_purchase(session, *map(OrderLine, products), vendor=vendor)

    # when
    counts = []
    for first in (5, 50):
        with counted_statements(desk.database) as statements:
            data = await desk.client.execute(LIST, first=first)
        assert len(data["purchases"]["nodes"]) == first
        assert all(len(purchase["lines"]["nodes"]) == 3 for purchase in data["purchases"]["nodes"])
        counts.append(len(statements))

    # then: purchases, count, totals, stores, vendors of both, lines, received costs, lots, products, places, counties
    assert counts[0] == counts[1] <= 12


async def test_purchases_are_filtered_and_searched(desk: Desk) -> None:
    await desk.order(supplierName="Monks")
    await desk.order()
    where = {
        "store": {"number": {"eq": desk.store.number}},
        "supplierName": {"startsWith": "monk"},
        "status": {"in": ["ORDERED"]},
        "date": {"eq": str(TODAY)},
        "product": {"sku": {"eq": "ALE"}},
        "createdBy": {"eq": global_id("User", desk.user_id)},
    }

    data = await desk.client.execute(LIST, first=5, where=where)
    found = await desk.client.execute('{ purchases(search: "brew") { nodes { supplier { name } } } }')

    assert [node["supplier"]["name"] for node in data["purchases"]["nodes"]] == ["Monks"]
    assert found["purchases"]["nodes"] == [{"supplier": {"name": "Brewery"}}]


SUGGESTIONS = """query ($first: Int, $after: Cursor) { reorderSuggestions(first: $first, after: $after,
    lookbackDays: 28, coverDays: 14, where: {vendor: {name: {eq: "BREWER"}}}) {
    totalCount pageInfo { hasNextPage endCursor } nodes { reason explanation velocity onHand expired onOrder daysOfCover
    threshold quantity pack unitCost cost store { number } product { sku } vendor { name } } } }"""


async def test_what_is_suggested_is_ordered(desk: Desk) -> None:
    # given
    async with desk.database.transaction() as session:
        vendor = await create_vendor(session, name="BREWER")
        ale = await create_product(session, vendor=vendor, sku="BOCK")
        other = await create_product(session, vendor=vendor, sku="DOPPEL")
        await create_stock(session, desk.store, ale, 8)
        await create_stock(session, desk.store, other, 3)
        await create_stock(session, desk.store, desk.gin, 1)
        await create_invoice(session, Line(ale, 56), store=desk.store, date=TODAY)
    node = global_id("Vendor", vendor.id)

    # when
    first = (await desk.client.execute(SUGGESTIONS, first=1))["reorderSuggestions"]
    cursor = first["pageInfo"]["endCursor"]
    second = (await desk.client.execute(SUGGESTIONS, first=1, after=cursor))["reorderSuggestions"]
    purchase = await desk.done(
        "orderSuggested", storeId=global_id("Store", desk.store.id), vendorId=node, note="weekly"
    )
    after = (await desk.client.execute(SUGGESTIONS))["reorderSuggestions"]

    # then
    assert first["nodes"] == [
        {
            "reason": "BELOW_THRESHOLD",
            "explanation": "8 bottles are here or on order; 10 or fewer are low.",
            "velocity": "2.000", "onHand": 8, "expired": 0, "onOrder": 0, "daysOfCover": "4.0", "threshold": 10,
            "quantity": 36, "pack": 12, "unitCost": "6.00", "cost": "216.00",
            "store": {"number": desk.store.number}, "product": {"sku": "BOCK"}, "vendor": {"name": "BREWER"},
        }
    ]  # fmt: skip
    assert (first["totalCount"], first["pageInfo"]["hasNextPage"]) == (2, True)
    assert [(found["product"]["sku"], found["daysOfCover"]) for found in second["nodes"]] == [("DOPPEL", None)]
    assert (purchase["note"], purchase["supplier"]["name"]) == ("weekly", "BREWER")
    assert [(found["product"]["sku"], found["quantity"]) for found in purchase["lines"]["nodes"]] == [
        ("BOCK", 36),
        ("DOPPEL", 12),
    ]
    assert after["nodes"] == []


async def test_fifty_suggestions_take_as_many_statements_as_five(desk: Desk) -> None:
    async with desk.database.transaction() as session:
        vendor = await create_vendor(session, name="BREWER")
        for _ in range(50):
            await create_stock(session, await create_store(session), await create_product(session, vendor=vendor), 1)

    counts = []
    for first in (5, 50):
        with counted_statements(desk.database) as statements:
            data = await desk.client.execute(SUGGESTIONS, first=first)
        assert len(data["reorderSuggestions"]["nodes"]) == first
        counts.append(len(statements))

    # suggestions and their count, both tuned; stores, products, vendors
    assert counts == [7, 7]


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ("lookbackDays: 0", ["lookbackDays"]),
        ("coverDays: 367", ["coverDays"]),
        ("first: 101", ["first"]),
        ('after: "x"', ["after"]),
    ],
)
async def test_impossible_questions_are_refused(desk: Desk, arguments: str, path: list[str]) -> None:
    response = await desk.client.execute_raw(f"{{ reorderSuggestions({arguments}) {{ nodes {{ quantity }} }} }}")

    assert response.codes == ["BAD_USER_INPUT"]
    assert response.errors[0]["extensions"]["argumentPath"] == path
