"""Lines of a block against `invoice_line`: compare, insert, replace."""

from dataclasses import dataclass
from io import BytesIO

import asyncpg
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

from graphql_api.imports.invoices import BlockInvoices
from graphql_api.imports.resolver import NO_VOLUME, ResolvedReferences
from graphql_api.imports.sales_block import Integers, SalesLines

COLUMNS = (
    "invoice_id", "line_number", "store_id", "place_id", "product_id", "date", "quantity",
    "unit_price", "discount", "revenue", "cost", "volume_ml", "import_id",
)  # fmt: skip

# The invoice's store and date are compared before; the rest of what a line says is compared here. The volume is
# left out: where a file does not give it, it depends on what was known of the product on that day.
#
# The cost of a line that took bottles from stock is what those had cost, not what the file says.
#
# A line is this import's own, too, when a younger import running at the same time has replaced it since.
COMPARE = """
SELECT k.position, l.import_id = $10 OR (l.import_id > $10 AND EXISTS (
  SELECT FROM import_change c WHERE c.invoice_id = l.invoice_id AND c.line_number = l.line_number
    AND (c.import_id = $10 OR (c.import_id = l.import_id AND c.previous_import_id = $10)))) AS ours, concat_ws(', ',
  CASE WHEN l.place_id <> k.place_id THEN 'place' END, CASE WHEN l.product_id <> k.product_id THEN 'product' END,
  CASE WHEN l.quantity <> k.quantity THEN 'quantity' END, CASE WHEN l.unit_price <> k.unit_price THEN 'price' END,
  CASE WHEN l.revenue <> k.revenue THEN 'sale' END,
  CASE WHEN l.cost <> k.cost AND (l.import_id = ANY($11)) IS NOT TRUE THEN 'cost' END) AS differences,
  (l.import_id = ANY($11)) IS TRUE OR EXISTS (SELECT FROM invoice n WHERE n.credit_of = l.invoice_id) AS is_locked
FROM unnest($1::int[], $2::bigint[], $3::int[], $4::bigint[], $5::bigint[], $6::int[], $7::bigint[], $8::bigint[],
            $9::bigint[])
  AS k (position, invoice_id, line_number, place_id, product_id, quantity, unit_price, revenue, cost)
JOIN invoice_line l ON l.invoice_id = k.invoice_id AND l.line_number = k.line_number
"""
DEDUCTING = "SELECT id FROM import_job WHERE stock_effect = 'DEDUCT' AND NOT dry_run"
KEEP_BEFORE = """
INSERT INTO import_change (import_id, invoice_id, line_number, previous_import_id, before)
SELECT $1, l.invoice_id, l.line_number, l.import_id, to_jsonb(l)
FROM unnest($2::bigint[], $3::int[]) AS k (invoice_id, line_number)
JOIN invoice_line l ON l.invoice_id = k.invoice_id AND l.line_number = k.line_number
"""
REPLACE = """
UPDATE invoice_line l SET place_id = k.place_id, product_id = k.product_id, quantity = k.quantity,
  unit_price = k.unit_price, discount = k.quantity * k.unit_price - k.revenue, revenue = k.revenue, cost = k.cost,
  volume_ml = k.volume_ml, import_id = $1
FROM unnest($2::bigint[], $3::int[], $4::bigint[], $5::bigint[], $6::int[], $7::bigint[], $8::bigint[], $9::bigint[],
            $10::bigint[])
  AS k (invoice_id, line_number, place_id, product_id, quantity, unit_price, revenue, cost, volume_ml)
WHERE l.invoice_id = k.invoice_id AND l.line_number = k.line_number
"""


@dataclass(frozen=True)
class LineWriter:
    """The lines of one block, with the ids of everything they refer to."""

    connection: asyncpg.Connection
    import_id: int
    lines: SalesLines
    references: ResolvedReferences
    invoices: BlockInvoices

    async def compare(self, chosen: Integers) -> list[asyncpg.Record]:
        """Of the chosen lines that exist: position, whether this import wrote it, what differs ("" if nothing), lock.

        A line is locked when it has taken bottles from stock or is of an invoice that was credited.
        """
        if not len(chosen):
            return []
        deducting = [row["id"] for row in await self.connection.fetch(DEDUCTING)]
        return await self.connection.fetch(
            COMPARE, chosen.tolist(), *self._keys(chosen), *self._content(chosen), self.import_id, deducting
        )

    async def insert(self, chosen: Integers) -> None:
        """Copy new lines in, in the order of the primary key: index pages are then filled one after another."""
        if not len(chosen):
            return
        owners = self.invoices.ids[self.invoices.code[chosen]]
        ordered = chosen[np.lexsort((self.lines.line_number[chosen], owners))]
        buffer = BytesIO()
        arrow_csv.write_csv(self._table(ordered), buffer, arrow_csv.WriteOptions(include_header=False))
        buffer.seek(0)
        await self.connection.copy_to_table("invoice_line", source=buffer, columns=COLUMNS, format="csv")

    async def replace(self, chosen: Integers) -> None:
        """Put the chosen lines in the place of those with their ids, keeping what stood there."""
        if not len(chosen):
            return
        keys = self._keys(chosen)
        await self.connection.execute(KEEP_BEFORE, self.import_id, *keys)
        volume, known = self._volumes(chosen)
        volumes = [value if is_known else None for value, is_known in zip(volume.tolist(), known, strict=True)]
        await self.connection.execute(REPLACE, self.import_id, *keys, *self._content(chosen), volumes)

    def _keys(self, chosen: Integers) -> list[list[int]]:
        return [self.invoices.ids[self.invoices.code[chosen]].tolist(), self.lines.line_number[chosen].tolist()]

    def _content(self, chosen: Integers) -> list[list[int]]:
        lines = self.lines
        return [
            self.references.places[lines.place[chosen]].tolist(),
            self.references.products[lines.product[chosen]].tolist(),
            lines.quantity[chosen].tolist(),
            lines.unit_price[chosen].tolist(),
            lines.revenue[chosen].tolist(),
            lines.cost[chosen].tolist(),
        ]

    def _table(self, chosen: Integers) -> pa.Table:
        lines = self.lines
        quantity, price, revenue = lines.quantity[chosen], lines.unit_price[chosen], lines.revenue[chosen]
        volume, known = self._volumes(chosen)
        columns = [
            self.invoices.ids[self.invoices.code[chosen]],
            lines.line_number[chosen],
            self.references.stores[lines.store[chosen]],
            self.references.places[lines.place[chosen]],
            self.references.products[lines.product[chosen]],
            lines.date[chosen].astype("datetime64[D]"),
            quantity,
            price,
            quantity * price - revenue,
            revenue,
            lines.cost[chosen],
            pa.array(volume, mask=~known),
            np.full(len(chosen), self.import_id, np.int64),
        ]
        return pa.table([pa.array(column) for column in columns], names=COLUMNS)

    def _volumes(self, chosen: Integers) -> tuple[Integers, NDArray[np.bool_]]:
        """Millilitres of each line and whether they are known: the line's own, else the product's bottle."""
        bottle = self.references.volumes[self.lines.product[chosen]]
        own = self.lines.volume_known[chosen]
        volume = np.where(own, self.lines.volume_ml[chosen], bottle * self.lines.quantity[chosen])
        return volume, own | (bottle != NO_VOLUME)
