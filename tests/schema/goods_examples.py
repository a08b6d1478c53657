"""A mutation that succeeds, of each about goods: master data, stock, purchases, invoices and what is told of them."""

import io
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.database.user import Role
from graphql_api.schema.node import global_id
from graphql_api.schema.upload import UploadedFile
from graphql_api.services.invoice_issue import issue_invoice
from graphql_api.services.unit_of_work import unit_of_work
from tests.factories import (
    Line,
    OrderLine,
    create_category,
    create_customer,
    create_draft,
    create_product,
    create_purchase,
    create_stock,
    create_store,
    create_vendor,
)
from tests.pictures import png
from tests.schema.mutation_walk import Attempt, World, example


@example("createProduct")
async def _create_product(world: World) -> Attempt:
    return Attempt("Product", "SELECT max(id) FROM product", {"sku": "A-1", "name": "Ale"}, world.staff)


@example("updateProduct")
async def _update_product(world: World) -> Attempt:
    key = await world.product()
    wish = {"id": global_id("Product", key), "expectedVersion": 1, "name": "Stout"}
    return Attempt("Product", key, wish, world.staff)


@example("archiveProduct")
async def _archive_product(world: World) -> Attempt:
    key = await world.product()
    return Attempt("Product", key, {"id": global_id("Product", key), "expectedVersion": 1}, world.staff)


@example("setProductImage")
async def _set_product_image(world: World) -> Attempt:
    key = await world.product()
    file = UploadedFile("ale.png", io.BytesIO(png()))
    return Attempt("Product", key, {"id": global_id("Product", key), "expectedVersion": 1, "image": file}, world.staff)


@example("createStore")
async def _create_store(world: World) -> Attempt:
    wish = {"number": 7, "name": "North", "city": "Ames", "county": "Story"}
    return Attempt("Store", "SELECT max(id) FROM store", wish, world.staff)


@example("createVendor")
async def _create_vendor(world: World) -> Attempt:
    return Attempt("Vendor", "SELECT max(id) FROM vendor", {"name": "Brewer"}, world.staff)


@example("createCategory")
async def _create_category(world: World) -> Attempt:
    return Attempt("Category", "SELECT max(id) FROM category", {"name": "Ales"}, world.staff)


@example("createCustomer")
async def _create_customer(world: World) -> Attempt:
    return Attempt("Customer", "SELECT max(id) FROM customer", {"name": "Bar"}, world.viewers[Role.SALESPERSON])


def _edited(noun: str, make: Callable[[AsyncSession], Awaitable[Any]]) -> None:
    """Register the examples of changing and archiving a row."""

    async def row(world: World, **patch: Any) -> Attempt:
        async with world.database.transaction() as session:
            key = (await make(session)).id
        return Attempt(noun, key, {"id": global_id(noun, key), "expectedVersion": 1, **patch}, world.staff)

    @example(f"update{noun}")
    async def _update(world: World) -> Attempt:
        return await row(world, name="Another")

    @example(f"archive{noun}")
    async def _archive(world: World) -> Attempt:
        return await row(world)


_edited("Store", create_store)
_edited("Vendor", create_vendor)
_edited("Category", create_category)
_edited("Customer", create_customer)


@example("adjustStock")
async def _adjust_stock(world: World) -> Attempt:
    wish = {**await world.stock(), "quantity": -2, "reason": "broken"}
    return Attempt("StockLevel", "SELECT id FROM stock_level", wish, world.staff)


@example("countStock")
async def _count_stock(world: World) -> Attempt:
    stock = await world.stock()
    line = {"productId": stock["productId"], "counted": 9, "expected": 10}
    wish = {"storeId": stock["storeId"], "lines": [line]}
    return Attempt("Store", "SELECT id FROM store", wish, world.staff)


@example("transferStock")
async def _transfer_stock(world: World) -> Attempt:
    stock = await world.stock()
    async with world.database.transaction() as session:
        other = global_id("Store", (await create_store(session)).id)
    lines = [{"productId": stock["productId"], "quantity": 3}]
    wish = {"fromStoreId": stock["storeId"], "toStoreId": other, "lines": lines}
    return Attempt("Store", "SELECT min(id) FROM store", wish, world.staff)


@example("createPurchase")
async def _create_purchase(world: World) -> Attempt:
    stock = await world.stock()
    line = {"productId": stock["productId"], "quantity": 12}
    wish = {"storeId": stock["storeId"], "supplierName": "Brewery", "lines": [line]}
    return Attempt("Purchase", "SELECT max(id) FROM purchase", wish, world.staff)


def _ordered(mutation: str, **wish: Any) -> None:
    """Register the example of something that is done with an order."""

    @example(mutation)
    async def _order(world: World) -> Attempt:
        async with world.database.transaction() as session:
            key = (await create_purchase(session, OrderLine(await create_product(session)))).id
        return Attempt("Purchase", key, {"id": global_id("Purchase", key), "expectedVersion": 1, **wish}, world.staff)


_ordered("updatePurchase", note="urgent")
_ordered("receivePurchase")
_ordered("voidPurchase", reason="too late")


@example("orderSuggested")
async def _order_suggested(world: World) -> Attempt:
    async with world.database.transaction() as session:
        store, vendor = await create_store(session), await create_vendor(session)
        await create_stock(session, store, await create_product(session, vendor=vendor), 1)
    wish = {"storeId": global_id("Store", store.id), "vendorId": global_id("Vendor", vendor.id)}
    return Attempt("Purchase", "SELECT max(id) FROM purchase", wish, world.staff)


@example("updateSettings")
async def _update_settings(world: World) -> Attempt:
    return Attempt("Settings", 1, {"expectedVersion": 1, "taxRate": "6.5"}, world.admin)


async def _new_draft(world: World) -> tuple[int, int]:
    """The keys of a draft of the member of staff with one bottle on it, and of its product; there is stock."""
    async with world.database.transaction() as session:
        store, product = await create_store(session), await create_product(session)
        await create_stock(session, store, product, 5)
        invoice = await create_draft(session, Line(product), store=store, created_by=world.users[Role.STAFF])
        return invoice.id, product.id


async def _new_invoice(world: World) -> int:
    """The key of an invoice of the member of staff that was issued from a draft."""
    key, _ = await _new_draft(world)
    async with unit_of_work(world.database) as work:
        await issue_invoice(work, key, 1, world.staff)
    return key


def _invoice(key: int, version: int = 1, **wish: Any) -> dict[str, Any]:
    return {"id": global_id("Invoice", key), "expectedVersion": version, **wish}


@example("createInvoice")
async def _create_invoice(world: World) -> Attempt:
    async with world.database.transaction() as session:
        store = await create_store(session)
    wish = {"storeId": global_id("Store", store.id)}
    return Attempt("Invoice", "SELECT max(id) FROM invoice", wish, world.staff)


@example("updateInvoice")
async def _update_invoice(world: World) -> Attempt:
    key, _ = await _new_draft(world)
    return Attempt("Invoice", key, _invoice(key, note="Fragile"), world.staff)


@example("addInvoiceLines")
async def _add_invoice_lines(world: World) -> Attempt:
    key, _ = await _new_draft(world)
    line = {"productId": global_id("Product", await world.product()), "quantity": 1}
    return Attempt("Invoice", key, _invoice(key, lines=[line]), world.staff)


@example("setInvoiceLines")
async def _set_invoice_lines(world: World) -> Attempt:
    key, product = await _new_draft(world)
    line = {"productId": global_id("Product", product), "quantity": 2}
    return Attempt("Invoice", key, _invoice(key, lines=[line]), world.staff)


@example("issueInvoice")
async def _issue_invoice(world: World) -> Attempt:
    key, _ = await _new_draft(world)
    return Attempt("Invoice", key, _invoice(key), world.staff)


@example("payInvoice")
async def _pay_invoice(world: World) -> Attempt:
    key = await _new_invoice(world)
    return Attempt("Invoice", key, _invoice(key, 2), world.staff)


@example("voidInvoice")
async def _void_invoice(world: World) -> Attempt:
    key = await _new_invoice(world)
    return Attempt("Invoice", key, _invoice(key, 2, reason="Wrong customer"), world.staff)


@example("creditInvoice")
async def _credit_invoice(world: World) -> Attempt:
    key = await _new_invoice(world)
    return Attempt("Invoice", key, _invoice(key, 2, reason="Broken", restock=False), world.staff)


@example("deleteDraftInvoice")
async def _delete_draft_invoice(world: World) -> Attempt:
    key, _ = await _new_draft(world)
    return Attempt("Invoice", key, _invoice(key), world.staff)


@example("acknowledgeLowStock")
async def _acknowledge_low_stock(world: World) -> Attempt:
    async with world.database.transaction() as session:
        store, product = await create_store(session), await create_product(session)
        await create_stock(session, store, product, 3)
    key = await world.scalar("SELECT max(id) FROM low_stock_episode")
    return Attempt("LowStock", key, {"ids": [global_id("LowStock", key)]}, world.staff)


@example("createNotification")
async def _create_notification(world: World) -> Attempt:
    return Attempt("Notification", None, {"title": "Closed today", "everybody": True}, world.admin)


@example("markNotificationRead")
async def _mark_notification_read(world: World) -> Attempt:
    key = await world.notification()
    return Attempt("Notification", key, {"ids": [global_id("Notification", key)]}, world.staff)


@example("deleteNotification")
async def _delete_notification(world: World) -> Attempt:
    key = await world.notification()
    return Attempt("Notification", key, {"ids": [global_id("Notification", key)]}, world.staff)
