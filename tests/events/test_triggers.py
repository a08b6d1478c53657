"""What a transaction leaves in the outbox, whoever writes it: what was done, and all that is told of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.database.engine import Database, driver_connection
from graphql_api.database.event import Topic
from graphql_api.database.invoice import InvoiceStatus
from graphql_api.database.notification import Severity
from graphql_api.database.stock import MovementCause
from graphql_api.events.catalogue import read_fact
from graphql_api.ledger import moves
from graphql_api.ledger.entries import Demand, Entry
from graphql_api.services.notification import notify
from graphql_api.services.translation import Sentence
from graphql_api.services.unit_of_work import unit_of_work
from tests.events.event_case import EventCase
from tests.factories import (
    Line,
    create_category,
    create_customer,
    create_draft,
    create_import,
    create_invoice,
    create_product,
    create_purchase,
    create_stock,
    create_store,
    create_user,
    create_vendor,
)
from tests.sales_files import many_sales, sales_csv
from tests.services.import_case import ImportCase

# Two movements of each of two levels, in one statement; the levels are locked and have enough.
FOUR_MOVEMENTS = """
WITH moved AS (
  INSERT INTO stock_movement (store_id, product_id, quantity, cost, cause, reason)
  SELECT l.store_id, l.product_id, -q.quantity, -q.quantity * l.unit_cost, 'ADJUSTMENT', 'broken'
  FROM (VALUES (1, 3), (2, 5)) q (turn, quantity), stock_lot l ORDER BY q.turn, l.id
  RETURNING id, store_id, product_id, quantity
)
INSERT INTO lot_use (movement_id, lot_id, quantity)
SELECT m.id, l.id, m.quantity FROM moved m JOIN stock_lot l USING (store_id, product_id)
"""


async def execute(database: Database, *statements: str) -> None:
    """Run the statements in one transaction."""
    async with database.transaction() as session:
        for statement in statements:
            await session.execute(text(statement))


def changes(told: list[tuple[str, dict[str, Any]]]) -> list[tuple[str, str]]:
    return [(topic, payload["change"]) for topic, payload in told]


async def test_a_movement_is_told_with_what_listeners_choose_by(database: Database, case: EventCase) -> None:
    # given
    async with database.transaction() as session:
        category = await create_category(session, name="GIN", number=77)
        store, product = (
            await create_store(session, number=12),
            await create_product(session, sku="G", category=category),
        )
        await create_stock(session, store, product, 10)
        user = await create_user(session)
    await case.told()

    # when
    async with database.transaction() as session:
        connection = await _driver(session)
        await moves.take(
            connection, [Demand(store.id, product.id, 4)], Entry(MovementCause.ADJUSTMENT, "broken", user.id)
        )

    # then
    ((topic, payload),) = await case.told(Topic.STOCK)
    place = await case.connection.fetchrow(
        "SELECT p.city, p.zip_code, c.name, c.number FROM place p JOIN county c ON c.id = p.county_id"
    )
    assert place is not None
    expected = {
        "store": store.id, "store_number": 12, "product": product.id, "sku": "G", "category": "GIN",
        "category_number": 77, "before": 10, "after": 6, "delta": -4, "cause": "ADJUSTMENT", "reason": "broken",
        "invoice": None, "line_number": None, "purchase": None, "import": None, "actor": user.id, "city": place[0],
        "zip_code": place[1], "county": place[2], "county_number": place[3],
    }  # fmt: skip
    assert payload.pop("movement") > 0
    assert payload == expected
    assert read_fact(topic, '{"movement": 1, ' + _json(payload)[1:]) is not None


async def test_movements_of_one_level_in_one_statement_follow_each_other(database: Database, case: EventCase) -> None:
    async with database.transaction() as session:
        store = await create_store(session)
        for sku, quantity in (("A", 20), ("B", 50)):
            await create_stock(session, store, await create_product(session, sku=sku), quantity)
    await case.told()

    await execute(database, FOUR_MOVEMENTS)

    told = [(fact["sku"], fact["before"], fact["after"], fact["delta"]) for _, fact in await case.told(Topic.STOCK)]
    assert told == [("A", 20, 17, -3), ("B", 50, 47, -3), ("A", 17, 12, -5), ("B", 47, 42, -5)]


async def test_a_transfer_is_told_from_both_sides_and_what_becomes_low_besides(
    database: Database, case: EventCase
) -> None:
    async with database.transaction() as session:
        one, other = await create_store(session, number=1), await create_store(session, number=2)
        product = await create_product(session)
        await create_stock(session, one, product, 15)
    await case.told()

    async with database.transaction() as session:
        demand = [Demand(one.id, product.id, 6)]
        await moves.transfer(await _driver(session), demand, other.id, Entry(MovementCause.TRANSFER_OUT))

    told = await case.told()
    stock = [(fact["store_number"], fact["before"], fact["after"]) for topic, fact in told if topic == "STOCK"]
    low = [(fact["store_number"], fact["change"]) for topic, fact in told if topic == "LOW_STOCK"]
    assert stock == [(1, 15, 9), (2, 0, 6)]
    assert sorted(low) == [(1, "OPENED"), (2, "OPENED")]


async def test_what_is_rolled_back_was_never_told(database: Database, case: EventCase) -> None:
    async def fail() -> None:
        async with database.transaction() as session:
            await create_stock(session, await create_store(session), await create_product(session))
            raise KeyError

    with pytest.raises(KeyError):
        await fail()

    assert await case.told() == []


async def test_of_an_episode_of_low_stock_each_step_is_told_once(database: Database, case: EventCase) -> None:
    async with database.transaction() as session:
        store, product, user = await create_store(session), await create_product(session), await create_user(session)
        await create_stock(session, store, product, 5)
    opened = await case.told(Topic.LOW_STOCK)

    await execute(database, f"UPDATE low_stock_episode SET acknowledged_at = now(), acknowledged_by = {user.id}")  # noqa: S608 - a number
    seen = await case.told()
    await execute(database, "UPDATE low_stock_episode SET on_hand = on_hand, threshold = 3")
    nothing = await case.told()
    async with database.transaction() as session:
        await create_stock(session, store, product, 50)
    resolved = await case.told(Topic.LOW_STOCK)

    assert changes(opened) == [("LOW_STOCK", "OPENED")]
    assert changes(seen) == [("LOW_STOCK", "ACKNOWLEDGED")]
    assert nothing == []
    assert changes(resolved) == [("LOW_STOCK", "RESOLVED")]
    assert opened[0][1]["sku"] == product.sku


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        (["UPDATE product SET name = 'x', version = 2"], ["UPDATED"]),
        (["UPDATE product SET version = 2", "UPDATE product SET version = 3"], ["UPDATED"]),
        (["UPDATE product SET name = name"], []),
        (["UPDATE product SET name = 'x' WHERE sku = 'nothing'"], []),
        (["UPDATE product SET is_active = false, version = 2"], ["ARCHIVED"]),
        (["UPDATE product SET is_active = false, version = 2", "UPDATE product SET name = 'x'"], ["ARCHIVED"]),
        (["UPDATE product SET is_active = false", "UPDATE product SET is_active = true"], ["RESTORED"]),
        (["UPDATE product SET name = 'x'", "DELETE FROM product"], ["DELETED"]),
        (["DELETE FROM product WHERE sku = 'nothing'"], []),
        (["DELETE FROM product", "INSERT INTO product (id, sku, name) VALUES (1, 'P', 'x')"], ["CREATED"]),
    ],
)
async def test_of_a_product_a_transaction_tells_once(
    database: Database, case: EventCase, statements: list[str], expected: list[str]
) -> None:
    async with database.transaction() as session:
        await create_product(session, sku="P")
    await case.told()

    await execute(database, *statements)

    assert [fact["change"] for _, fact in await case.told(Topic.PRODUCT)] == expected


async def test_a_product_that_is_changed_where_it_is_made_is_made(database: Database, case: EventCase) -> None:
    async with database.transaction() as session:
        product = await create_product(session, sku="P")
        product.version = 7

    assert await case.told() == [
        ("PRODUCT", {"product": product.id, "sku": "P", "version": 7, "change": "CREATED"}),
        ("SALES", {}),
    ]


async def test_of_many_products_each_is_told_of_in_their_order(database: Database, case: EventCase) -> None:
    await execute(database, "INSERT INTO product (sku, name) SELECT n::text, 'x' FROM generate_series(1, 3000) n")
    await case.told()

    # the first plan of a function is for one row, and serves the many rows that follow on the same connection
    async with database.transaction() as session:
        await session.execute(text("SET LOCAL statement_timeout = '5s'"))
        await session.execute(text("UPDATE product SET name = 'y' WHERE sku = '1'"))
        await session.execute(text("UPDATE product SET name = 'z'"))

    keys = [fact["product"] for _, fact in await case.told(Topic.PRODUCT)]
    assert len(keys) == 3_000
    assert keys == sorted(keys)


async def test_an_invoice_is_told_by_what_becomes_of_it(database: Database, case: EventCase) -> None:
    async with database.transaction() as session:
        store, user = await create_store(session), await create_user(session)
        customer = await create_customer(session)
        await case.told()
        draft = await create_draft(session, store=store, customer=customer, created_by=user)
    made = await case.told(Topic.INVOICE)

    steps = []
    for statement in (
        "version = version + 1, discount = discount",
        "version = version + 1, status = 'ISSUED', number = 'N1'",
        "printed = '{}'",
        "version = version + 1, status = 'PAID'",
        "version = version + 1, status = 'VOID'",
    ):
        await execute(database, f"UPDATE invoice SET {statement}")  # noqa: S608 - the texts above
        steps.append([fact["change"] for _, fact in await case.told(Topic.INVOICE)])
    await execute(database, "DELETE FROM invoice")

    fact = {
        "invoice": draft.id, "number": None, "change": "CREATED", "status": "DRAFT", "version": 1, "store": store.id,
        "customer": customer.id, "created_by": user.id,
    }  # fmt: skip
    assert made == [("INVOICE", fact)]
    assert steps == [["UPDATED"], ["ISSUED"], [], ["PAID"], ["VOID"]]
    assert changes(await case.told(Topic.INVOICE)) == [("INVOICE", "DELETED")]


async def test_an_invoice_that_is_made_a_draft_by_hand_is_told_as_changed(database: Database, case: EventCase) -> None:
    async with database.transaction() as session:
        await create_invoice(session, number="I1")
    await case.told()

    await execute(database, "UPDATE invoice SET status = 'DRAFT'")

    ((topic, fact),) = await case.told(Topic.INVOICE)
    assert (fact["change"], fact["status"]) == ("UPDATED", "DRAFT")
    assert read_fact(topic, _json(fact)) is not None


async def test_an_invoice_that_is_issued_where_it_is_made_is_issued(database: Database, case: EventCase) -> None:
    async with database.transaction() as session:
        draft = await create_draft(session)
        draft.status, draft.number, draft.version = InvoiceStatus.ISSUED, "N1", 2
        await session.flush()
        draft.version = 3

    ((_, fact),) = await case.told(Topic.INVOICE)
    assert (fact["change"], fact["number"], fact["version"]) == ("ISSUED", "N1", 3)


async def test_a_purchase_is_told_by_what_becomes_of_it(database: Database, case: EventCase) -> None:
    async with database.transaction() as session:
        purchase = await create_purchase(session, number="P1")
    ((_, made),) = await case.told(Topic.PURCHASE)

    steps = []
    for change in ("date = date", "date = date + 1, version = 2", "status = 'RECEIVED'", "status = 'VOID'"):
        await execute(database, f"UPDATE purchase SET {change}")  # noqa: S608 - the texts above
        steps.append([fact["change"] for _, fact in await case.told(Topic.PURCHASE)])
    await execute(database, "DELETE FROM purchase")

    assert (made["purchase"], made["number"], made["change"]) == (purchase.id, "P1", "CREATED")
    assert steps == [[], ["UPDATED"], ["RECEIVED"], ["VOID"]]
    assert changes(await case.told(Topic.PURCHASE)) == [("PURCHASE", "DELETED")]


async def test_a_purchase_that_is_made_an_order_again_by_hand_is_told_as_changed(
    database: Database, case: EventCase
) -> None:
    async with database.transaction() as session:
        await create_purchase(session)
    await execute(database, "UPDATE purchase SET status = 'VOID'")
    await case.told()

    await execute(database, "UPDATE purchase SET status = 'ORDERED'")

    ((topic, fact),) = await case.told(Topic.PURCHASE)
    assert (fact["change"], fact["status"]) == ("UPDATED", "ORDERED")
    assert read_fact(topic, _json(fact)) is not None


async def test_each_receiver_of_a_notification_is_told(database: Database, case: EventCase) -> None:
    async with database.transaction() as session:
        users = [await create_user(session), await create_user(session)]
    await case.told()

    async with unit_of_work(database) as work:
        await notify(
            work,
            severity=Severity.INFO,
            title=Sentence("The books are out of balance"),
            body=Sentence("The books are out of balance"),
            values={},
            users=[user.id for user in users],
        )
    told = await case.told(Topic.NOTIFICATION)
    await execute(database, "UPDATE notification_recipient SET read_at = now()")

    assert sorted(fact["user"] for _, fact in told) == sorted(user.id for user in users)
    assert await case.told() == []


async def test_an_import_is_told_each_time_it_comes_further(database: Database, case: EventCase) -> None:
    async with database.transaction() as session:
        job = await create_import(session)
    made = await case.told()

    await execute(
        database,
        "UPDATE import_job SET status = 'RUNNING'",
        "UPDATE import_job SET rows_read = 10",
        "UPDATE import_job SET rows_read = 20, status = 'COMPLETED'",
    )
    further = await case.told()
    await execute(database, "UPDATE import_job SET rows_read = 20")

    assert made == [("IMPORT", {"import": job.id, "status": "QUEUED"})]
    assert further == [("IMPORT", {"import": job.id, "status": "COMPLETED"})]
    assert await case.told() == []


async def test_a_file_of_history_is_told_of_by_its_import_and_not_by_its_invoices(
    database: Database, case: EventCase, tmp_path: Path
) -> None:
    imports = ImportCase(database, tmp_path)

    job = await imports.load(sales_csv(many_sales(60)))
    told = await case.told()
    again = await imports.load(sales_csv(many_sales(60)), file_name="again.csv")
    again_told = await case.told()
    await imports.revert(job.id)
    reverted = await case.told()

    assert job.rows_inserted == 60
    assert {topic for topic, _ in told} == {"IMPORT", "PRODUCT", "SALES"}
    assert {topic for topic, _ in again_told} == {"IMPORT"}
    assert again_told[-1][1] == {"import": again.id, "status": "COMPLETED"}
    assert {"IMPORT", "SALES"} <= {topic for topic, _ in reverted} <= {"IMPORT", "SALES", "PRODUCT"}


@pytest.mark.parametrize(
    ("statements", "is_told"),
    [
        (["UPDATE product SET name = 'x' WHERE sku = 'P'"], True),
        (["UPDATE store SET name = 'x'"], True),
        (["UPDATE vendor SET name = 'x'"], True),
        (["UPDATE category SET name = 'x'"], True),
        (["UPDATE county SET name = 'x' WHERE id = 1"], True),
        (["UPDATE place SET city = 'x' WHERE id = 1"], True),
        (["UPDATE customer SET name = 'x'"], False),
        (["UPDATE user_account SET name = 'x'"], False),
        (["UPDATE product SET name = 'x'", "UPDATE store SET name = 'x'"], True),
        (["UPDATE product SET name = name", "UPDATE store SET name = name", "UPDATE vendor SET name = name"], False),
        (["UPDATE store SET name = 'x' WHERE number = -1", "DELETE FROM store WHERE number = -1"], False),
        (
            ["UPDATE invoice_line SET cost = cost + 1 WHERE invoice_id = (SELECT id FROM invoice WHERE number = 'I1')"],
            True,
        ),
        (["DELETE FROM invoice_line WHERE invoice_id = (SELECT id FROM invoice WHERE number = 'I1')"], True),
        (["WITH lines AS (DELETE FROM invoice_line) DELETE FROM invoice WHERE number = 'I1'"], True),
        (["UPDATE invoice SET status = 'VOID' WHERE number = 'I1'"], True),
        (["UPDATE invoice SET customer_id = NULL WHERE number = 'I1'"], True),
        (["UPDATE invoice SET status = 'DRAFT' WHERE number = 'I1'"], True),
        (["UPDATE invoice SET status = 'ISSUED', number = 'I2' WHERE number IS NULL"], True),
        (["UPDATE invoice SET printed = '{}', version = version + 1"], False),
        (["UPDATE invoice SET customer_id = NULL WHERE number IS NULL"], False),
        (["UPDATE invoice_line SET cost = 1 WHERE invoice_id = (SELECT id FROM invoice WHERE number IS NULL)"], False),
        (["DELETE FROM invoice_line WHERE invoice_id = (SELECT id FROM invoice WHERE number IS NULL)"], False),
    ],
)
async def test_whatever_sales_reports_depend_on_is_told_once_and_nothing_else(
    database: Database, case: EventCase, statements: list[str], *, is_told: bool
) -> None:
    # given an invoice that counts and a draft that does not
    async with database.transaction() as session:
        product = await create_product(
            session, sku="P", vendor=await create_vendor(session), category=await create_category(session)
        )
        customer, user = await create_customer(session), await create_user(session)
        store = await create_store(session)
        await create_invoice(session, Line(product), store=store, number="I1", customer=customer, created_by=user)
        await create_draft(session, Line(product), store=store, customer=customer)
    await case.told()

    await execute(database, *statements)

    assert await case.told(Topic.SALES) == [("SALES", {})] * is_told


async def test_lines_of_an_invoice_that_counts_are_sales_and_those_of_a_draft_are_not(
    database: Database, case: EventCase
) -> None:
    async with database.transaction() as session:
        product, store = await create_product(session), await create_store(session)
    await case.told()

    async with database.transaction() as session:
        await create_draft(session, Line(product), store=store)
    of_the_draft = await case.told(Topic.SALES)
    async with database.transaction() as session:
        await create_invoice(session, Line(product), store=store)

    assert of_the_draft == []
    assert await case.told(Topic.SALES) == [("SALES", {})]


async def _driver(session: AsyncSession) -> Any:
    await session.execute(text("SELECT"))
    return await driver_connection(await session.connection())


def _json(payload: dict[str, Any]) -> str:
    return json.dumps(payload)
