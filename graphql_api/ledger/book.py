"""The ledger's statements. They run on a connection whose transaction the caller has opened and will end.

Locks come first and in one order, stores before products, so that two postings never wait for each other in a circle.
What every sale asks is a function of the database (migration 0006): its plan is made once for a connection, where the
same statement would be planned anew each time, which took longer than running it.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

import asyncpg

from graphql_api.ledger.allocation import Lot, Piece
from graphql_api.ledger.entries import Entry, Episode, Level, Movement, Posting, Receipt, StockKey

# A level must be there to be locked.
MAKE_LEVELS = """
INSERT INTO stock_level (store_id, product_id)
SELECT DISTINCT k.store_id, k.product_id FROM unnest($1::bigint[], $2::bigint[]) AS k (store_id, product_id)
ORDER BY 1, 2 ON CONFLICT DO NOTHING
"""
LOCK_LEVELS = "SELECT store_id, product_id, on_hand, value FROM lock_stock_levels($1, $2)"
# Whoever holds the levels holds their lots. An expired lot is one whose day is past.
OPEN_LOTS = """
SELECT store_id, product_id, id, remaining, unit_cost, expires_on, received_on FROM open_stock_lots($1, $2, $3, $4)
"""
CERTAIN_LOTS = """
SELECT l.store_id, l.product_id, l.id, l.remaining, l.unit_cost, l.expires_on, l.received_on
FROM stock_lot l WHERE l.id = ANY($1::bigint[])
"""
NEWEST_COSTS = """
SELECT k.store_id, k.product_id, l.unit_cost
FROM unnest($1::bigint[], $2::bigint[]) AS k (store_id, product_id)
CROSS JOIN LATERAL (
  SELECT o.unit_cost FROM stock_lot o WHERE o.store_id = k.store_id AND o.product_id = k.product_id
  ORDER BY o.id DESC LIMIT 1
) l
"""
# What lines still have from which lots, the last taken first: that is what goes back first.
LOTS_OF_LINES = """
SELECT m.line_number, u.lot_id, -sum(u.quantity) AS held, l.unit_cost
FROM stock_movement m JOIN lot_use u ON u.movement_id = m.id JOIN stock_lot l ON l.id = u.lot_id
WHERE m.line_number = ANY($2::int[])
  AND m.invoice_id = ANY(ARRAY(SELECT id FROM invoice WHERE id = $1 OR credit_of = $1))
GROUP BY m.line_number, u.lot_id, l.id
HAVING sum(u.quantity) < 0
ORDER BY m.line_number, max(m.id) DESC, l.expires_on DESC NULLS FIRST, l.received_on DESC, l.id DESC
"""
MAKE_LOTS = """
INSERT INTO stock_lot (store_id, product_id, received, unit_cost, received_on, expires_on, purchase_line_id,
                       source_lot_id)
SELECT f.store_id, f.product_id, f.received, f.unit_cost, f.received_on, f.expires_on, f.purchase_line_id,
       f.source_lot_id
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::date[], $6::date[], $7::bigint[], $8::bigint[])
  WITH ORDINALITY AS f (store_id, product_id, received, unit_cost, received_on, expires_on, purchase_line_id,
                        source_lot_id, position)
ORDER BY f.position
RETURNING id
"""
# Identities are given in the order of the rows, so that the n-th id belongs to the n-th movement.
POST = """
WITH posted AS (
  INSERT INTO stock_movement (store_id, product_id, quantity, cost, cause, reason, actor_id, import_id,
                              invoice_id, line_number, purchase_line_id, transfer_of)
  SELECT f.store_id, f.product_id, f.quantity, f.cost, $9, $10, $11, $12,
         f.invoice_id, f.line_number, f.purchase_line_id, f.transfer_of
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::int[], $7::bigint[],
              $8::bigint[])
    WITH ORDINALITY AS f (store_id, product_id, quantity, cost, invoice_id, line_number, purchase_line_id,
                          transfer_of, position)
  ORDER BY f.position
  RETURNING id
), numbered AS (SELECT array_agg(id ORDER BY id) AS ids FROM posted)
, used AS (
  -- by place in an array: the planner takes every array for a short one, and would join a long one in loops
  INSERT INTO lot_use (movement_id, lot_id, quantity)
  SELECT n.ids[f.position], f.lot_id, f.quantity
  FROM numbered n, unnest($13::int[], $14::bigint[], $15::bigint[]) AS f (position, lot_id, quantity)
)
SELECT unnest(ids) AS id FROM numbered
"""
# A level is low at its threshold. It has one open episode, which ends when it rises above.
WATCH = "SELECT id, store_id, product_id, on_hand, threshold FROM watch_stock_levels($1, $2)"


def _columns(keys: Iterable[StockKey]) -> tuple[list[int], list[int]]:
    """Distinct keys in the order of locking, as the two arrays that statements take."""
    ordered = sorted(set(keys))
    return [store for store, _ in ordered], [product for _, product in ordered]


async def lock_levels(
    connection: asyncpg.Connection, keys: Iterable[StockKey], *, make: bool = False
) -> dict[StockKey, Level]:
    """Keep the levels as they are for everybody else until the transaction ends.

    Args:
        connection: in a transaction.
        keys: stores and products in any order.
        make: have levels that do not exist begin, with nothing in them; otherwise they are left out.
    """
    columns = _columns(keys)
    if make:
        await connection.execute(MAKE_LEVELS, *columns)
    rows = await connection.fetch(LOCK_LEVELS, *columns)
    return {(row["store_id"], row["product_id"]): Level(row["on_hand"], row["value"]) for row in rows}


async def open_lots(
    connection: asyncpg.Connection, wanted: Mapping[StockKey, int], *, usable_on: dt.date | None = None
) -> dict[StockKey, list[Lot]]:
    """Lots with something in them, in the order in which they are used; the caller holds the levels.

    Args:
        connection: in a transaction.
        wanted: bottles by store and product; each is in the answer, with lots for so many or with all it has.
        usable_on: leave out lots that have expired before this day.
    """
    stores, products = _columns(wanted)
    lots: dict[StockKey, list[Lot]] = {key: [] for key in zip(stores, products, strict=True)}
    quantities = [wanted[key] for key in lots]
    for row in await connection.fetch(OPEN_LOTS, stores, products, quantities, usable_on):
        lots[row["store_id"], row["product_id"]].append(_lot(row))
    return lots


async def certain_lots(connection: asyncpg.Connection, ids: Sequence[int]) -> dict[tuple[StockKey, int], Lot]:
    """These lots by store, product and id; the caller holds the levels."""
    rows = await connection.fetch(CERTAIN_LOTS, list(ids))
    return {((row["store_id"], row["product_id"]), row["id"]): _lot(row) for row in rows}


def _lot(row: asyncpg.Record) -> Lot:
    return Lot(row["id"], row["remaining"], row["unit_cost"], row["received_on"], row["expires_on"])


async def newest_costs(connection: asyncpg.Connection, keys: Iterable[StockKey]) -> dict[StockKey, int]:
    """Cents a bottle of the newest lot of each store and product that has ever had one."""
    rows = await connection.fetch(NEWEST_COSTS, *_columns(keys))
    return {(row["store_id"], row["product_id"]): row["unit_cost"] for row in rows}


async def lots_of_lines(
    connection: asyncpg.Connection, invoice_id: int, line_numbers: Sequence[int]
) -> dict[int, list[Lot]]:
    """What lines of an invoice have taken and not given back, by line; what goes back first comes first."""
    lots: dict[int, list[Lot]] = {number: [] for number in line_numbers}
    for row in await connection.fetch(LOTS_OF_LINES, invoice_id, list(line_numbers)):
        lots[row["line_number"]].append(Lot(row["lot_id"], int(row["held"]), row["unit_cost"]))
    return lots


async def make_lots(connection: asyncpg.Connection, receipts: Sequence[Receipt]) -> list[Piece]:
    """A new lot for each receipt, empty until a movement fills it; answers what is to be filled in."""
    columns: Mapping[str, list[object]] = {
        name: [getattr(receipt, name) for receipt in receipts]
        for name in (
            "store_id", "product_id", "quantity", "unit_cost", "received_on", "expires_on", "purchase_line_id",
            "source_lot_id",
        )
    }  # fmt: skip
    rows = await connection.fetch(MAKE_LOTS, *columns.values())
    ids = sorted(row["id"] for row in rows)
    return [Piece(lot_id, r.quantity, r.unit_cost) for lot_id, r in zip(ids, receipts, strict=True)]


async def post(connection: asyncpg.Connection, movements: Sequence[Movement], entry: Entry) -> Posting:
    """Write movements and the lots they use; the database brings levels and lots up to date.

    Raises:
        asyncpg.CheckViolationError: a level or a lot would fall below zero, which whoever holds the levels prevents.
    """
    if not movements:
        return Posting()
    uses = [(place, m.sign, piece) for place, m in enumerate(movements, start=1) for piece in m.pieces]
    rows = await connection.fetch(
        POST,
        [m.key[0] for m in movements],
        [m.key[1] for m in movements],
        [m.quantity for m in movements],
        [m.cost for m in movements],
        [m.invoice_id for m in movements],
        [m.line_number for m in movements],
        [m.purchase_line_id for m in movements],
        [m.transfer_of for m in movements],
        entry.cause.value,
        entry.reason,
        entry.actor_id,
        entry.import_id,
        [place for place, _, _ in uses],
        [piece.lot_id for _, _, piece in uses],
        [sign * piece.quantity for _, sign, piece in uses],
    )
    opened = await watch_levels(connection, [m.key for m in movements])
    return Posting(movements, [row["id"] for row in rows], opened)


async def watch_levels(connection: asyncpg.Connection, keys: Iterable[StockKey]) -> list[Episode]:
    """Open and resolve episodes of low stock as the levels now are; answers those opened."""
    return [Episode(**row) for row in await connection.fetch(WATCH, *_columns(keys))]
