"""A company that sells: stores, products in stock, people who write invoices, and drafts to be issued."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
from sqlalchemy import insert

from graphql_api.database.base import now_utc
from graphql_api.database.engine import Database
from graphql_api.database.stock import MovementCause
from graphql_api.database.user import Language, Role, UserRow
from graphql_api.ledger.entries import Entry, Receipt
from graphql_api.ledger.moves import receive
from graphql_api.services.password import Passwords
from graphql_api.services.policy import Viewer
from graphql_api.services.session import Device, open_session
from graphql_api.services.token import AccessTokens
from graphql_api.services.unit_of_work import unit_of_work

STORES = 32
PRODUCTS = 100
LINES = 3
BOTTLES = 2
IN_STOCK = 1_000_000
UNIT_COST = 600
FILL = f"""
INSERT INTO county (number, name) VALUES (1, 'KINGSMEAD');
INSERT INTO place (city, zip_code, county_id) SELECT 'TALLGRASS', '52001', id FROM county;
INSERT INTO store (number, name, place_id)
  SELECT 2000 + n, 'Store ' || n, p.id FROM place p, generate_series(1, {STORES}) n;
INSERT INTO product (sku, name, pack, volume_ml, unit_cost, unit_price)
  SELECT 'B-' || n, 'Product ' || n, 12, 750, {UNIT_COST}, 900 FROM generate_series(1, {PRODUCTS}) n;
"""  # noqa: S608 - constants
DRAFTS = """
INSERT INTO invoice (store_id, date, status)
SELECT store_id, current_date, 'DRAFT' FROM unnest($1::bigint[]) WITH ORDINALITY AS f (store_id, position)
ORDER BY position RETURNING id
"""
DRAFT_LINES = """
INSERT INTO invoice_line (invoice_id, line_number, store_id, place_id, product_id, date, quantity, unit_price, revenue,
                          cost, volume_ml)
SELECT i.id, l.line_number, i.store_id, s.place_id, l.product_id, i.date, l.quantity, 900, l.quantity * 900, 0,
       l.quantity * 750
FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::int[]) AS l (invoice_id, line_number, product_id, quantity)
JOIN invoice i ON i.id = l.invoice_id JOIN store s ON s.id = i.store_id
"""


@dataclass(frozen=True)
class Wish:
    """A draft to be made: its store, and two bottles of each of three products unless told otherwise."""

    store_id: int
    products: Sequence[int]
    quantity: int = BOTTLES


@dataclass(frozen=True)
class Company:
    """The keys of what there is."""

    stores: Sequence[int]
    products: Sequence[int]

    def spread(self) -> Wish:
        """An invoice of any store with any products."""
        return Wish(random.choice(self.stores), random.sample(self.products, LINES))  # noqa: S311 - no secret

    def hot(self) -> Wish:
        """An invoice of one store with one product that is on all of them, and two others."""
        others = random.sample(self.products[1:], LINES - 1)
        return Wish(self.stores[0], [self.products[0], *others])


async def fill(connection: asyncpg.Connection) -> Company:
    """Make stores and products, and have every store receive every product."""
    await connection.execute(FILL)
    company = Company(
        [row["id"] for row in await connection.fetch("SELECT id FROM store ORDER BY id")],
        [row["id"] for row in await connection.fetch("SELECT id FROM product ORDER BY id")],
    )
    today = now_utc().date()
    async with connection.transaction():
        receipts = [
            Receipt(store, product, IN_STOCK, UNIT_COST, today)
            for store in company.stores
            for product in company.products
        ]
        await receive(connection, receipts, Entry(MovementCause.ADJUSTMENT, "benchmark"))
    await connection.execute("VACUUM ANALYZE")
    return company


async def make_drafts(connection: asyncpg.Connection, wishes: Sequence[Wish]) -> list[int]:
    """The ids of new drafts, in the order of the wishes."""
    async with connection.transaction():
        rows = await connection.fetch(DRAFTS, [wish.store_id for wish in wishes])
        ids = sorted(row["id"] for row in rows)
        lines = [
            (key, number, product, wish.quantity)
            for key, wish in zip(ids, wishes, strict=True)
            for number, product in enumerate(wish.products, start=1)
        ]
        await connection.execute(DRAFT_LINES, *(list(column) for column in zip(*lines, strict=True)))
    return ids


async def sign_in_people(database: Database, tokens: AccessTokens, count: int) -> list[tuple[Viewer, str]]:
    """People who write invoices, each with an access token: one alone may not do so much in a minute."""
    people = []
    password_hash = await Passwords().hash("violet harbour lantern")
    for number in range(count):
        values = {
            "email": f"bench{number}@example.com",
            "name": f"Bench {number}",
            "password_hash": password_hash,
            "role": Role.STAFF,
            "language": Language.EN,
        }
        async with unit_of_work(database) as work:
            user = (await work.session.scalars(insert(UserRow).values(**values).returning(UserRow))).one()
            opened = await open_session(work, user, Device(), tokens)
        people.append((opened.viewer, opened.access.text))
    return people


FAULTS = {
    "levels below zero": "SELECT count(*) FROM stock_level WHERE on_hand < 0 OR value < 0",
    "levels that differ from their movements": """
        SELECT count(*) FROM stock_level l WHERE l.on_hand <>
          (SELECT sum(quantity) FROM stock_movement m WHERE (m.store_id, m.product_id) = (l.store_id, l.product_id))""",
    "levels that differ from their lots": """
        SELECT count(*) FROM stock_level l WHERE (l.on_hand, l.value) <>
          (SELECT sum(remaining), sum(remaining * unit_cost) FROM stock_lot o
           WHERE (o.store_id, o.product_id) = (l.store_id, l.product_id))""",
    "issued lines that took no stock": """
        SELECT count(*) FROM invoice_line l JOIN invoice i ON i.id = l.invoice_id WHERE i.status = 'ISSUED'
          AND -l.quantity IS DISTINCT FROM (SELECT sum(m.quantity) FROM stock_movement m
            WHERE (m.invoice_id, m.line_number) = (l.invoice_id, l.line_number))""",
    "holes in the numbers": """
        SELECT count(*) FROM (SELECT store_id, count(*) AS given FROM invoice WHERE status = 'ISSUED' GROUP BY 1) i
        JOIN number_series s ON s.store_id = i.store_id AND s.kind = 'INVOICE' WHERE s.last <> i.given""",
}


async def find_faults(connection: asyncpg.Connection) -> dict[str, int]:
    """What is wrong with the books, counted; nothing should be."""
    counts = {name: int(await connection.fetchval(statement)) for name, statement in FAULTS.items()}
    return {name: count for name, count in counts.items() if count}
