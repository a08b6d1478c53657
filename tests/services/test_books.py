"""The check of the books: it holds on sound books, and each thing that can be wrong is named by the check for it."""

import asyncio
import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.database.invoice import InvoiceStatus
from graphql_api.database.number_series import NumberSeriesRow, SeriesKind
from graphql_api.database.purchase import PurchaseLineRow, PurchaseRow, PurchaseStatus
from graphql_api.database.stock import MovementCause
from graphql_api.database.user import Role
from graphql_api.ledger.entries import Demand, Receipt, Return
from graphql_api.services import posting
from graphql_api.services.books import BooksCheck, Violation, check_snapshot
from graphql_api.services.books_checks import CHECKS, PAST_CHECKS
from graphql_api.services.books_watch import check_and_remember, last_check, watch_books
from graphql_api.services.errors import BadInput
from graphql_api.services.unit_of_work import unit_of_work
from tests.conftest import Databases
from tests.factories import SOME_DAY, Line, create_invoice, create_product, create_store, create_user

# What stands for the day on which the events of sound books were written.
DAY = "{day}"


def today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


@dataclass(frozen=True)
class Shop:
    """Two stores, a product, an invoice that sold five bottles and got one back; and the day of their events."""

    store: int
    other: int
    product: int
    invoice: int
    day: dt.date | None = None


async def create_books(database: Database) -> Shop:
    """Books with a movement of every kind: 40 bottles bought at 5.00 and 6.00, sold, given back, moved, written off."""
    async with unit_of_work(database) as work:
        session = work.session
        store, other = await create_store(session, number=1), await create_store(session, number=2)
        product = await create_product(session, sku="R")
        purchase = PurchaseRow(
            number="1-P000001", store_id=store.id, supplier_name="Acme", date=SOME_DAY, status=PurchaseStatus.ORDERED
        )
        session.add(purchase)
        await session.flush()
        line = PurchaseLineRow(
            purchase_id=purchase.id, line_number=1, product_id=product.id, quantity=50, received=40, unit_cost=500
        )
        session.add(line)
        await session.flush()
        receipts = [
            Receipt(store.id, product.id, 30, 500, SOME_DAY, purchase_line_id=line.id),
            Receipt(store.id, product.id, 10, 600, SOME_DAY, purchase_line_id=line.id),
        ]
        await posting.receive(work, receipts, MovementCause.RECEIPT)
        invoice = await create_invoice(
            session,
            Line(product, quantity=4, cost=2_000),
            store=store,
            number="1-000001",
            status=InvoiceStatus.ISSUED,
        )
        invoice.issued_at = dt.datetime.now(dt.UTC)
        await posting.take(work, [Demand(store.id, product.id, 5, invoice.id, 1)], MovementCause.SALE)
        back = Return(store.id, product.id, invoice.id, 1, 1, invoice.id)
        await posting.give_back(work, [back], MovementCause.SALE_LOWERED)
        await posting.transfer(work, [Demand(store.id, product.id, 7)], other.id)
        await posting.take(work, [Demand(store.id, product.id, 2)], MovementCause.ADJUSTMENT, reason="broken")
        session.add_all(
            [
                NumberSeriesRow(store_id=store.id, kind=SeriesKind.INVOICE, last=1),
                NumberSeriesRow(store_id=store.id, kind=SeriesKind.PURCHASE, last=1),
            ]
        )
        await session.execute(text("UPDATE product SET low_stock_threshold = 7"))
        await session.flush()
        return Shop(store.id, other.id, product.id, invoice.id)


async def corrupt(database: Database, *statements: str) -> None:
    """Change what the triggers would refuse, as somebody could who rules the database."""
    async with database.transaction() as session:
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            await session.execute(text(statement))


def violated(check: BooksCheck) -> dict[str, Sequence[Violation]]:
    return {result.check.name: result.violations for result in check.results if not result.is_held}


@pytest.fixture(scope="module")
def sound_books(databases: Databases, template_name: str) -> Iterator[tuple[str, Shop]]:
    """A database to be cloned, and what is in it."""
    found: list[Shop] = []

    async def fill(database: Database) -> None:
        shop = await create_books(database)
        await watch_books(database)
        async with database.transaction() as session:
            await session.execute(text("SELECT FROM relay_outbox(1000)"))
            day = await session.scalar(text("SELECT max(recorded_on) FROM event"))
        found.append(replace(shop, day=day))

    with databases.filled(template_name, fill) as name:
        yield name, found[0]


@pytest.fixture
def database_url(
    request: pytest.FixtureRequest, databases: Databases, template_name: str, sound_books: tuple[str, Shop]
) -> Iterator[str]:
    template = sound_books[0] if "shop" in request.fixturenames else template_name
    with databases.cloned(template) as name:
        yield databases.url(name)


@pytest.fixture
def shop(sound_books: tuple[str, Shop]) -> Shop:
    """Sound books; the transfer of seven has left the other store at its threshold, and all events have numbers."""
    return sound_books[1]


@pytest.mark.usefixtures("shop")
async def test_sound_books_balance(database: Database) -> None:
    check = await check_snapshot(database)

    assert violated(check) == {}
    assert check.is_balanced
    compared = {result.check.name: result.checked for result in check.results}
    assert compared == {
        "LEVELS_FOLLOW_FROM_MOVEMENTS": 2,
        "LEVELS_ARE_THEIR_LOTS": 2,
        "LOTS_FOLLOW_FROM_USES": 3,
        "MOVEMENTS_ARE_THEIR_USES": 7,
        "TRANSFERS_HAVE_TWO_SIDES": 1,
        "LINES_COST_THEIR_BOTTLES": 1,
        "FILES_COST_THEIR_BOTTLES": 0,
        "VALUE_IS_WHAT_CAME_LESS_WHAT_WENT": 2,
        "PURCHASES_RECEIVED_THEIR_LOTS": 1,
        "NUMBERS_HAVE_NO_HOLES": 2,
        "LOW_STOCK_IS_KNOWN": 2,
        "EVENTS_HAVE_NO_HOLES": 2,
    }


async def test_empty_books_balance(database: Database) -> None:
    assert (await check_snapshot(database)).is_balanced


# An import that took its bottles from stock, and the line as if it were of that.
AS_IF_FROM_A_FILE = (
    "WITH job AS (INSERT INTO import_job (stock_effect, kind, mode, on_error, dry_run, mapping, status, file_name, "
    "file_size, sha256, storage_key) VALUES ('DEDUCT', 'SALES', 'INSERT', 'REJECT_ROW', false, '{}', 'COMPLETED', "
    "'a', 1, '0', 'a') RETURNING id) UPDATE invoice_line SET import_id = job.id FROM job"
)
# What is done to the books, the check that must name it, and what that says.
FAULTS: list[tuple[str, str, tuple[str, str, str]]] = [
    (
        "UPDATE stock_level SET on_hand = on_hand + 1 WHERE on_hand = 27",
        "LEVELS_FOLLOW_FROM_MOVEMENTS",
        ("product R of store 1", "27 bottles, 14500 cents", "28 bottles, 14500 cents"),
    ),
    (
        "UPDATE stock_level SET value = value - 1 WHERE on_hand = 27",
        "LEVELS_ARE_THEIR_LOTS",
        ("product R of store 1", "27 bottles, 14500 cents", "27 bottles, 14499 cents"),
    ),
    (
        "DELETE FROM stock_level WHERE on_hand = 7",
        "LEVELS_FOLLOW_FROM_MOVEMENTS",
        ("product R of store 2", "7 bottles, 3500 cents", "0 bottles, 0 cents"),
    ),
    (
        "UPDATE stock_lot SET remaining = remaining - 1 WHERE received = 30",
        "LOTS_FOLLOW_FROM_USES",
        ("lot 1 of product R of store 1", "17 of 30 bottles", "16 of 30 bottles"),
    ),
    (
        "UPDATE stock_lot SET received = 31 WHERE received = 30",
        "LOTS_FOLLOW_FROM_USES",
        ("lot 1 of product R of store 1", "17 of 30 bottles", "17 of 31 bottles"),
    ),
    (
        "UPDATE stock_lot SET unit_cost = 601 WHERE received = 10",
        "LEVELS_ARE_THEIR_LOTS",
        ("product R of store 1", "27 bottles, 14510 cents", "27 bottles, 14500 cents"),
    ),
    (
        "UPDATE stock_movement SET cost = cost - 1 WHERE cause = 'ADJUSTMENT'",
        "MOVEMENTS_ARE_THEIR_USES",
        ("movement 7 of product R of store 1", "-2 bottles, -1000 cents", "-2 bottles, -1001 cents"),
    ),
    (
        "DELETE FROM lot_use WHERE movement_id = 7",
        "MOVEMENTS_ARE_THEIR_USES",
        ("movement 7 of product R of store 1", "only lots of this level", "lots of another one, or none"),
    ),
    (
        "UPDATE lot_use SET lot_id = 3 WHERE movement_id = 7",
        "MOVEMENTS_ARE_THEIR_USES",
        ("movement 7 of product R of store 1", "only lots of this level", "lots of another one, or none"),
    ),
    (
        "UPDATE stock_movement SET transfer_of = NULL, cause = 'ADJUSTMENT' WHERE cause = 'TRANSFER_IN'",
        "TRANSFERS_HAVE_TWO_SIDES",
        ("transfer 5 of product R of store 1", "7 bottles, 3500 cents at another store", "nothing has come"),
    ),
    (
        "UPDATE stock_movement SET cost = cost - 5 WHERE cause = 'TRANSFER_IN'",
        "TRANSFERS_HAVE_TWO_SIDES",
        (
            "transfer 5 of product R of store 1",
            "7 bottles, 3500 cents at another store",
            "7 bottles, 3495 cents",
        ),
    ),
    (
        "DELETE FROM stock_movement WHERE cause = 'TRANSFER_OUT'",
        "TRANSFERS_HAVE_TWO_SIDES",
        ("transfer 5 of product R of store 2", "a movement that left another store", "7 bottles, 3500 cents"),
    ),
    (
        "UPDATE invoice_line SET cost = 1999",
        "LINES_COST_THEIR_BOTTLES",
        ("line 1 of invoice 1-000001 of product R of store 1", "2000 cents", "1999 cents"),
    ),
    (
        "DELETE FROM invoice_line",
        "LINES_COST_THEIR_BOTTLES",
        ("line 1 of invoice 1-000001 of product R of store 1", "2000 cents", "0 cents"),
    ),
    (
        "UPDATE invoice SET status = 'VOID'",
        "LINES_COST_THEIR_BOTTLES",
        ("line 1 of invoice 1-000001 of product R of store 1", "2000 cents", "0 cents"),
    ),
    (
        AS_IF_FROM_A_FILE,
        "FILES_COST_THEIR_BOTTLES",
        ("lines of import 1 of product R of store 1", "0 cents", "2000 cents"),
    ),
    (
        "UPDATE invoice_line SET cost = 1999",
        "VALUE_IS_WHAT_CAME_LESS_WHAT_WENT",
        (
            "all stock of store 1",
            "14501 cents: 21000 received, 1999 sold, -4500 adjusted and transferred",
            "14500 cents",
        ),
    ),
    (
        "UPDATE purchase_line SET received = 39",
        "PURCHASES_RECEIVED_THEIR_LOTS",
        ("line 1 of purchase 1-P000001 of product R of store 1", "40 bottles, 40 in lots", "39 bottles, 40 in lots"),
    ),
    (
        "UPDATE stock_lot SET purchase_line_id = NULL WHERE received = 10",
        "PURCHASES_RECEIVED_THEIR_LOTS",
        ("line 1 of purchase 1-P000001 of product R of store 1", "40 bottles, 40 in lots", "40 bottles, 30 in lots"),
    ),
    (
        "UPDATE number_series SET last = 4 WHERE kind = 'INVOICE'",
        "NUMBERS_HAVE_NO_HOLES",
        ("series INVOICE of store 1", "the numbers 1 to 4", "3 missing, the first is 2"),
    ),
    (
        "UPDATE number_series SET last = 0 WHERE kind = 'PURCHASE'",
        "NUMBERS_HAVE_NO_HOLES",
        ("series PURCHASE of store 1", "the numbers 1 to 0", "1 documents"),
    ),
    (
        "DELETE FROM low_stock_episode",
        "LOW_STOCK_IS_KNOWN",
        ("product R of store 2", "1 episode for 7 bottles at a threshold of 7", "0 open"),
    ),
    (
        "UPDATE product SET low_stock_threshold = 6",
        "LOW_STOCK_IS_KNOWN",
        ("product R of store 2", "0 episode for 7 bottles at a threshold of 6", "1 open"),
    ),
    (
        "UPDATE event_head SET last = 3",
        "EVENTS_HAVE_NO_HOLES",
        ("the end of the events", "0 events from number 13", "0 events from number 4"),
    ),
    (
        "DELETE FROM event WHERE number = 2",
        "EVENTS_HAVE_NO_HOLES",
        (f"events of {DAY}", "12 events from number 1", "11 events from number 1"),
    ),
    (
        "DELETE FROM event WHERE number = 1",
        "EVENTS_HAVE_NO_HOLES",
        (f"events of {DAY}", "11 events from number 1", "11 events from number 2"),
    ),
]


@pytest.mark.parametrize(("fault", "name", "expected"), FAULTS, ids=[fault for fault, _, _ in FAULTS])
async def test_each_fault_is_named(
    database: Database, shop: Shop, fault: str, name: str, expected: tuple[str, str, str]
) -> None:
    what, *numbers = expected
    await corrupt(database, fault)

    check = await check_snapshot(database)

    assert not check.is_balanced
    assert Violation(what.replace(DAY, str(shop.day)), *numbers) in violated(check)[name]


def test_every_check_has_a_fault_that_it_names() -> None:
    assert {name for _, name, _ in FAULTS} == {check.name for check in CHECKS}


@pytest.mark.usefixtures("shop")
async def test_a_number_that_an_import_brought_along_is_no_hole(database: Database) -> None:
    # given the series has left out 2 because of it
    async with database.transaction() as session:
        await create_invoice(session, number="1-000002")
        await session.execute(text("UPDATE number_series SET last = 2 WHERE kind = 'INVOICE'"))

    assert violated(await check_snapshot(database)) == {}


@pytest.mark.usefixtures("shop")
async def test_of_many_faults_twenty_are_shown_and_all_are_counted(database: Database) -> None:
    await corrupt(
        database,
        "INSERT INTO stock_level (store_id, product_id, on_hand, value) "
        "SELECT 1000 + n, 1, 99, 1 FROM generate_series(1, 30) n",
    )

    result = (await check_snapshot(database)).results[0]

    assert (result.violated, len(result.violations)) == (30, 20)


@pytest.mark.usefixtures("shop")
async def test_the_past_is_checked_as_far_as_movements_tell(database: Database) -> None:
    # given bottles that were written off a day before they came, and a wrong movement of the last day
    present = today()
    await corrupt(database, "UPDATE stock_movement SET at = now() - interval '10 days'")
    assert (await check_snapshot(database, present - dt.timedelta(days=5))).is_balanced
    came = "UPDATE stock_movement SET at = date_trunc('day', now(), 'UTC') - interval '3 days' WHERE cause = 'RECEIPT'"
    await corrupt(database, came)
    await corrupt(database, "UPDATE stock_movement SET cost = cost - 1, at = now() WHERE cause = 'ADJUSTMENT'")

    nothing = await check_snapshot(database, present - dt.timedelta(days=11))
    before = await check_snapshot(database, present - dt.timedelta(days=4))
    after = await check_snapshot(database, present - dt.timedelta(days=3))
    now = await check_snapshot(database, present)

    assert [result.checked for result in nothing.results] == [0] * len(PAST_CHECKS)
    assert {name: len(found) for name, found in violated(before).items()} == {"LEVELS_WERE_THEIR_LOTS": 1}
    assert violated(after) == {}
    assert set(violated(now)) == {"LEVELS_WERE_THEIR_LOTS", "MOVEMENTS_ARE_THEIR_USES"}


async def test_the_future_is_refused(database: Database) -> None:
    with pytest.raises(BadInput) as refused:
        await check_snapshot(database, today() + dt.timedelta(days=1))
    assert refused.value.path == ("asOf",)


async def test_the_books_balance_at_any_moment_while_others_move_stock(database: Database, shop: Shop) -> None:
    done = asyncio.Event()
    moves = 0

    async def move() -> None:
        nonlocal moves
        while not done.is_set():
            async with unit_of_work(database) as work:
                await posting.transfer(work, [Demand(shop.store, shop.product, 1)], shop.other)
                await posting.transfer(work, [Demand(shop.other, shop.product, 1)], shop.store)
            moves += 1

    found: list[dict[str, Sequence[Violation]]] = []
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(move())
        try:
            while len(found) < 8 or moves < 5:
                found.append(violated(await check_snapshot(database)))
        finally:
            done.set()

    assert found == [{}] * len(found)


async def notifications(database: Database) -> list[Any]:
    async with database.read() as session:
        found = await session.execute(
            text(
                "SELECT n.severity, n.title, n.values FROM notification n JOIN notification_recipient r "
                "ON r.notification_id = n.id WHERE n.topic LIKE 'books:%'"
            )
        )
        return [tuple(row) for row in found]


@pytest.mark.usefixtures("shop")
async def test_administrators_are_told_of_wrong_books_once_a_day(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with database.transaction() as session:
        await create_user(session, role=Role.ADMIN)
        await create_user(session, role=Role.STAFF)
    await watch_books(database)
    assert await notifications(database) == []

    await corrupt(database, "UPDATE invoice_line SET cost = 1999")
    await watch_books(database)
    await watch_books(database)

    names = "LINES_COST_THEIR_BOTTLES, VALUE_IS_WHAT_CAME_LESS_WHAT_WENT"
    assert await notifications(database) == [("ERROR", "The books are out of balance", {"checks": names})]
    assert "line 1 of invoice 1-000001 of product R of store 1 is 1999 cents, not 2000 cents" in caplog.text


@pytest.mark.usefixtures("shop")
async def test_the_last_check_is_remembered(database: Database) -> None:
    await corrupt(database, "UPDATE purchase_line SET received = 39")

    made = await check_and_remember(database)

    async with database.read() as session:
        kept = await last_check(session)
    assert kept is not None
    assert (kept.checked_at, kept.violated) == (made.checked_at, ["PURCHASES_RECEIVED_THEIR_LOTS"])
