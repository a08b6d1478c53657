"""What the walks over everything that moves stock share: do something, and compare what is told with the ledger."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.database.stock import MovementCause
from graphql_api.schema.context import Services
from graphql_api.schema.node import global_id
from graphql_api.schema.root import ApiSchema
from tests.schema.listening import listen, relay

CHANGES = """subscription { stockChanged { before after delta cause reason at movement { id quantity cause at }
    store { id } product { id }
    document { __typename ... on Invoice { id } ... on Purchase { id } ... on Import { id } } } }"""
# What is in the ledger behind a movement, with the sums up to each. What an event calls its document comes last.
LEDGER = """
SELECT * FROM (
  SELECT m.id, m.store_id, m.product_id, m.quantity, m.cause, m.reason, m.import_id, i.id AS invoice_id,
         p.id AS purchase_id,
         (sum(m.quantity) OVER (PARTITION BY m.store_id, m.product_id ORDER BY m.id))::bigint AS after
  FROM stock_movement m LEFT JOIN invoice i ON i.id = m.invoice_id
  LEFT JOIN purchase_line l ON l.id = m.purchase_line_id LEFT JOIN purchase p ON p.id = l.purchase_id
) all_of_it WHERE id > :newest ORDER BY id
"""
NEWEST = "SELECT coalesce(max(id), 0) FROM stock_movement"
# Which mutations move stock, and why. All others must move nothing.
MOVING: Mapping[str, set[MovementCause]] = {
    "adjustStock": {MovementCause.ADJUSTMENT},
    "countStock": {MovementCause.COUNT},
    "transferStock": {MovementCause.TRANSFER_OUT, MovementCause.TRANSFER_IN},
    "receivePurchase": {MovementCause.RECEIPT},
    "voidPurchase": {MovementCause.RECEIPT_VOID},
    "issueInvoice": {MovementCause.SALE},
    "addInvoiceLines": {MovementCause.SALE},
    "setInvoiceLines": {MovementCause.SALE, MovementCause.SALE_LOWERED},
    "voidInvoice": {MovementCause.SALE_VOID},
    "creditInvoice": {MovementCause.CREDIT},
}
# Mutations only wish for imports and their way back; a worker moves the stock.
IMPORTING: Mapping[str, set[MovementCause]] = {
    "SALES": {MovementCause.SALE, MovementCause.CREDIT},
    "PURCHASES": {MovementCause.RECEIPT},
    "STOCK_COUNT": {MovementCause.COUNT},
    "SALES taken back": {MovementCause.IMPORT_REVERT},
    "PURCHASES taken back": {MovementCause.RECEIPT_VOID},
    "STOCK_COUNT taken back": {MovementCause.IMPORT_REVERT},
    "SALES cancelled": {MovementCause.SALE, MovementCause.CREDIT, MovementCause.IMPORT_REVERT},
    "PURCHASES cancelled": {MovementCause.RECEIPT, MovementCause.RECEIPT_VOID},
    "STOCK_COUNT cancelled": {MovementCause.COUNT, MovementCause.IMPORT_REVERT},
}


class Walk:
    """Does one thing after the other and compares what is told of it with the ledger."""

    def __init__(self, database: Database, schema: ApiSchema, services: Services) -> None:
        self.database, self.schema, self.services = database, schema, services
        self.causes: dict[str, set[MovementCause]] = defaultdict(set)

    async def compare(self, name: str, act: Callable[[], Awaitable[None]]) -> None:
        await relay(self.database)
        listener = await listen(self.schema, self.services, CHANGES)
        newest = (await self.rows(NEWEST))[0][0]

        await act()

        heard = await listener.take()
        ledger = await self.rows(LEDGER, newest=newest)
        assert [told(change) for change in heard] == [entry(row) for row in ledger], name
        for change in heard:
            assert change["movement"]["quantity"] == change["delta"]
            assert (change["movement"]["cause"], change["movement"]["at"]) == (change["cause"], change["at"])
        self.causes[name] |= {MovementCause(change["cause"]) for change in heard}

    async def rows(self, statement: str, **values: Any) -> Sequence[Any]:
        async with self.database.read() as session:
            return (await session.execute(text(statement), values)).all()


def told(change: dict[str, Any]) -> tuple[Any, ...]:
    """An event as the ledger would say it."""
    document = (change["document"] or {}).get("id")
    place = (change["movement"]["id"], change["store"]["id"], change["product"]["id"])
    return *place, change["before"], change["after"], change["delta"], change["cause"], change["reason"], document


def entry(row: Any) -> tuple[Any, ...]:
    """A movement as an event would say it."""
    place = (
        global_id("StockMovement", row.id),
        global_id("Store", row.store_id),
        global_id("Product", row.product_id),
    )
    documents = {"Invoice": row.invoice_id, "Purchase": row.purchase_id, "Import": row.import_id}
    document = next((global_id(kind, key) for kind, key in documents.items() if key is not None), None)
    return *place, row.after - row.quantity, row.after, row.quantity, row.cause, row.reason, document
