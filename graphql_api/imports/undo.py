"""Taking an import back: afterwards the tables say what they would have said without it."""

from dataclasses import dataclass

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


@dataclass(frozen=True)
class Use:
    """What keeps a row `t` of a reference table: a query for the imports that need it, one row per use."""

    imports: str
    is_set: bool = False  # the query lists ids beside imports, for all rows at once

    @property
    def exists(self) -> str:
        """A condition on `t`."""
        return f"t.id IN (SELECT id FROM ({self.imports}) u)" if self.is_set else f"EXISTS ({self.imports})"  # noqa: S608 - constants

    @property
    def owner(self) -> str:
        """Any import that needs `t`."""
        condition = "u.id = t.id AND " if self.is_set else ""
        return f"(SELECT u.import_id FROM ({self.imports}) u WHERE {condition}u.import_id IS NOT NULL LIMIT 1)"  # noqa: S608 - as above


def _replaced(column: str) -> Use:
    """What a replaced line said must still be there when the import that replaced it is taken back."""
    query = f"SELECT (before->>'{column}')::bigint AS id, previous_import_id AS import_id FROM import_change"  # noqa: S608 - constants
    return Use(f"{query} WHERE before IS NOT NULL", is_set=True)


# In this order: what a row of a table is used by stands above it.
USES = {
    "store": [Use("SELECT u.import_id FROM invoice u WHERE u.store_id = t.id")],
    "product": [Use("SELECT u.import_id FROM invoice_line u WHERE u.product_id = t.id"), _replaced("product_id")],
    "place": [
        Use("SELECT u.import_id FROM invoice_line u WHERE u.place_id = t.id"),
        Use("SELECT u.import_id FROM store u WHERE u.place_id = t.id"),
        _replaced("place_id"),
    ],
    "county": [Use("SELECT u.import_id FROM place u WHERE u.county_id = t.id")],
    "vendor": [Use("SELECT u.import_id FROM product u WHERE u.vendor_id = t.id")],
    "category": [Use("SELECT u.import_id FROM product u WHERE u.category_id = t.id")],
}


async def undo_import(connection: asyncpg.Connection, import_id: int) -> None:
    """Remove what an import wrote and restore what it replaced, in the caller's transaction.

    Stores, products and the like that it created go too, unless something else uses them by now; those belong
    to one of their users from then on. Gaps of older stores and products that it filled stay filled.
    """
    await connection.execute(SPLICE_HISTORY, import_id)
    await connection.execute(RESTORE_LINES, import_id)
    await connection.execute("DELETE FROM import_change WHERE import_id = $1", import_id)
    await connection.execute("DELETE FROM invoice_line WHERE import_id = $1", import_id)
    await connection.execute(DELETE_INVOICES, import_id)
    await connection.execute(HAND_OVER_INVOICES, import_id)
    for table, uses in USES.items():
        await _drop_unused(connection, table, import_id)
        owners = ", ".join(use.owner for use in uses)
        await connection.execute(
            f"UPDATE {table} t SET import_id = coalesce({owners}) WHERE t.import_id = $1",  # noqa: S608 - constants
            import_id,
        )


async def drop_unused(connection: asyncpg.Connection, import_id: int) -> None:
    """Remove the stores, products and the like that an import created for rows it then refused."""
    for table in USES:
        await _drop_unused(connection, table, import_id)


async def _drop_unused(connection: asyncpg.Connection, table: str, import_id: int) -> None:
    is_used = " OR ".join(use.exists for use in USES[table])
    await connection.execute(f"DELETE FROM {table} t WHERE t.import_id = $1 AND NOT ({is_used})", import_id)  # noqa: S608 - constants
