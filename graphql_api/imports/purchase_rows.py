"""Rows of purchases with the keys of all that they speak of.

A line is known by the number of its purchase and its line number, or without one by its product and expiry date.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg
import numpy as np

from graphql_api.imports.content_hash import hash_texts
from graphql_api.imports.known import Known, find_known
from graphql_api.imports.layout import Field
from graphql_api.imports.load import LoadOptions
from graphql_api.imports.names import NameFact, resolve_names
from graphql_api.imports.rejects import Reject, RejectCode
from graphql_api.imports.rows import FileRows

SEPARATOR = "\x1f"
# Where it is tomorrow already, goods may have come before that day begins in UTC.
AHEAD_OF_UTC = dt.timedelta(days=1)
NO_LINE_NUMBER = "Number the line, or remove the column of line numbers."
LATE_RECEIPT = "Purchases are received on a day that is not in the future."
EARLY_EXPIRY = "The bottles expire before they came; correct one of the dates."
CELLS = (
    Field.PURCHASE_NUMBER,
    Field.LINE_NUMBER,
    Field.STORE_NUMBER,
    Field.DATE,
    Field.VENDOR_NUMBER,
    Field.VENDOR_NAME,
    Field.SKU,
    Field.QUANTITY,
    Field.UNIT_COST,
    Field.EXPIRES_ON,
)


@dataclass(frozen=True, slots=True)
class PurchaseLine:
    """A row whose store and product exist; `head` is a hash of what all rows of a purchase must agree in."""

    index: int
    reference: str
    identity: str
    number: int | None
    store_id: int
    date: dt.date
    vendor_id: int
    head: int
    product_id: int
    quantity: int
    unit_cost: int
    expires_on: dt.date | None


def identities(rows: FileRows) -> list[str]:
    """What each row is known by within its purchase."""
    parts = zip(rows.values(Field.LINE_NUMBER), rows.values(Field.SKU), rows.values(Field.EXPIRES_ON), strict=True)
    return [
        f"{sku}{SEPARATOR}{expires_on or ''}" if number is None else f"#{number}" for number, sku, expires_on in parts
    ]


def keys(rows: FileRows) -> list[str]:
    """What each row is known by."""
    references = rows.values(Field.PURCHASE_NUMBER)
    return [f"{reference}{SEPARATOR}{own}" for reference, own in zip(references, identities(rows), strict=True)]


async def read_lines(
    connection: asyncpg.Connection, rows: FileRows, chosen: Sequence[int], options: LoadOptions, rejects: list[Reject]
) -> list[PurchaseLine]:
    """The rows that speak of stores and products that exist, on days that can be; the others are refused."""
    numbers, skus = rows.chosen(Field.STORE_NUMBER, chosen), rows.chosen(Field.SKU, chosen)
    known = await find_known(connection, numbers, skus)
    refused = {
        index: refusal
        for index, number, sku in zip(chosen, numbers, skus, strict=True)
        if (refusal := known.refusal(rows, index, number, sku) or _contradiction(rows, index)) is not None
    }
    rejects += refused.values()
    good = [index for index in chosen if index not in refused]
    vendors = zip(rows.chosen(Field.VENDOR_NUMBER, good), rows.chosen(Field.VENDOR_NAME, good), strict=True)
    return _lines(rows, good, known, await resolve_names(connection, "vendor", vendors, options.import_id))


def _contradiction(rows: FileRows, index: int) -> Reject | None:
    (number,) = rows.chosen(Field.LINE_NUMBER, [index])
    if number is None and Field.LINE_NUMBER in rows.source.columns:
        return rows.reject(index, RejectCode.MISSING_VALUE, Field.LINE_NUMBER, NO_LINE_NUMBER)
    (date,), (expires_on,) = rows.chosen(Field.DATE, [index]), rows.chosen(Field.EXPIRES_ON, [index])
    if date > dt.datetime.now(dt.UTC).date() + AHEAD_OF_UTC:
        return rows.reject(index, RejectCode.OUT_OF_RANGE, Field.DATE, LATE_RECEIPT)
    if expires_on is not None and expires_on < date:
        return rows.reject(index, RejectCode.OUT_OF_RANGE, Field.EXPIRES_ON, EARLY_EXPIRY)
    return None


def _lines(
    rows: FileRows, chosen: Sequence[int], known: Known, vendor_ids: Mapping[NameFact, int | None]
) -> list[PurchaseLine]:
    cells = list(zip(*(rows.chosen(field, chosen) for field in CELLS), strict=True))
    # a vendor is its number where the file has one; ids would not last from block to block of a dry run
    heads = hash_texts(
        repr((store, date, name if vendor is None else vendor)) for _, _, store, date, vendor, name, *_ in cells
    )
    own = identities(rows)
    return [
        PurchaseLine(
            index, reference, own[index], number, known.stores[store], date, vendor_ids[vendor, name] or 0, head,
            known.products[sku].id, quantity, unit_cost, expires_on,
        )
        for index, head, (reference, number, store, date, vendor, name, sku, quantity, unit_cost, expires_on) in zip(
            chosen, heads.view(np.int64).tolist(), cells, strict=True
        )
    ]  # fmt: skip
