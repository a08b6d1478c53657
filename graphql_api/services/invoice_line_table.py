"""The table of invoice lines, read and written for one invoice at a time: one statement for all of its lines."""

from collections.abc import Sequence

from graphql_api.database.invoice import InvoiceRow
from graphql_api.services.invoice_line import SaleLine
from graphql_api.services.unit_of_work import UnitOfWork

READ = """
SELECT line_number AS number, product_id, place_id, quantity, unit_price, discount, cost, volume_ml
FROM invoice_line WHERE invoice_id = $1 ORDER BY line_number
"""
# The store and the date are the invoice's own, which the caller holds.
SAVE = """
INSERT INTO invoice_line (invoice_id, store_id, date, revenue, line_number, product_id, place_id, quantity, unit_price,
                          discount, cost, volume_ml)
SELECT i.id, i.store_id, i.date, l.quantity::bigint * l.unit_price - l.discount, l.*
FROM invoice i, unnest($2::int[], $3::bigint[], $4::bigint[], $5::int[], $6::bigint[], $7::bigint[], $8::bigint[],
                       $9::bigint[])
  AS l (line_number, product_id, place_id, quantity, unit_price, discount, cost, volume_ml)
WHERE i.id = $1
ON CONFLICT (invoice_id, line_number) DO UPDATE
  SET quantity = excluded.quantity, unit_price = excluded.unit_price, discount = excluded.discount,
      revenue = excluded.revenue, cost = excluded.cost, volume_ml = excluded.volume_ml, place_id = excluded.place_id
"""
DELETE = "DELETE FROM invoice_line WHERE invoice_id = $1 AND line_number = ANY($2::int[])"
LAST_MOVED = "SELECT max(line_number) FROM stock_movement WHERE invoice_id = $1"
COLUMNS = ("number", "product_id", "place_id", "quantity", "unit_price", "discount", "cost", "volume_ml")


async def read_lines(work: UnitOfWork, invoice_id: int) -> list[SaleLine]:
    """The lines of an invoice by their number."""
    await work.session.flush()
    rows = await (await work.driver()).fetch(READ, invoice_id)
    return [SaleLine(**row) for row in rows]


async def save_lines(work: UnitOfWork, invoice: InvoiceRow, lines: Sequence[SaleLine]) -> None:
    """Write lines that are new or have changed, in one statement."""
    await work.session.flush()
    if lines:
        columns = ([getattr(line, name) for line in lines] for name in COLUMNS)
        await (await work.driver()).execute(SAVE, invoice.id, *columns)


async def delete_lines(work: UnitOfWork, invoice: InvoiceRow, numbers: Sequence[int]) -> None:
    """Take lines off, in one statement."""
    if numbers:
        await (await work.driver()).execute(DELETE, invoice.id, list(numbers))


async def last_moved_line(work: UnitOfWork, invoice_id: int) -> int:
    """The highest number of a line that has ever moved stock, also of one that is gone; 0 when none has."""
    return int(await (await work.driver()).fetchval(LAST_MOVED, invoice_id) or 0)
