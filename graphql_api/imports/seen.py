"""What a running job has met but not written: how a repeat in a later block of the file is found."""

import datetime as dt
from collections.abc import Mapping, Sequence

import asyncpg
import numpy as np
from numpy.typing import NDArray

from graphql_api.imports.sales_block import Integers, SalesBlock, SalesLines

# Line numbers are never negative; this one stands for the invoice itself, and -2 for bottles.
INVOICE = -1
DAYS = 1_000_000
EPOCH = dt.date(1970, 1, 1)
UNKNOWN_STORE = -1

INVOICES = """
SELECT invoice_number, content FROM import_seen
WHERE import_id = $1 AND line_number = -1 AND invoice_number = ANY($2)
"""

MATCHES = """
SELECT k.position, s.content = k.content AS same
FROM unnest($1::int[], $2::text[], $3::int[], $4::bigint[]) AS k (position, invoice_number, line_number, content)
JOIN import_seen s ON s.import_id = $5 AND s.invoice_number = k.invoice_number AND s.line_number = k.line_number
"""
REMEMBER = """
INSERT INTO import_seen (import_id, invoice_number, line_number, content)
SELECT $1, f.* FROM unnest($2::text[], $3::int[], $4::bigint[]) AS f ON CONFLICT DO NOTHING
"""
FIND_STOCK = """
SELECT invoice_number, content FROM import_seen
WHERE import_id = $1 AND line_number = -2 AND invoice_number = ANY($2)
"""
ADD_STOCK = """
INSERT INTO import_seen AS s (import_id, invoice_number, line_number, content)
SELECT $1, f.name, -2, f.quantity FROM unnest($2::text[], $3::bigint[]) AS f (name, quantity)
ON CONFLICT (import_id, invoice_number, line_number) DO UPDATE SET content = s.content + excluded.content
"""
Columns = tuple[list[str], list[int], list[int]]


def line_columns(lines: SalesLines, chosen: Integers) -> Columns:
    """Invoice number, line number and content hash of the chosen lines."""
    content = lines.content_hash()[chosen].view(np.int64).tolist()
    return lines.invoice_number.take(chosen).to_pylist(), lines.line_number[chosen].tolist(), content


async def find_invoice_owners(
    connection: asyncpg.Connection, import_id: int, block: SalesBlock, store_ids: Integers
) -> dict[str, tuple[int, dt.date]]:
    """Store id and date of the block's invoices that an earlier block of this dry run brought."""
    numbers = block.lines.invoice_number.unique().to_pylist()
    ids = {store.number: int(row_id) for store, row_id in zip(block.stores, store_ids, strict=True)}
    owners = {}
    for number, content in await connection.fetch(INVOICES, import_id, numbers):
        store, days = divmod(content, DAYS)
        owners[number] = ids.get(store, UNKNOWN_STORE), EPOCH + dt.timedelta(days)
    return owners


def invoice_columns(block: SalesBlock, chosen: Integers) -> Columns:
    """Invoice number, the mark of an invoice, and its store number and date as one number, of the chosen lines."""
    stores = np.array([store.number for store in block.stores], np.int64)
    days = block.lines.date[chosen].astype("datetime64[D]").astype(np.int64)
    content = stores[block.lines.store[chosen]] * DAYS + days
    return block.lines.invoice_number.take(chosen).to_pylist(), [INVOICE] * len(chosen), content.tolist()


async def find_matches(
    connection: asyncpg.Connection, import_id: int, chosen: Integers, columns: Columns
) -> tuple[Integers, NDArray[np.bool_]]:
    """Positions of the chosen lines that were seen before, and whether they said the same."""
    rows = await connection.fetch(MATCHES, chosen.tolist(), *columns, import_id) if len(chosen) else []
    return np.array([row[0] for row in rows], np.int64), np.array([row[1] for row in rows], np.bool_)


async def remember(connection: asyncpg.Connection, import_id: int, columns: Columns) -> None:
    """Note what was seen; the first to say something stays."""
    if columns[0]:
        await connection.execute(REMEMBER, import_id, *columns)


async def find_stock(connection: asyncpg.Connection, import_id: int, names: Sequence[str]) -> dict[str, int]:
    """Bottles noted under these names."""
    rows = await connection.fetch(FIND_STOCK, import_id, list(names))
    return {row["invoice_number"]: row["content"] for row in rows}


async def add_stock(connection: asyncpg.Connection, import_id: int, quantities: Mapping[str, int]) -> None:
    """Note further bottles."""
    if quantities:
        await connection.execute(ADD_STOCK, import_id, list(quantities), list(quantities.values()))


async def forget(connection: asyncpg.Connection, import_id: int) -> None:
    """Drop the notes of a job that has ended."""
    await connection.execute("DELETE FROM import_seen WHERE import_id = $1", import_id)
