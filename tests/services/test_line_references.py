"""The database itself refuses lines without parents and parents that leave lines behind."""

import asyncio

import asyncpg
import pytest

from graphql_api.database.engine import Database
from tests.factories import Line, create_invoice, create_place, create_product

LINE = (
    "INSERT INTO invoice_line (invoice_id, line_number, store_id, place_id, product_id, date, quantity, unit_price, "
    "revenue, cost) SELECT {invoice}, {number}, store_id, {place}, {product}, {date}, 1, 100, 100, 50 "
    "FROM invoice_line WHERE line_number = 1"
)
GOOD = {"invoice": "invoice_id", "number": "2", "place": "place_id", "product": "product_id", "date": "date"}


@pytest.fixture
async def parents(database: Database) -> dict[str, int]:
    """Ids of an invoice with one line, and of the line's place and product."""
    async with database.transaction() as session:
        invoice = await create_invoice(session, Line(await create_product(session)))
        elsewhere = await create_place(session)
    async with database.dedicated() as connection:
        # Only the line shall hold its place.
        await connection.execute("UPDATE store SET place_id = $1 WHERE id = $2", elsewhere.id, invoice.store_id)
        row = await connection.fetchrow(
            "SELECT invoice_id AS invoice, place_id AS place, product_id AS product FROM invoice_line"
        )
    assert row is not None
    return dict(row)


async def execute(database: Database, statement: str) -> None:
    async with database.dedicated() as connection:
        await connection.execute(statement)


@pytest.mark.parametrize(
    ("part", "value"), [("invoice", "999"), ("place", "999"), ("product", "999"), ("date", "date + 1")]
)
async def test_a_line_without_its_parent_is_refused(
    database: Database, parents: dict[str, int], part: str, value: str
) -> None:
    assert parents
    with pytest.raises(asyncpg.ForeignKeyViolationError, match="what does not exist"):
        await execute(database, LINE.format(**{**GOOD, part: value}))
    await execute(database, LINE.format(**GOOD))


@pytest.mark.parametrize("column", ["invoice_id", "place_id", "product_id"])
async def test_a_line_cannot_be_moved_to_no_parent(database: Database, parents: dict[str, int], column: str) -> None:
    assert parents
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await execute(database, f"UPDATE invoice_line SET {column} = 999")  # noqa: S608 - a constant


@pytest.mark.parametrize("table", ["invoice", "place", "product"])
@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM {table} WHERE id = {id}", "UPDATE {table} SET id = 999 WHERE id = {id}", "TRUNCATE {table} CASCADE"],
)
async def test_a_parent_with_lines_stays(
    database: Database, parents: dict[str, int], table: str, statement: str
) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await execute(database, statement.format(table=table, id=parents[table]))


async def test_the_store_of_an_invoice_with_lines_stays(database: Database, parents: dict[str, int]) -> None:
    assert parents
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await execute(database, "UPDATE invoice SET date = date + 1")
    await execute(database, "UPDATE invoice SET status = 'VOID'")


async def test_a_parent_is_not_deleted_under_an_older_snapshot(database: Database, parents: dict[str, int]) -> None:
    await execute(database, "DELETE FROM invoice_line")
    with pytest.raises(asyncpg.FeatureNotSupportedError):
        await execute(
            database,
            f"BEGIN ISOLATION LEVEL REPEATABLE READ; DELETE FROM product WHERE id = {parents['product']}",  # noqa: S608 - a number
        )
    await execute(database, f"DELETE FROM product WHERE id = {parents['product']}")  # noqa: S608 - as above


async def test_a_parent_is_not_deleted_while_a_line_is_being_written(
    database: Database, parents: dict[str, int]
) -> None:
    async with database.transaction() as session:
        product = await create_product(session)
    async with database.dedicated() as writer:
        transaction = writer.transaction()
        await transaction.start()
        await writer.execute(LINE.format(**{**GOOD, "product": str(product.id)}))
        deleting = asyncio.create_task(execute(database, f"DELETE FROM product WHERE id = {product.id}"))  # noqa: S608 - as above
        done, _ = await asyncio.wait([deleting], timeout=0.3)
        assert not done, "the deletion must wait for the writer"
        await transaction.commit()
        with pytest.raises(asyncpg.ForeignKeyViolationError, match="still has invoice lines"):
            await deleting
    assert parents


async def test_a_line_is_not_written_to_a_parent_being_deleted(database: Database, parents: dict[str, int]) -> None:
    async with database.transaction() as session:
        product = await create_product(session)
    async with database.dedicated() as deleter:
        transaction = deleter.transaction()
        await transaction.start()
        await deleter.execute("DELETE FROM product WHERE id = $1", product.id)
        writing = asyncio.create_task(execute(database, LINE.format(**{**GOOD, "product": str(product.id)})))
        done, _ = await asyncio.wait([writing], timeout=0.3)
        assert not done, "the writer must wait for the deletion"
        await transaction.commit()
        with pytest.raises(asyncpg.ForeignKeyViolationError, match="what does not exist"):
            await writing
    assert parents
