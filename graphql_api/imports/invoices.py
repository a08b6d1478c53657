"""Invoices of a block: found or created, and the lines that contradict them."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
import numpy as np
from numpy.typing import NDArray

from graphql_api.imports.layout import Field
from graphql_api.imports.rejects import Reject, RejectCode
from graphql_api.imports.sales_block import Indices, Integers, SalesLines

KNOWN = "SELECT number, id, store_id, date, import_id FROM invoice WHERE number = ANY($1)"
CREATE = """
INSERT INTO invoice (number, store_id, date, status, import_id)
SELECT f.number, f.store_id, f.date, 'PAID', $4
FROM unnest($1::text[], $2::bigint[], $3::date[]) AS f (number, store_id, date)
RETURNING number, id
"""
NO_ID = 0


@dataclass(frozen=True)
class BlockInvoices:
    """The distinct invoices of a block; `code` leads from a line to its invoice.

    `ids` holds NO_ID for invoices that do not exist yet, `imports` the job that created the others (NO_ID: by hand);
    `refused` marks the lines that contradict their invoice.
    """

    numbers: list[str]
    code: Indices
    ids: Integers
    imports: Integers
    stores: Integers
    dates: NDArray[np.datetime64]
    refused: NDArray[np.bool_]
    rejects: list[Reject]

    def existed(self, *, besides: int | None = None) -> Integers:
        """Positions of the lines whose invoice was there before this block, `besides` those of one import."""
        known = self.ids != NO_ID
        if besides is not None:
            known &= self.imports != besides
        return np.flatnonzero(known[self.code] & ~self.refused)


Owner = tuple[int, dt.date]


async def find_invoices(
    connection: asyncpg.Connection, lines: SalesLines, stores: Integers, seen: Mapping[str, Owner]
) -> BlockInvoices:
    """Look the invoices of a block up; the first line of a new invoice decides its store and date.

    `seen` gives store id and date of invoices that an earlier block of a dry run would have created.
    """
    encoded = lines.invoice_number.dictionary_encode()
    numbers: list[str] = encoded.dictionary.to_pylist()
    code = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int32)
    first = np.full(len(numbers), len(code), dtype=np.int64)
    np.minimum.at(first, code, np.arange(len(code)))
    ids, imports = np.full(len(numbers), NO_ID), np.full(len(numbers), NO_ID)
    owners, dates = stores[first], lines.date[first].copy()
    position = {number: index for index, number in enumerate(numbers)}
    for number, (store_id, date) in seen.items():
        owners[position[number]], dates[position[number]] = store_id, date
    for number, row_id, store_id, date, import_id in await connection.fetch(KNOWN, numbers):
        index = position[number]
        ids[index], owners[index], imports[index], dates[index] = row_id, store_id, import_id or NO_ID, date
    foreign = ((ids != NO_ID) & (imports == NO_ID))[code]
    other = (owners[code] != stores) | (dates[code] != lines.date)
    rejects = [_not_imported(lines, int(index)) for index in np.flatnonzero(foreign)]
    rejects += [_contradiction(lines, int(index)) for index in np.flatnonzero(other & ~foreign)]
    return BlockInvoices(numbers, code, ids, imports, owners, dates, foreign | other, rejects)


def _not_imported(lines: SalesLines, index: int) -> Reject:
    return lines.reject(
        index,
        RejectCode.INVOICE_NOT_IMPORTED,
        Field.LINE_ID,
        "An invoice of this number was written in this system; give the line another id.",
    )


def _contradiction(lines: SalesLines, index: int) -> Reject:
    return lines.reject(
        index,
        RejectCode.INVOICE_CONFLICT,
        Field.LINE_ID,
        "The other lines of this invoice have another store or date; correct this line or give it another id.",
    )


async def create_invoices(
    connection: asyncpg.Connection, invoices: BlockInvoices, wanted: Integers, import_id: int
) -> None:
    """Create those invoices of the lines at `wanted` that do not exist yet and note their ids in `invoices.ids`."""
    needed = np.zeros(len(invoices.numbers), np.bool_)
    needed[invoices.code[wanted]] = True
    missing = np.flatnonzero(needed & (invoices.ids == NO_ID))
    if not len(missing):
        return
    numbers = [invoices.numbers[index] for index in missing]
    dates: list[Any] = invoices.dates[missing].astype("datetime64[D]").astype(object).tolist()
    rows = await connection.fetch(CREATE, numbers, invoices.stores[missing].tolist(), dates, import_id)
    created = {row["number"]: row["id"] for row in rows}
    invoices.ids[missing] = [created[number] for number in numbers]
