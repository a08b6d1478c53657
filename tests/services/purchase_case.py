"""What tests of purchases share: a store that orders two products, and what the books say afterwards."""

import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy import select, text
from sqlmodel import col

from graphql_api.database.engine import Database
from graphql_api.database.product import ProductRow
from graphql_api.database.purchase import PurchaseLineRow, PurchaseRow
from graphql_api.database.stock import MovementCause
from graphql_api.database.store import StoreRow
from graphql_api.database.user import Role
from graphql_api.ledger.entries import Demand
from graphql_api.services import posting
from graphql_api.services.policy import Viewer
from graphql_api.services.purchase_change import PurchaseWish, create_purchase
from graphql_api.services.purchase_line import LineWish
from graphql_api.services.purchase_receipt import ReceiptWish, receive_purchase
from graphql_api.services.purchase_void import void_purchase
from graphql_api.services.unit_of_work import UnitOfWork, unit_of_work
from tests.factories import create_product, create_store, create_user

Result = TypeVar("Result")


@dataclass(frozen=True)
class PurchaseCase:
    """One test's database with a store, two products that cost 6.00, and somebody who orders."""

    database: Database
    viewer: Viewer
    store: StoreRow
    ale: ProductRow
    gin: ProductRow

    async def act(self, change: Callable[[UnitOfWork], Awaitable[Result]]) -> Result:
        async with unit_of_work(self.database) as work:
            return await change(work)

    async def order(self, *lines: LineWish, **wish: Any) -> PurchaseRow:
        if "vendor_id" not in wish:
            wish.setdefault("supplier_name", "Brewery")
        order = PurchaseWish(self.store.id, lines or [LineWish(self.ale.id, 12)], **wish)
        return await self.act(lambda work: create_purchase(work, order, self.viewer))

    async def receive(
        self,
        purchase: PurchaseRow,
        *receipts: ReceiptWish,
        version: int | None = None,
        received_on: dt.date | None = None,
    ) -> PurchaseRow:
        """Receive what is named, or all; in the version it is in unless told otherwise."""
        expected = (await self.purchase(purchase.id)).version if version is None else version
        return await self.act(lambda work: receive_purchase(work, purchase.id, expected, receipts or None, received_on))

    async def void(self, purchase: PurchaseRow, reason: str = "wrong bottles") -> PurchaseRow:
        expected = (await self.purchase(purchase.id)).version
        return await self.act(lambda work: void_purchase(work, purchase.id, expected, reason))

    async def take(self, product: ProductRow, quantity: int, invoice_id: int | None = None, line: int = 1) -> None:
        """Bottles leave the store, as in a sale when there is an invoice."""
        cause = MovementCause.ADJUSTMENT if invoice_id is None else MovementCause.SALE
        number = None if invoice_id is None else line
        demand = Demand(self.store.id, product.id, quantity, invoice_id, number)
        await self.act(lambda work: posting.take(work, [demand], cause))

    async def purchase(self, purchase_id: int) -> PurchaseRow:
        async with self.database.read() as session:
            row = await session.get(PurchaseRow, purchase_id)
        assert row is not None
        return row

    async def lines(self, purchase: PurchaseRow) -> Sequence[PurchaseLineRow]:
        statement = select(PurchaseLineRow).where(col(PurchaseLineRow.purchase_id) == purchase.id)
        async with self.database.read() as session:
            return (await session.scalars(statement.order_by(col(PurchaseLineRow.line_number)))).all()

    async def rows(self, statement: str) -> list[tuple[Any, ...]]:
        async with self.database.read() as session:
            return [tuple(row) for row in await session.execute(text(statement))]

    async def levels(self) -> dict[int, tuple[int, int]]:
        """Bottles on hand and their value in cents, by product."""
        rows = await self.rows("SELECT product_id, on_hand, value FROM stock_level ORDER BY product_id")
        return {product: (on_hand, value) for product, on_hand, value in rows}

    async def lots(self) -> list[tuple[Any, ...]]:
        """Product, received, remaining, cents a bottle, day of receipt and of expiry of each lot."""
        return await self.rows(
            "SELECT product_id, received, remaining, unit_cost, received_on, expires_on FROM stock_lot ORDER BY id"
        )

    async def contents(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything that a receipt or a void writes."""
        tables = ("purchase", "purchase_line", "stock_level", "stock_lot", "stock_movement", "lot_use", "number_series")
        return {name: sorted(await self.rows(f"SELECT t::text FROM {name} t")) for name in tables}  # noqa: S608 - names from above


async def create_case(database: Database) -> PurchaseCase:
    async with database.transaction() as session:
        user = await create_user(session)
        viewer = Viewer(user.id, Role.ADMIN, 1)
        return PurchaseCase(
            database, viewer, await create_store(session), await create_product(session), await create_product(session)
        )


def cents(amount: str) -> Decimal:
    """An amount in currency units as clients give it."""
    return Decimal(amount)
