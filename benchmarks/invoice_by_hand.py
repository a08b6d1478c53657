"""Issuing an invoice by hand: the statements that the program sends, over asyncpg, with nothing around them."""

from datetime import date

import asyncpg

from graphql_api.ledger.book import LOCK_LEVELS, OPEN_LOTS, POST, WATCH
from graphql_api.services.invoice_line_table import READ, SAVE

HOLD = """
SELECT i.*, s.is_active AS store_is_active, s.place_id, c.is_active AS customer_is_active, c.name, c.address,
       t.currency AS present_currency, t.company_name AS present_name, t.company_address AS present_address,
       t.tax_number, t.tax_rate AS present_tax_rate, t.sells_expired,
       (SELECT min(p.sku) FROM invoice_line l JOIN product p ON p.id = l.product_id
        WHERE l.invoice_id = i.id AND NOT p.is_active) AS archived_sku
FROM invoice i JOIN store s ON s.id = i.store_id CROSS JOIN settings t LEFT JOIN customer c ON c.id = i.customer_id
WHERE i.id = $1 FOR NO KEY UPDATE OF i
"""
NAMES = """
UPDATE invoice i SET printed = jsonb_build_object(
  'store', jsonb_build_array(s.number::text, s.name, s.address, p.city, p.zip_code),
  'lines', (SELECT coalesce(jsonb_object_agg(l.line_number, jsonb_build_array(q.sku, q.name)), '{}')
            FROM invoice_line l JOIN product q ON q.id = l.product_id WHERE l.invoice_id = i.id))
FROM store s JOIN place p ON p.id = s.place_id WHERE i.id = $1 AND s.id = i.store_id
"""
NUMBER = """
WITH counted AS (
  INSERT INTO number_series AS s (store_id, kind, last) VALUES ($1, 'INVOICE', 1)
  ON CONFLICT (store_id, kind) DO UPDATE SET last = s.last + 1 RETURNING last::text AS last
), named AS (
  SELECT s.number || '-' || lpad(c.last, greatest(6, length(c.last)), '0') AS number
  FROM counted c CROSS JOIN store s WHERE s.id = $1
)
SELECT n.number, EXISTS (SELECT FROM invoice d WHERE d.number = n.number COLLATE "C") AS is_used FROM named n
"""
ISSUE = """
UPDATE invoice SET number = $2, status = 'ISSUED', tax_rate = $3, tax = $4, currency = $5, company_name = $6,
       company_address = $7, company_tax_number = $8, issued_at = now(), version = version + 1 WHERE id = $1
"""
RECORD = """
INSERT INTO audit_entry (actor_id, actor_role, session_id, action, outcome, request_id, entity, entity_id, before,
                         after)
VALUES ($1, $2, $3, 'issueInvoice', 'DONE', 'by hand', 'Invoice', $4, '{"status": "DRAFT"}',
        jsonb_build_object('status', 'ISSUED', 'number', $5::text, 'revenue', '54.00', 'tax', '0.00', 'cost', '36.00'))
"""


async def issue_by_hand(connection: asyncpg.Connection, invoice_id: int, actor: tuple[int, str, int]) -> None:
    """Issue one draft of products that have one lot each.

    Raises:
        RuntimeError: there is not enough stock, or no low stock was expected.
    """
    async with connection.transaction():
        head = await connection.fetchrow(HOLD, invoice_id)
        lines = await connection.fetch(READ, invoice_id)
        if head is None or head["status"] != "DRAFT" or not lines:
            raise RuntimeError("no draft")
        store = head["store_id"]
        products = sorted(line["product_id"] for line in lines)
        stores = [store] * len(lines)
        await connection.fetch(LOCK_LEVELS, stores, products)
        wanted = {line["product_id"]: line["quantity"] for line in lines}
        found = await connection.fetch(OPEN_LOTS, stores, products, [wanted[key] for key in products], date.today())  # noqa: DTZ011 - no day changes meanwhile
        lots = {lot["product_id"]: lot for lot in found}
        if any(lots[key]["remaining"] < wanted[key] for key in products):
            raise RuntimeError("not enough")
        costs = [line["quantity"] * lots[line["product_id"]]["unit_cost"] for line in lines]
        taken = [-line["quantity"] for line in lines]
        of_lines = [line["product_id"] for line in lines]
        numbers = [line["number"] for line in lines]
        empty = [None] * len(lines)
        places = list(range(1, len(lines) + 1))
        movements = [
            stores,
            of_lines,
            taken,
            [-cost for cost in costs],
            [invoice_id] * len(lines),
            numbers,
            empty,
            empty,
        ]
        uses = [places, [lots[key]["id"] for key in of_lines], taken]
        await connection.fetch(POST, *movements, "SALE", None, actor[0], None, *uses)
        if await connection.fetch(WATCH, stores, of_lines):
            raise RuntimeError("low stock")
        names = ("number", "product_id", "place_id", "quantity", "unit_price", "discount", "cost", "volume_ml")
        columns = {name: [line[name] for line in lines] for name in names} | {"cost": costs}
        await connection.execute(SAVE, invoice_id, *columns.values())
        await connection.execute(NAMES, invoice_id)
        number = await connection.fetchval(NUMBER, store)
        revenue = sum(line["quantity"] * line["unit_price"] - line["discount"] for line in lines)
        rate = head["present_tax_rate"]
        terms = (head["present_currency"], head["present_name"], head["present_address"], head["tax_number"])
        await connection.execute(ISSUE, invoice_id, number, rate, int(revenue * rate / 100), *terms)
        await connection.execute(RECORD, *actor, invoice_id, number)
