"""What is told of products, invoices and purchases, and to whom."""

from typing import Any

import pytest
from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.database.invoice import InvoiceRow, InvoiceStatus
from graphql_api.database.product import ProductRow
from graphql_api.database.user import Role
from graphql_api.schema.node import global_id
from graphql_api.services.policy import Viewer
from tests.client import ADMIN, Client
from tests.factories import (
    Line,
    OrderLine,
    create_customer,
    create_draft,
    create_product,
    create_purchase,
    create_stock,
    create_store,
)
from tests.schema.listening import Listen, change, changes, relay
from tests.schema.people import ClientOf, create_viewer

PRODUCTS = """subscription ($where: ProductEventWhere, $after: Cursor) { productChanged(where: $where, after: $after) {
    cursor at change productId sku version product { name isActive } } }"""
INVOICES = """subscription ($where: InvoiceEventWhere, $after: Cursor) { invoiceChanged(where: $where, after: $after) {
    cursor at change invoiceId number status version invoice { id number status } } }"""
PURCHASES = """subscription ($where: PurchaseEventWhere) { purchaseChanged(where: $where) {
    cursor at change purchaseId number status version purchase { note status } } }"""


@pytest.fixture
async def admin(database: Database) -> Viewer:
    return await create_viewer(database, Role.ADMIN)


@pytest.fixture
def client(client_of: ClientOf, admin: Viewer) -> Client:
    return client_of(admin)


async def test_the_life_of_a_product_is_told(database: Database, client: Client, hear: Listen) -> None:
    # given
    listener = await hear(PRODUCTS)
    await change(client, "createProduct", sku="A", name="Ale")
    async with database.read() as session:
        key = await session.scalar(text("SELECT id FROM product"))
    product = global_id("Product", key)
    (created,) = await listener.take()

    # when
    await change(client, "updateProduct", id=product, expectedVersion=1, name="Stout")
    (updated,) = await listener.take()
    await change(client, "archiveProduct", id=product, expectedVersion=2)
    await change(client, "updateProduct", id=product, expectedVersion=3, isActive=True)
    later = await listener.take()

    # then
    assert (created["change"], created["productId"], created["sku"]) == ("CREATED", product, "A")
    assert created["product"] == {"name": "Ale", "isActive": True}
    assert (updated["change"], updated["product"]["name"]) == ("UPDATED", "Stout")
    assert changes(later) == ["ARCHIVED", "RESTORED"]
    assert [event["product"]["isActive"] for event in later] == [True, True], "each shows what is now"
    assert [event["version"] for event in (created, updated, *later)] == [1, 2, 3, 4]


async def test_of_a_deleted_product_only_what_it_was_is_told(database: Database, hear: Listen) -> None:
    async with database.transaction() as session:
        product = await create_product(session, sku="A")
    listener = await hear(PRODUCTS)

    async with database.transaction() as session:
        await session.delete(await session.get(ProductRow, product.id))

    created, deleted = await listener.take()
    assert (created["change"], created["product"]) == ("CREATED", None)
    assert (deleted["change"], deleted["sku"], deleted["product"]) == ("DELETED", "A", None)


async def test_changes_of_products_are_chosen_and_resumed(database: Database, client: Client, hear: Listen) -> None:
    listener = await hear(PRODUCTS, where={"change": {"in": ["CREATED"]}, "sku": {"startsWith": "b"}})
    for sku in ("A", "B1", "B2", "B3"):
        await change(client, "createProduct", sku=sku, name="X")
    heard = await listener.take()
    async with database.read() as session:
        key = await session.scalar(text("SELECT id FROM product WHERE sku = 'B3'"))

    again = await hear(PRODUCTS, after=heard[0]["cursor"], where={"not": {"id": {"eq": global_id("Product", key)}}})

    assert [event["sku"] for event in heard] == ["B1", "B2", "B3"]
    assert [event["sku"] for event in await again.take()] == ["B2"]


async def test_a_customer_hears_of_products(database: Database, client: Client, hear: Listen) -> None:
    listener = await hear(PRODUCTS, await create_viewer(database, Role.CUSTOMER))

    await change(client, "createProduct", sku="A", name="Ale")

    assert changes(await listener.take()) == ["CREATED"]


async def draft_of(database: Database, viewer: Viewer | None) -> str:
    """The id of a draft with a bottle that is in stock, for the customer whose account this is."""
    async with database.transaction() as session:
        store, product = await create_store(session), await create_product(session)
        await create_stock(session, store, product, 50)
        customer = await create_customer(session)
        customer.user_id = viewer.user_id if viewer else None
        return global_id("Invoice", (await create_draft(session, Line(product), store=store, customer=customer)).id)


async def test_the_company_hears_of_drafts_and_a_customer_of_the_own_invoices_once_issued(
    database: Database, client: Client, hear: Listen
) -> None:
    # given
    mona, omar = [await create_viewer(database, Role.CUSTOMER) for _ in range(2)]
    company, own, other = await hear(INVOICES), await hear(INVOICES, mona), await hear(INVOICES, omar)
    listeners = (company, own, other)

    # when
    invoice = await draft_of(database, mona)
    await change(client, "updateInvoice", id=invoice, expectedVersion=1, note="Fragile")
    as_draft = [changes(await listener.take()) for listener in listeners]
    await change(client, "issueInvoice", id=invoice, expectedVersion=2)
    await change(client, "payInvoice", id=invoice, expectedVersion=3)
    as_issued = [await listener.take() for listener in listeners]

    # then
    assert as_draft == [["CREATED", "UPDATED"], [], []]
    assert [changes(heard) for heard in as_issued] == [["ISSUED", "PAID"], ["ISSUED", "PAID"], []]
    issued = as_issued[1][0]
    assert (issued["status"], issued["invoiceId"], issued["invoice"]["id"]) == ("ISSUED", invoice, invoice)
    assert issued["number"] == issued["invoice"]["number"] is not None


async def test_a_customer_never_hears_that_an_invoice_was_a_draft_not_even_afterwards(
    database: Database, client: Client, hear: Listen
) -> None:
    mona = await create_viewer(database, Role.CUSTOMER)
    listener = await hear(INVOICES, mona)
    invoice = await draft_of(database, mona)
    await change(client, "issueInvoice", id=invoice, expectedVersion=1)

    assert changes(await listener.take()) == ["ISSUED"]


async def test_a_customer_hears_nothing_of_an_invoice_that_is_somebody_elses_by_now(
    database: Database, client: Client, hear: Listen
) -> None:
    mona = await create_viewer(database, Role.CUSTOMER)
    listener = await hear(INVOICES, mona)
    invoice = await draft_of(database, mona)
    await change(client, "issueInvoice", id=invoice, expectedVersion=1)
    async with database.transaction() as session:
        await session.execute(text("UPDATE customer SET user_id = NULL"))

    assert await listener.take() == []


async def test_a_credit_note_is_told_to_whom_it_is_for(database: Database, client: Client, hear: Listen) -> None:
    mona = await create_viewer(database, Role.CUSTOMER)
    invoice = await draft_of(database, mona)
    await change(client, "issueInvoice", id=invoice, expectedVersion=1)
    await relay(database)
    listeners = [await hear(INVOICES, viewer) for viewer in (ADMIN, mona)]

    await change(client, "creditInvoice", id=invoice, expectedVersion=2, reason="Corked", restock=True)

    for listener in listeners:
        notes = [event for event in await listener.take() if event["invoiceId"] != invoice]
        assert [(event["change"], event["status"]) for event in notes] == [("ISSUED", "ISSUED")]
        assert notes[0]["number"] == notes[0]["invoice"]["number"] is not None


async def test_a_deleted_draft_is_told_to_the_company(database: Database, client: Client, hear: Listen) -> None:
    listener = await hear(INVOICES)
    invoice = await draft_of(database, None)
    await change(client, "deleteDraftInvoice", id=invoice, expectedVersion=1)

    created, deleted = await listener.take()

    assert (created["change"], deleted["change"], deleted["status"]) == ("CREATED", "DELETED", "DRAFT")
    assert (deleted["invoiceId"], deleted["number"], deleted["invoice"]) == (invoice, None, None)


async def test_changes_of_invoices_are_chosen(database: Database, client: Client, hear: Listen) -> None:
    # given
    invoice, other = await draft_of(database, None), await draft_of(database, None)
    await relay(database)
    async with database.read() as session:
        key = int(await session.scalar(text("SELECT min(id) FROM invoice")) or 0)
        row = await session.get(InvoiceRow, key)
    assert row is not None
    wheres: list[dict[str, Any]] = [
        {"id": {"eq": invoice}},
        {"store": {"eq": global_id("Store", row.store_id)}},
        {"customer": {"in": [global_id("Customer", row.customer_id or 0)]}},
        {"status": {"eq": InvoiceStatus.ISSUED.value}, "id": {"in": [invoice]}},
        {"change": {"eq": "ISSUED"}, "number": {"isNull": False}, "not": {"id": {"eq": other}}},
        {"status": {"eq": "VOID"}},
    ]
    listeners = [await hear(INVOICES, where=where) for where in wheres]

    # when
    for wanted in (invoice, other):
        await change(client, "issueInvoice", id=wanted, expectedVersion=1)

    # then
    heard = [[event["invoiceId"] for event in await listener.take()] for listener in listeners]
    assert heard == [[invoice]] * 5 + [[]]


async def test_the_life_of_a_purchase_is_told(database: Database, client: Client, hear: Listen) -> None:
    # given
    async with database.transaction() as session:
        key = (await create_purchase(session, OrderLine(await create_product(session)))).id
    purchase = global_id("Purchase", key)
    await relay(database)
    listener = await hear(PURCHASES, where={"id": {"eq": purchase}})
    received = await hear(PURCHASES, where={"status": {"eq": "RECEIVED"}, "change": {"eq": "RECEIVED"}})

    # when
    await change(client, "updatePurchase", id=purchase, expectedVersion=1, note="urgent")
    await change(client, "receivePurchase", id=purchase, expectedVersion=2)

    # then
    heard = await listener.take()
    assert changes(heard) == ["UPDATED", "RECEIVED"]
    assert [event["status"] for event in heard] == ["ORDERED", "RECEIVED"]
    assert heard[0]["purchase"] == {"note": "urgent", "status": "RECEIVED"}
    assert changes(await received.take()) == ["RECEIVED"]
