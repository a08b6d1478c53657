"""Files of counted stock: each row says how many bottles a store has of a product; the difference is posted.

A row is posted once: it speaks of the moment of the count, and stock that has moved since must not be moved back when
the same file comes again.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import asyncpg

from graphql_api.database.stock import MovementCause
from graphql_api.imports.known import Known, find_known
from graphql_api.imports.layout import Field
from graphql_api.imports.load import LoadOptions
from graphql_api.imports.purchase_rows import SEPARATOR
from graphql_api.imports.rejects import Reject, RejectCode
from graphql_api.imports.row_loader import RowLoader, Written
from graphql_api.imports.rows import FileRows
from graphql_api.ledger.book import lock_levels, newest_costs
from graphql_api.ledger.entries import Demand, Entry, Level, Receipt, StockKey
from graphql_api.ledger.moves import receive, take

COUNTED_BEFORE = "SELECT record FROM import_count WHERE file = $1 AND record = ANY($2)"
REMEMBER = (
    "INSERT INTO import_count (file, record, import_id) SELECT $1, record, $3 FROM unnest($2::bigint[]) AS f (record)"
)
UNEXPECTED = "The store has {on_hand:,} bottles by now; count again, or leave the expected quantity out."
NO_COST = "There are {surplus:,} bottles more than in the books; say what a bottle cost, or give the product a cost."


@dataclass(frozen=True, slots=True)
class _Count:
    """A row whose store and product exist, in cents a bottle; the cost is that of the newest lot unless given."""

    index: int
    key: StockKey
    counted: int
    expected: int | None
    unit_cost: int | None
    product_cost: int | None
    expires_on: dt.date | None


async def _write(
    connection: asyncpg.Connection, rows: FileRows, chosen: Sequence[int], options: LoadOptions
) -> Written:
    written = Written()
    records = rows.record[list(chosen)].tolist()
    known = {row["record"] for row in await connection.fetch(COUNTED_BEFORE, options.file, records)}
    written.unchanged = len(known)
    fresh = [index for index, record in zip(chosen, records, strict=True) if record not in known]
    counts = await _read(connection, rows, fresh, written.rejects)
    levels = await lock_levels(connection, [count.key for count in counts], make=True)
    newest = await newest_costs(connection, levels)
    counts = [
        replace(count, unit_cost=newest.get(count.key, count.product_cost)) if count.unit_cost is None else count
        for count in counts
    ]
    counts = _refuse(rows, counts, levels, written.rejects)
    await connection.execute(
        REMEMBER, options.file, [int(rows.record[count.index]) for count in counts], options.import_id
    )
    await _post(connection, counts, levels, options)
    written.inserted = sum(count.counted != levels[count.key].on_hand for count in counts)
    written.unchanged += len(counts) - written.inserted
    return written


async def _read(
    connection: asyncpg.Connection, rows: FileRows, chosen: Sequence[int], rejects: list[Reject]
) -> list[_Count]:
    numbers, skus = rows.chosen(Field.STORE_NUMBER, chosen), rows.chosen(Field.SKU, chosen)
    known = await find_known(connection, numbers, skus)
    cells = (rows.chosen(field, chosen) for field in (Field.COUNTED, Field.EXPECTED, Field.UNIT_COST, Field.EXPIRES_ON))
    counts = []
    for index, number, sku, counted, expected, unit_cost, expires_on in zip(chosen, numbers, skus, *cells, strict=True):
        if (refusal := known.refusal(rows, index, number, sku)) is not None:
            rejects.append(refusal)
            continue
        counts.append(_count(known, index, number, sku, counted, expected, unit_cost, expires_on))
    return counts


def _count(  # noqa: PLR0913, PLR0917 - the cells of a row
    known: Known,
    index: int,
    number: int,
    sku: str,
    counted: int,
    expected: int | None,
    unit_cost: int | None,
    expires_on: dt.date | None,
) -> _Count:
    product = known.products[sku]
    key = known.stores[number], product.id
    return _Count(index, key, counted, expected, unit_cost, product.unit_cost, expires_on)


def _refuse(
    rows: FileRows, counts: Sequence[_Count], levels: Mapping[StockKey, Level], rejects: list[Reject]
) -> list[_Count]:
    """The counts that can be posted."""
    good = []
    for count in counts:
        on_hand = levels[count.key].on_hand
        if count.expected is not None and count.expected != on_hand:
            hint = UNEXPECTED.format(on_hand=on_hand)
            rejects.append(rows.reject(count.index, RejectCode.STOCK_CHANGED, Field.EXPECTED, hint))
        elif count.counted > on_hand and count.unit_cost is None:
            hint = NO_COST.format(surplus=count.counted - on_hand)
            rejects.append(rows.reject(count.index, RejectCode.MISSING_VALUE, Field.UNIT_COST, hint))
        else:
            good.append(count)
    return good


async def _post(
    connection: asyncpg.Connection,
    counts: Sequence[_Count],
    levels: Mapping[StockKey, Level],
    options: LoadOptions,
) -> None:
    """What is missing leaves the lots that would be sold first; what is found becomes a lot of its own."""
    entry = Entry(MovementCause.COUNT, actor_id=options.actor_id, import_id=options.import_id)
    differences = [(count, count.counted - levels[count.key].on_hand) for count in counts]
    missing = [Demand(*count.key, -difference) for count, difference in differences if difference < 0]
    today = dt.datetime.now(dt.UTC).date()
    found = [
        Receipt(*count.key, difference, count.unit_cost or 0, today, count.expires_on)
        for count, difference in differences
        if difference > 0
    ]
    if missing:
        await take(connection, missing, entry)
    if found:
        await receive(connection, found, entry)


def _keys(rows: FileRows) -> list[str]:
    pairs = zip(rows.values(Field.STORE_NUMBER), rows.values(Field.SKU), strict=True)
    return [f"{store}{SEPARATOR}{sku}" for store, sku in pairs]


COUNT_ROWS = RowLoader("product of this store", Field.SKU, _keys, _write)
