"""What the tests of low stock share: a shelf that bottles are put on and taken from, and what people are told."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.database.product import ProductRow
from graphql_api.database.stock import MovementCause
from graphql_api.database.store import StoreRow
from graphql_api.ledger.entries import Demand, Receipt
from graphql_api.services import posting
from graphql_api.services.unit_of_work import unit_of_work
from tests.factories import create_product, create_store

TODAY = dt.date(2024, 3, 15)


@dataclass(frozen=True)
class Shelf:
    """A product in a store, low at `threshold` bottles (10 unless told otherwise)."""

    database: Database
    store: StoreRow
    product: ProductRow

    async def add(self, quantity: int) -> None:
        receipt = Receipt(self.store.id, self.product.id, quantity, 600, TODAY)
        async with unit_of_work(self.database) as work:
            await posting.receive(work, [receipt], MovementCause.RECEIPT)

    async def take(self, quantity: int) -> None:
        async with unit_of_work(self.database) as work:
            await posting.take(
                work, [Demand(self.store.id, self.product.id, quantity)], MovementCause.ADJUSTMENT, reason="test"
            )

    async def episodes(self) -> list[tuple[int, int, bool]]:
        """Bottles and threshold at the start of each episode, and whether it is open; the oldest first."""
        found = await rows(
            self.database,
            "SELECT on_hand, threshold, resolved_at IS NULL FROM low_stock_episode "
            "WHERE store_id = :store AND product_id = :product ORDER BY id",
            store=self.store.id,
            product=self.product.id,
        )
        return [(on_hand, threshold, is_open) for on_hand, threshold, is_open in found]


async def create_shelf(
    database: Database, quantity: int = 0, *, threshold: int | None = None, name: str | None = None
) -> Shelf:
    """A shelf in a store of its own with so many bottles."""
    async with database.transaction() as session:
        store, product = await create_store(session), await create_product(session, name=name)
        product.low_stock_threshold = threshold
    shelf = Shelf(database, store, product)
    if quantity:
        await shelf.add(quantity)
    return shelf


async def execute(database: Database, statement: str, **values: Any) -> None:
    async with database.transaction() as session:
        await session.execute(text(statement), values)


async def rows(database: Database, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    async with database.read() as session:
        return [tuple(row) for row in await session.execute(text(statement), values)]


async def told(database: Database) -> list[tuple[str, int]]:
    """Topics of notifications and how many people have each, the oldest first."""
    found = await rows(
        database,
        "SELECT n.topic, count(r.id) FROM notification n LEFT JOIN notification_recipient r "
        "ON r.notification_id = n.id GROUP BY n.id ORDER BY n.id",
    )
    return [(topic, count) for topic, count in found]


async def mail_jobs(database: Database) -> int:
    ((count,),) = await rows(database, "SELECT count(*) FROM jobs.pgqueuer WHERE payload LIKE 'LOW_STOCK%'")
    return int(count)
