import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from strawberry.dataloader import DataLoader

from graphql_api.database.engine import Database
from graphql_api.database.product import ProductRow
from graphql_api.schema.loaders import Loaders
from tests.client import Client
from tests.factories import Line, create_category, create_invoice, create_product, create_vendor

EVERYTHING = """query ($first: Int!) { invoices(first: $first) { totalCount nodes {
    number date totals { revenue lineCount }
    store { number name city county { name } }
    lines(first: 3) { totalCount nodes { quantity revenue
        product { sku name vendor { name } category { name } } county { name } } } } } }"""

TRAILS = "query ($first: Int!) { products(first: $first) { nodes { auditTrail { totalCount nodes { action } } } } }"


@contextmanager
def counted_statements(database: Database) -> Iterator[list[str]]:
    """The statements sent to the database meanwhile, without those that open a transaction."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith("SET TRANSACTION"):
            statements.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    yield statements
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)


async def create_invoices(database: Database, count: int) -> None:
    async with database.transaction() as session:
        for _ in range(count):
            vendor, category = await create_vendor(session), await create_category(session)
            products = [await create_product(session, vendor=vendor, category=category) for _ in range(5)]
            await create_invoice(session, *map(Line, products))


async def test_fifty_invoices_take_as_many_statements_as_five(database: Database, client: Client) -> None:
    await create_invoices(database, 50)

    counts = []
    for first in (5, 50):
        with counted_statements(database) as statements:
            data = await client.execute(EVERYTHING, first=first)
        assert len(data["invoices"]["nodes"]) == first
        assert all(len(invoice["lines"]["nodes"]) == 3 for invoice in data["invoices"]["nodes"])
        counts.append(len(statements))

    # invoices, count, totals, stores, lines, products, vendors, categories, places, and counties of both.
    assert counts[0] == counts[1] <= 11


async def test_fifty_trails_take_as_many_statements_as_five(database: Database, client: Client) -> None:
    await create_invoices(database, 10)

    counts = []
    for first in (5, 50):
        with counted_statements(database) as statements:
            data = await client.execute(TRAILS, first=first)
        assert len(data["products"]["nodes"]) == first
        counts.append(len(statements))

    # products, their trails, and how long these are
    assert counts == [3, 3]


async def test_nothing_is_counted_unasked(database: Database, client: Client) -> None:
    with counted_statements(database) as statements:
        await client.execute("{ stores { nodes { name } pageInfo { hasNextPage } } }")

    assert len(statements) == 1
    assert "count(" not in statements[0]


async def test_two_operations_share_nothing_they_loaded(database: Database, client: Client) -> None:
    await create_invoices(database, 1)
    document = "{ invoices { nodes { store { name } } } }"

    with counted_statements(database) as statements:
        await client.execute(document)
        await client.execute(document)

    assert len(statements) == 4


async def test_a_wrong_page_of_lines_is_refused(database: Database, client: Client) -> None:
    await create_invoices(database, 2)

    response = await client.execute_raw(
        '{ invoices { nodes { lines(first: 1) { totalCount } other: lines(after: "x") { totalCount } } } }'
    )

    assert set(response.codes) == {"BAD_USER_INPUT"}
    assert response.errors[0]["extensions"]["argumentPath"] == ["after"]


async def test_one_who_leaves_takes_the_answer_away_from_nobody(database: Database) -> None:
    # given
    async with database.transaction() as session:
        first, second = await create_product(session), await create_product(session)
    for turns in range(4):
        products = Loaders(database).products

        async def ask(key: int, products: DataLoader[int, ProductRow | None] = products) -> ProductRow | None:
            return await products.load(key)

        leaving, staying = asyncio.create_task(ask(first.id)), asyncio.create_task(ask(first.id))
        for _ in range(turns):
            await asyncio.sleep(0)

        # when
        leaving.cancel()
        if turns % 2:
            staying.cancel()
        await asyncio.sleep(0)

        # then
        async with asyncio.timeout(60):
            rows = await asyncio.gather(ask(first.id), ask(second.id))
            assert [row.id for row in rows if row] == [first.id, second.id]
            assert turns % 2 or (await staying) is not None
