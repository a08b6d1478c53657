"""What one block of a sales file says: stores, places, products and lines, ready to be loaded."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from graphql_api.imports.columns import ColumnMap
from graphql_api.imports.layout import Field
from graphql_api.imports.rejects import Reject, RejectCode
from graphql_api.imports.source import Checkpoint

Integers = NDArray[np.int64]
Indices = NDArray[np.int32]
Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class PlaceFacts:
    """Where sales happened. City and county are upper case; None is what the file left empty."""

    city: str | None
    zip_code: str | None
    county_number: int | None
    county_name: str | None


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """A store as the block first tells of it. `place` is an index into the block's places."""

    number: int
    name: str | None
    address: str | None
    latitude: Decimal | None
    longitude: Decimal | None
    place: int


@dataclass(frozen=True, slots=True)
class ProductFacts:
    """A product as the block first tells of it. Cost and price are cents a bottle, the volume is of one."""

    sku: str
    name: str | None
    category_number: int | None
    category_name: str | None
    vendor_number: int | None
    vendor_name: str | None
    pack: int | None
    volume_ml: int | None
    unit_cost: int
    unit_price: int


@dataclass(frozen=True)
class LineSource:
    """The way back from a line to its record in the file."""

    columns: ColumnMap
    fields_of: Callable[[int], list[str]]  # index of a record in its block → the original fields

    def reject(  # noqa: PLR0913, PLR0917 - what a reject consists of
        self, position: int, line: int, record: int, code: RejectCode, column: Field, hint: str
    ) -> Reject:
        """A reject of the record at a position of its block on account of one column."""
        fields = self.fields_of(position)
        place = self.columns.positions.get(column)
        return Reject(
            line=line,
            record=record,
            column=None if place is None else self.columns.header[place],
            code=code,
            value="" if place is None else fields[place],
            hint=hint,
            fields=fields,
        )


@dataclass(frozen=True)
class SalesLines:
    """The invoice lines of a block as columns of equal length, in file order. Money is in cents.

    `record` is the number of the data record and `line` the physical line of the file, both from 1. `store`,
    `place` and `product` are indices into the lists of the block. `volume_ml` is the volume of the whole
    line, 0 where `volume_known` is false. `revenue` is what the file says was taken; where it differs from
    `quantity * unit_price` the difference is the line's discount.
    """

    record: Integers
    line: Integers
    invoice_number: pa.LargeStringArray
    line_number: Indices
    store: Indices
    place: Indices
    product: Indices
    date: NDArray[np.datetime64]
    quantity: Integers
    unit_price: Integers
    revenue: Integers
    cost: Integers
    volume_ml: Integers
    volume_known: NDArray[np.bool_]
    hashes: Hashes = field(repr=False)
    position: Integers = field(repr=False)  # index of the line's record in the block
    source: LineSource = field(repr=False)

    def __len__(self) -> int:
        return len(self.record)

    @property
    def header(self) -> tuple[str, ...]:
        """The header of the file."""
        return self.source.columns.header

    def content_hash(self) -> Hashes:
        """A hash per line over store, place, date, item, quantity, price, revenue and cost.

        It is the same in every process and run, and tells whether a line known by its id has changed.
        """
        return self.hashes

    def fields(self, index: int) -> list[str]:
        """The original fields of a line."""
        return self.source.fields_of(int(self.position[index]))

    def reject(self, index: int, code: RejectCode, column: Field, hint: str) -> Reject:
        """A reject of a line on account of one column."""
        return self.source.reject(
            int(self.position[index]), int(self.line[index]), int(self.record[index]), code, column, hint
        )

    def take(self, indices: Integers) -> Self:
        """Some of the lines. Their indices of store, place and product stay as they are."""
        columns: dict[str, Any] = {
            name: column.take(indices)
            for name, column in vars(self).items()
            if isinstance(column, (np.ndarray, pa.Array))
        }
        return replace(self, **columns)


@dataclass(frozen=True)
class SalesBlock:
    """One block of a sales file, checked.

    `next` is where the following block begins; `rows_read` counts all records of the block:
    `len(lines) + repeated + len(rejects)`. `repeated` counts lines that say again what an earlier line of the
    block said; they are dropped. `rejects` has one entry per refused record, in file order.
    """

    next: Checkpoint
    rows_read: int
    repeated: int
    rejects: list[Reject]
    stores: list[StoreFacts]
    places: list[PlaceFacts]
    products: list[ProductFacts]
    lines: SalesLines
