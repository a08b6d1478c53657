"""One test's ledger: moves in transactions of their own, what they have left behind, and whether the books balance."""

import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg

from graphql_api.database.engine import Database
from graphql_api.database.product import ProductRow
from graphql_api.database.stock import MovementCause
from graphql_api.database.store import StoreRow
from graphql_api.ledger import moves
from graphql_api.ledger.entries import Demand, Entry, Posting, Receipt, Return, StockKey
from tests.factories import Line, create_invoice, create_product, create_store

Answer = TypeVar("Answer")
DAY = dt.date(2024, 3, 15)
# Every way in which the parts of the books could contradict each other; nothing when they agree.
CONTRADICTIONS = """
WITH moved AS (
  SELECT store_id, product_id, sum(quantity) AS units, sum(cost) AS value FROM stock_movement GROUP BY 1, 2
), lying AS (
  SELECT store_id, product_id, sum(remaining) AS units, sum(remaining * unit_cost) AS value FROM stock_lot GROUP BY 1, 2
)
SELECT format('level %s/%s', store_id, product_id) FROM stock_level l
  FULL JOIN moved m USING (store_id, product_id) FULL JOIN lying y USING (store_id, product_id)
  WHERE (coalesce(l.on_hand, 0), coalesce(l.value, 0)) <> (coalesce(m.units, 0), coalesce(m.value, 0))
    OR (coalesce(l.on_hand, 0), coalesce(l.value, 0)) <> (coalesce(y.units, 0), coalesce(y.value, 0))
    OR l.on_hand < 0
UNION ALL
SELECT format('lot %s', l.id) FROM stock_lot l LEFT JOIN lot_use u ON u.lot_id = l.id
  GROUP BY l.id HAVING coalesce(sum(u.quantity), 0) <> l.remaining
UNION ALL
SELECT format('movement %s', m.id) FROM stock_movement m LEFT JOIN lot_use u ON u.movement_id = m.id
  LEFT JOIN stock_lot l ON l.id = u.lot_id
  GROUP BY m.id
  HAVING (coalesce(sum(u.quantity), 0), coalesce(sum(u.quantity * l.unit_cost), 0)) <> (m.quantity, m.cost)
"""


@dataclass(frozen=True)
class LedgerCase:
    """The ledger of one test's database."""

    database: Database
    connection: asyncpg.Connection

    async def store(self, **values: Any) -> StoreRow:
        """A new store."""
        async with self.database.transaction() as session:
            return await create_store(session, **values)

    async def product(self, **values: Any) -> ProductRow:
        """A new product."""
        async with self.database.transaction() as session:
            return await create_product(session, **values)

    async def key(self) -> StockKey:
        """A new product in a new store."""
        return (await self.store()).id, (await self.product()).id

    async def invoice(self, store_id: int, *product_ids: int) -> int:
        """The key of an invoice with a line for each product, whose stock is moved by the test."""
        async with self.database.transaction() as session:
            store = await session.get_one(StoreRow, store_id)
            lines = [Line(await session.get_one(ProductRow, key)) for key in product_ids]
            return (await create_invoice(session, *lines, store=store)).id

    async def act(self, move: Callable[..., Awaitable[Answer]], *arguments: Any, **options: Any) -> Answer:
        """Move in a transaction of its own."""
        async with self.connection.transaction():
            return await move(self.connection, *arguments, **options)

    async def receive(
        self,
        key: StockKey,
        quantity: int,
        unit_cost: int = 600,
        *,
        received_on: dt.date = DAY,
        expires_on: dt.date | None = None,
    ) -> int:
        """Receive one lot; answers its id."""
        receipt = Receipt(*key, quantity, unit_cost, received_on, expires_on)
        posting = await self.act(moves.receive, [receipt], Entry(MovementCause.RECEIPT))
        return posting.movements[0].pieces[0].lot_id

    async def take(self, *demands: Demand, usable_on: dt.date | None = None) -> Posting:
        """Sell."""
        return await self.act(moves.take, demands, Entry(MovementCause.SALE), usable_on=usable_on)

    async def give_back(self, *returns: Return, cause: MovementCause = MovementCause.SALE_LOWERED) -> Posting:
        """Take back what was sold."""
        return await self.act(moves.give_back, returns, Entry(cause))

    async def transfer(self, to_store_id: int, *demands: Demand) -> tuple[Posting, Posting]:
        """Move to another store."""
        return await self.act(moves.transfer, demands, to_store_id, Entry(MovementCause.TRANSFER_OUT))

    async def level(self, key: StockKey) -> tuple[int, int] | None:
        """Bottles and cents; None when there is no level."""
        row = await self.connection.fetchrow(
            "SELECT on_hand, value FROM stock_level WHERE (store_id, product_id) = ($1, $2)", *key
        )
        return None if row is None else (row[0], row[1])

    async def remaining(self) -> dict[int, int]:
        """Bottles that are left, by lot."""
        rows = await self.connection.fetch("SELECT id, remaining FROM stock_lot ORDER BY id")
        return {row["id"]: row["remaining"] for row in rows}

    async def contradictions(self) -> list[str]:
        """What does not agree with the rest of the books."""
        return await contradictions(self.connection)


async def contradictions(connection: asyncpg.Connection) -> list[str]:
    """What does not agree with the rest of the books, at one moment."""
    return [row[0] for row in await connection.fetch(CONTRADICTIONS)]
