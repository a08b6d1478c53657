"""Taking an import back: afterwards the tables say what they would have said without it."""

import asyncpg

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
UNUSED = {
    "store": ["EXISTS (SELECT FROM invoice u WHERE u.store_id = t.id)"],
    "product": ["EXISTS (SELECT FROM invoice_line u WHERE u.product_id = t.id)"],
    "place": [
        "EXISTS (SELECT FROM invoice_line u WHERE u.place_id = t.id)",
        "EXISTS (SELECT FROM store u WHERE u.place_id = t.id)",
    ],
    "county": ["EXISTS (SELECT FROM place u WHERE u.county_id = t.id)"],
    "vendor": ["EXISTS (SELECT FROM product u WHERE u.vendor_id = t.id)"],
    "category": ["EXISTS (SELECT FROM product u WHERE u.category_id = t.id)"],
}


async def undo_import(connection: asyncpg.Connection, import_id: int) -> None:
    """Remove what an import wrote and restore what it replaced, in the caller's transaction.

    Stores, products and the like that it created go too, unless something else uses them by now.
    """
    await connection.execute(SPLICE_HISTORY, import_id)
    await connection.execute(RESTORE_LINES, import_id)
    await connection.execute("DELETE FROM import_change WHERE import_id = $1", import_id)
    await connection.execute("DELETE FROM invoice_line WHERE import_id = $1", import_id)
    await connection.execute(DELETE_INVOICES, import_id)
    await connection.execute(HAND_OVER_INVOICES, import_id)
    for table, uses in UNUSED.items():
        await connection.execute(
            f"DELETE FROM {table} t WHERE t.import_id = $1 AND NOT ({' OR '.join(uses)})",  # noqa: S608 - constants
            import_id,
        )
        await connection.execute(f"UPDATE {table} SET import_id = NULL WHERE import_id = $1", import_id)  # noqa: S608 - as above
