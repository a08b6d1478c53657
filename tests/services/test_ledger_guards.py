"""What nobody can do to the ledger, however they write: the database keeps it by itself."""

from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from graphql_api.database.engine import Database
from graphql_api.ledger.entries import Demand
from tests.conftest import Databases
from tests.services.ledger_case import LedgerCase

MOVE = """
WITH m AS (
  INSERT INTO stock_movement (store_id, product_id, quantity, cost, cause, reason)
  SELECT store_id, product_id, {quantity}, {quantity} * unit_cost, 'ADJUSTMENT', 'by hand'
  FROM stock_lot WHERE id = {lot}
  RETURNING id
)
INSERT INTO lot_use (movement_id, lot_id, quantity) SELECT id, {lot}, {quantity} FROM m
"""


@pytest.fixture(scope="module")
def template_name(databases: Databases, template_name: str) -> Iterator[str]:
    """Two lots of one product: lot 1 has 4 bottles left of 10 at 1.00, lot 2 all 10 at 2.50."""

    async def fill(database: Database) -> None:
        async with database.dedicated() as connection:
            case = LedgerCase(database, connection)
            key = await case.key()
            await case.receive(key, 10, 100)
            await case.receive(key, 10, 250)
            await case.take(Demand(*key, 6))

    with databases.filled(template_name, fill) as name:
        yield name


@pytest.fixture
async def ledger(database: Database) -> AsyncIterator[LedgerCase]:
    """The ledger of the template."""
    async with database.dedicated() as connection:
        case = LedgerCase(database, connection)
        yield case
        assert await case.contradictions() == []


async def totals(ledger: LedgerCase) -> list[tuple[int, int]]:
    return [tuple(row) for row in await ledger.connection.fetch("SELECT on_hand, value FROM stock_level")]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE stock_movement SET quantity = -1, cost = -100 WHERE quantity < 0",
        "UPDATE stock_movement SET at = now(), reason = 'never mind'",
        "DELETE FROM stock_movement",
        "TRUNCATE stock_movement CASCADE",
        "UPDATE lot_use SET quantity = -1 WHERE quantity < 0",
        "UPDATE lot_use SET lot_id = 2",
        "DELETE FROM lot_use",
        "TRUNCATE lot_use",
        "UPDATE stock_level SET on_hand = 100",
        "UPDATE stock_level SET value = 0",
        "UPDATE stock_level SET version = version",
        "DELETE FROM stock_level",
        "TRUNCATE stock_level",
        "UPDATE stock_lot SET remaining = 10",
        "UPDATE stock_lot SET unit_cost = 1",
        "UPDATE stock_lot SET received = 50",
        "UPDATE stock_lot SET expires_on = '2030-01-01'",
        "UPDATE stock_lot SET store_id = store_id",
        "DELETE FROM stock_lot",
        "TRUNCATE stock_lot CASCADE",
        (
            "INSERT INTO stock_lot (store_id, product_id, received_on, received, remaining, unit_cost) "
            "SELECT store_id, product_id, received_on, 5, 5, 100 FROM stock_lot LIMIT 1"
        ),
        "INSERT INTO stock_level (store_id, product_id, on_hand) SELECT max(store_id), 0, 5 FROM stock_level",
        "DELETE FROM product",
        "DELETE FROM store",
    ],
)
async def test_history_and_what_follows_from_it_cannot_be_written(ledger: LedgerCase, statement: str) -> None:
    before = await totals(ledger)

    with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.IntegrityConstraintViolationError)):
        await ledger.connection.execute(statement)

    assert await totals(ledger) == before == [(14, 2_900)]


async def test_a_balanced_movement_by_hand_is_posted_by_the_database(ledger: LedgerCase) -> None:
    await ledger.connection.execute(MOVE.format(quantity=-4, lot=1))

    assert await totals(ledger) == [(10, 2_500)]
    assert await ledger.remaining() == {1: 0, 2: 10}


@pytest.mark.parametrize(
    ("what", "statement"),
    [
        ("more than the store has", MOVE.format(quantity=-15, lot=2)),
        ("more than the lot has", MOVE.format(quantity=-5, lot=1)),
        ("more into a lot than it ever had", MOVE.format(quantity=7, lot=1)),
        ("nothing", MOVE.format(quantity=0, lot=1)),
        (
            "without lots",
            (
                "INSERT INTO stock_movement (store_id, product_id, quantity, cost, cause) "
                "SELECT store_id, product_id, -1, -100, 'ADJUSTMENT' FROM stock_lot WHERE id = 1"
            ),
        ),
        ("at another cost", MOVE.format(quantity=-1, lot=1).replace("* unit_cost", "* 99")),
        ("with cost against the quantity", MOVE.format(quantity=-1, lot=1).replace("* unit_cost", "* -100")),
        ("with fewer bottles in the lots", MOVE.format(quantity=-2, lot=1).replace(", -2 FROM m", ", -1 FROM m")),
        (
            "one lot through another",
            (
                "WITH m AS (INSERT INTO stock_movement (store_id, product_id, quantity, cost, cause) "
                "SELECT store_id, product_id, -1, 0, 'ADJUSTMENT' FROM stock_lot WHERE id = 1 RETURNING id) "
                "INSERT INTO lot_use SELECT m.id, v.* FROM m, (VALUES (1, -2), (2, 1)) v"
            ),
        ),
        ("another use later", "INSERT INTO lot_use SELECT max(movement_id), 2, -1 FROM lot_use"),
        ("of an unknown cause", MOVE.format(quantity=-1, lot=1).replace("ADJUSTMENT", "MAGIC")),
    ],
)
async def test_what_does_not_balance_is_refused(ledger: LedgerCase, what: str, statement: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await ledger.connection.execute(statement)

    assert await totals(ledger) == [(14, 2_900)], what


async def test_bottles_do_not_come_out_of_the_lots_of_another_store(ledger: LedgerCase) -> None:
    store, product = await ledger.key()
    await ledger.receive((store, product), 10, 100)
    statement = (
        "WITH m AS (INSERT INTO stock_movement (store_id, product_id, quantity, cost, cause) "
        "VALUES ($1, $2, -1, -100, 'ADJUSTMENT') RETURNING id) INSERT INTO lot_use SELECT id, 1, -1 FROM m"
    )

    with pytest.raises(asyncpg.CheckViolationError):
        await ledger.connection.execute(statement, store, product)


async def test_a_sale_by_hand_from_a_store_that_never_had_any_is_refused(ledger: LedgerCase) -> None:
    store, product = await ledger.key()
    statement = (
        "INSERT INTO stock_movement (store_id, product_id, quantity, cost, cause) VALUES ($1, $2, -1, 0, 'SALE')"
    )

    with pytest.raises(asyncpg.CheckViolationError):
        await ledger.connection.execute(statement, store, product)

    assert await ledger.level((store, product)) is None


async def test_a_movement_keeps_its_lots_to_the_commit_and_not_before(ledger: LedgerCase) -> None:
    store, product = (await ledger.connection.fetch("SELECT store_id, product_id FROM stock_level"))[0]

    async with ledger.connection.transaction():
        movement = await ledger.connection.fetchval(
            "INSERT INTO stock_movement (store_id, product_id, quantity, cost, cause) "
            "VALUES ($1, $2, -3, -300, 'ADJUSTMENT') RETURNING id",
            store,
            product,
        )
        await ledger.connection.execute("INSERT INTO lot_use VALUES ($1, 1, -3)", movement)

    assert await totals(ledger) == [(11, 2_600)]
