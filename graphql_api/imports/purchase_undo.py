"""Purchases that an import brought are voided: their bottles leave their own lots again, all or none."""

import asyncpg

from graphql_api.database.stock import MovementCause
from graphql_api.imports.stock_undo import return_bottles

LOCK_PURCHASES = "SELECT FROM purchase WHERE import_id = $1 ORDER BY id FOR UPDATE"
LINES = """
FROM purchase p JOIN purchase_line n ON n.purchase_id = p.id JOIN stock_lot l ON l.purchase_line_id = n.id
WHERE p.import_id = $1 AND p.status <> 'VOID'
"""
KEYS = f"SELECT DISTINCT l.store_id, l.product_id {LINES}"
# What came of each line and was not taken back; what was sold meanwhile is missing from `remaining`.
BROUGHT = f"""
SELECT l.store_id, l.product_id, l.id AS lot_id, l.remaining, l.unit_cost, l.received AS net, n.id AS purchase_line_id
{LINES} ORDER BY l.store_id, l.product_id, l.id
"""
VOID_LINES = "UPDATE purchase_line SET received = 0 WHERE purchase_id IN (SELECT id FROM purchase WHERE import_id = $1)"
VOID = """
UPDATE purchase SET status = 'VOID', void_reason = 'Import ' || $1::bigint || ' was taken back.', version = version + 1
WHERE import_id = $1 AND status <> 'VOID'
"""


async def undo_purchases(connection: asyncpg.Connection, import_id: int) -> None:
    """Void the purchases of an import.

    Raises:
        Blocked: some of the bottles are gone.
    """
    await connection.execute(LOCK_PURCHASES, import_id)
    await return_bottles(connection, import_id, MovementCause.RECEIPT_VOID, query=BROUGHT, keys=KEYS)
    await connection.execute(VOID_LINES, import_id)
    await connection.execute(VOID, import_id)
    await connection.execute("DELETE FROM import_purchase_line WHERE import_id = $1", import_id)
