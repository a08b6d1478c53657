"""Taking an import of sales back: afterwards the tables say what they would have said without it."""

import asyncpg

from graphql_api.imports.load import Blocked
from graphql_api.imports.stock_undo import return_bottles

# A line that a later import replaced stays as that import left it; only its history forgets this one.
SPLICE_HISTORY = """
UPDATE import_change later SET before = mine.before, previous_import_id = mine.previous_import_id
FROM import_change theirs LEFT JOIN import_change mine
  ON mine.import_id = $1 AND mine.invoice_id = theirs.invoice_id AND mine.line_number = theirs.line_number
WHERE theirs.previous_import_id = $1 AND later.import_id = theirs.import_id
  AND later.invoice_id = theirs.invoice_id AND later.line_number = theirs.line_number
"""
RESTORE_LINES = """
UPDATE invoice_line l SET place_id = b.place_id, product_id = b.product_id, quantity = b.quantity,
  unit_price = b.unit_price, discount = b.discount, revenue = b.revenue, cost = b.cost, volume_ml = b.volume_ml,
  import_id = b.import_id
FROM import_change c CROSS JOIN LATERAL jsonb_populate_record(NULL::invoice_line, c.before) AS b
WHERE c.import_id = $1 AND c.before IS NOT NULL AND l.import_id = $1
  AND l.invoice_id = c.invoice_id AND l.line_number = c.line_number
"""
DELETE_INVOICES = """
DELETE FROM invoice i WHERE i.import_id = $1
  AND NOT EXISTS (SELECT FROM invoice_line l WHERE l.invoice_id = i.id)
"""
# What remains of this import's invoices holds lines of others; the first of them takes the invoice over.
HAND_OVER_INVOICES = """
UPDATE invoice i SET import_id = (SELECT min(l.import_id) FROM invoice_line l WHERE l.invoice_id = i.id)
WHERE i.import_id = $1
"""
# A credit note takes back lines as they are.
CREDITED = """
SELECT i.number, c.number AS credit_note FROM invoice c JOIN invoice i ON i.id = c.credit_of
WHERE i.import_id = $1 OR EXISTS (SELECT FROM invoice_line l WHERE l.invoice_id = i.id AND l.import_id = $1)
ORDER BY i.number, c.id
"""


async def undo_sales(connection: asyncpg.Connection, import_id: int) -> None:
    """Remove the lines that an import wrote and restore those it replaced; bottles that it sold come back.

    Gaps of older stores and products that it filled stay filled.

    Raises:
        Blocked: something was credited since, or bottles that it brought back are sold.
    """
    credited = await connection.fetch(CREDITED, import_id)
    if credited:
        raise Blocked([f"Invoice {row['number']} was credited by {row['credit_note']}." for row in credited])
    await return_bottles(connection, import_id)
    await connection.execute(SPLICE_HISTORY, import_id)
    await connection.execute(RESTORE_LINES, import_id)
    await connection.execute("DELETE FROM import_change WHERE import_id = $1", import_id)
    await connection.execute("DELETE FROM invoice_line WHERE import_id = $1", import_id)
    await connection.execute(DELETE_INVOICES, import_id)
    await connection.execute(HAND_OVER_INVOICES, import_id)
