"""Bottles that an import has moved go back where they were, once, all or none."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import asyncpg

from graphql_api.database.stock import MovementCause
from graphql_api.imports.load import Blocked
from graphql_api.ledger.allocation import Piece
from graphql_api.ledger.book import lock_levels, post
from graphql_api.ledger.entries import Entry, Movement, StockKey

# What an import's movements have brought into each lot (negative: taken), those that put it right included.
NET = """
SELECT l.store_id, l.product_id, l.id AS lot_id, l.remaining, l.unit_cost, sum(u.quantity)::bigint AS net,
       NULL::bigint AS purchase_line_id
FROM stock_movement m JOIN lot_use u ON u.movement_id = m.id JOIN stock_lot l ON l.id = u.lot_id
WHERE m.import_id = $1
GROUP BY l.id HAVING sum(u.quantity) <> 0
ORDER BY l.store_id, l.product_id, l.id
"""
KEYS = "SELECT DISTINCT store_id, product_id FROM stock_movement WHERE import_id = $1"
# Who has bottles of lots and has not given them back.
TAKERS = """
WITH taken AS (
  SELECT u.lot_id, max(m.id) AS last,
         coalesce('invoice ' || i.number, 'import ' || m.import_id, lower(m.cause)) AS taker
  FROM lot_use u JOIN stock_movement m ON m.id = u.movement_id LEFT JOIN invoice i ON i.id = m.invoice_id
  WHERE u.lot_id = ANY($1) AND m.import_id IS DISTINCT FROM $2
  GROUP BY u.lot_id, taker HAVING sum(u.quantity) < 0
)
SELECT l.id AS lot_id, s.number AS store, p.sku, array_agg(t.taker ORDER BY t.last DESC) AS takers
FROM stock_lot l JOIN store s ON s.id = l.store_id JOIN product p ON p.id = l.product_id
LEFT JOIN taken t ON t.lot_id = l.id
WHERE l.id = ANY($1)
GROUP BY l.id, s.number, p.sku ORDER BY s.number, p.sku, l.id
"""
MAX_TAKERS = 5


@dataclass(frozen=True, slots=True)
class LotBalance:
    """What an import has brought into a lot on balance (negative: taken out)."""

    key: StockKey
    lot_id: int
    remaining: int
    unit_cost: int
    net: int
    purchase_line_id: int | None


async def return_bottles(
    connection: asyncpg.Connection,
    import_id: int,
    cause: MovementCause = MovementCause.IMPORT_REVERT,
    *,
    query: str = NET,
    keys: str = KEYS,
) -> None:
    """Post the opposite of what an import's movements come to in each lot.

    Args:
        connection: in a transaction.
        import_id: the import.
        cause: why.
        query: the balances of lots; run again when the levels are locked.
        keys: the levels to lock.

    Raises:
        Blocked: bottles that are to go are gone already.
    """
    levels = [(row["store_id"], row["product_id"]) for row in await connection.fetch(keys, import_id)]
    if not levels:
        return
    await lock_levels(connection, levels)
    balances = [_balance(row) for row in await connection.fetch(query, import_id)]
    gone = {balance.lot_id: balance for balance in balances if balance.net > balance.remaining}
    if gone:
        raise Blocked(
            [_blocker(row, gone[row["lot_id"]]) for row in await connection.fetch(TAKERS, [*gone], import_id)]
        )
    await post(connection, list(_opposites(balances)), Entry(cause, import_id=import_id))


def _balance(row: asyncpg.Record) -> LotBalance:
    key = row["store_id"], row["product_id"]
    return LotBalance(key, row["lot_id"], row["remaining"], row["unit_cost"], row["net"], row["purchase_line_id"])


def _blocker(row: asyncpg.Record, balance: LotBalance) -> str:
    takers: Sequence[str] = [taker for taker in row["takers"] if taker]
    rest = f" and {len(takers) - MAX_TAKERS} more" if len(takers) > MAX_TAKERS else ""
    by = f": {', '.join(takers[:MAX_TAKERS])}{rest}" if takers else ""
    return (
        f"Of {balance.net} bottles of product {row['sku']} that store {row['store']} got, "
        f"{balance.net - balance.remaining} are gone{by}."
    )


def _opposites(balances: Iterable[LotBalance]) -> Iterable[Movement]:
    """A movement for each level, purchase line and direction."""

    def together(balance: LotBalance) -> tuple[StockKey, int, int]:
        return balance.key, balance.purchase_line_id or 0, 1 if balance.net < 0 else -1

    for (key, line, sign), group in groupby(sorted(balances, key=together), key=together):
        pieces = [Piece(balance.lot_id, abs(balance.net), balance.unit_cost) for balance in group]
        yield Movement(key, pieces, sign, purchase_line_id=line or None)


async def undo_counts(connection: asyncpg.Connection, import_id: int) -> None:
    """Take back the differences that a file of counted stock has posted.

    Raises:
        Blocked: bottles that it found are gone.
    """
    await return_bottles(connection, import_id)
    await connection.execute("DELETE FROM import_count WHERE import_id = $1", import_id)
