"""Issuing: number, stock, cost and terms, all at once or not at all; paying; trying out."""

import asyncio
import datetime as dt
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event

from graphql_api.database.engine import Database
from graphql_api.database.invoice import InvoiceRow, InvoiceStatus
from graphql_api.database.number_series import SeriesKind
from graphql_api.services.errors import Conflict, InsufficientStock
from graphql_api.services.number_series import number_kept, take_number
from graphql_api.services.unit_of_work import UnitOfWork
from tests.factories import create_customer, create_product, create_stock
from tests.services.invoice_case import InvoiceCase, refusal

MARKS = (
    "INSERT INTO audit_entry",
    "INSERT INTO invoice_line",
    "watch_stock_levels",
    "INSERT INTO number_series",
    "INSERT INTO stock_movement",
    "t.tax_rate",
    "UPDATE invoice",
    "FROM invoice_line",
    "open_stock_lots",
    "lock_stock_levels",
)
PING = re.compile(r"BEGIN;|;|ROLLBACK;|COMMIT;")


@pytest.fixture
async def case(database: Database) -> InvoiceCase:
    case = InvoiceCase(database)
    await case.fill()
    return case


async def test_an_issued_invoice_has_a_number_its_stock_and_its_cost(case: InvoiceCase) -> None:
    await case.execute("UPDATE settings SET tax_rate = 6.5")
    draft = await case.draft(case.wish(0, 2), case.wish(1, 3, "8.50", "1.00"))

    invoice = await case.issue(draft)

    assert (invoice.status, invoice.number, invoice.version) == (InvoiceStatus.ISSUED, "2633-000001", 2)
    assert await case.lines(invoice) == {1: (0, 2, 900, 0, 1_800, 1_200), 2: (1, 3, 850, 100, 2_450, 1_800)}
    assert await case.on_hand() == [8, 7, 10]
    assert (invoice.tax, invoice.tax_rate) == (276, Decimal("6.5")), "6.5 percent of 42.50 are 2.7625"
    assert await case.causes() == {"SALE": 2}
    await case.check()


async def test_numbers_count_up_by_store_and_kind(case: InvoiceCase) -> None:
    first, second = [await case.issued(case.wish(0, 1)) for _ in range(2)]
    note = (await case.credit(first)).note
    await case.execute("UPDATE number_series SET last = 999999 WHERE kind = 'INVOICE'")
    late = await case.issued(case.wish(0, 1))

    assert [invoice.number for invoice in (first, second, note, late)] == [
        "2633-000001",
        "2633-000002",
        "2633-C000001",
        "2633-1000000",
    ]


async def test_a_number_that_an_import_brought_along_is_left_out(case: InvoiceCase) -> None:
    brought = await case.issued(case.wish(0, 1))
    await case.execute("UPDATE invoice SET number = '2633-000003' WHERE id = :id", id=brought.id)

    numbers = [(await case.issued(case.wish(0, 1))).number for _ in range(2)]

    assert numbers == ["2633-000002", "2633-000004"]


async def test_a_number_that_an_import_brings_along_at_this_moment_is_a_conflict(case: InvoiceCase) -> None:
    draft, other = await case.draft(), await case.issued(case.wish(0, 1))

    async def number(work: UnitOfWork) -> None:
        row = await work.session.get_one(InvoiceRow, draft.id)
        row.number = await take_number(work, case.store.id, SeriesKind.INVOICE)
        async with case.database.transaction() as session:
            (await session.get_one(InvoiceRow, other.id)).number = row.number
        with number_kept():
            await work.session.flush()

    assert (await refusal(case.act(number)))[0] == Conflict.__name__


async def test_the_terms_of_the_moment_are_kept(case: InvoiceCase) -> None:
    # given
    async with case.database.transaction() as session:
        customer = await create_customer(session, name="Mona")
    await case.execute("UPDATE customer SET address = '1 High Street'")
    await case.execute(
        "UPDATE settings SET company_name = 'Old Ltd', company_address = 'Here', tax_number = 'T1', currency = 'EUR'"
    )
    invoice = await case.issued(case.wish(0, 1), customer_id=customer.id)

    # when
    await case.execute("UPDATE settings SET company_name = 'New Ltd', currency = 'USD', tax_rate = 20")
    await case.execute("UPDATE customer SET name = 'Lisa'")
    await case.execute("UPDATE product SET unit_price = 1, name = 'Other'")
    paid = await case.pay(invoice)

    # then
    assert (paid.company_name, paid.company_address, paid.company_tax_number) == ("Old Ltd", "Here", "T1")
    assert (paid.currency, paid.tax_rate, paid.tax) == ("EUR", Decimal(0), 0)
    assert (paid.customer_name, paid.customer_address) == ("Mona", "1 High Street")
    assert (await case.lines(paid))[1][2] == 900
    assert paid.issued_at is not None
    assert paid.paid_at is not None
    (printed,) = (await case.rows("SELECT printed->'lines'->'1'->>1 FROM invoice WHERE id = :id", id=paid.id))[0]
    assert printed == "Product ALE"


async def test_bottles_are_sold_first_expired_first_and_then_oldest_first(case: InvoiceCase) -> None:
    today = dt.datetime.now(dt.UTC).date()
    async with case.database.transaction() as session:
        product = await create_product(session)
        case.products.append(product)
        for quantity, cost, came, expires in (
            (5, 300, dt.date(2024, 1, 1), None),
            (5, 200, dt.date(2024, 2, 1), today + dt.timedelta(days=9)),
            (5, 100, dt.date(2024, 3, 1), today),
        ):
            await create_stock(
                session, case.store, product, quantity, unit_cost=cost, received_on=came, expires_on=expires
            )

    invoice = await case.issued(case.wish(3, 4), case.wish(3, 8))

    assert [line[5] for line in (await case.lines(invoice)).values()] == [4 * 100, 100 + 5 * 200 + 2 * 300]
    await case.check()


async def test_expired_bottles_are_sold_only_when_the_settings_say_so(case: InvoiceCase) -> None:
    # given: 10 good ones and 5 that expired yesterday
    yesterday = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
    async with case.database.transaction() as session:
        await create_stock(session, case.store, case.products[0], 5, expires_on=yesterday)
    draft = await case.draft(case.wish(0, 12))

    with pytest.raises(InsufficientStock) as refused:
        await case.issue(draft)
    assert [(short.requested, short.available) for short in refused.value.shortages] == [(12, 10)]
    small = await case.issued(case.wish(0, 1))
    assert (await refusal(case.set(small, case.wish(0, 11))))[0] == "InsufficientStock"

    await case.execute("UPDATE settings SET sells_expired = true")
    await case.issue(draft)
    assert await case.on_hand() == [2, 10, 10]


async def test_a_shortage_names_everything_and_leaves_the_draft_as_it_was(case: InvoiceCase) -> None:
    draft = await case.draft(case.wish(0, 6), case.wish(1, 11), case.wish(0, 5), case.wish(2, 10))
    before = await case.contents()

    with pytest.raises(InsufficientStock) as refused:
        await case.issue(draft)

    ale, gin, _ = case.products
    assert {
        (short.store_id, short.product_id, short.requested, short.available) for short in refused.value.shortages
    } == {
        (case.store.id, ale.id, 11, 10),
        (case.store.id, gin.id, 11, 10),
    }
    assert await case.contents() == before


async def test_what_cannot_be_issued(case: InvoiceCase) -> None:
    async with case.database.transaction() as session:
        customer = await create_customer(session)
    empty = await case.draft()
    draft = await case.draft(case.wish(0, 1), customer_id=customer.id)

    assert (await refusal(case.issue(empty)))[::2] == ("Conflict", ("id",))
    for table in ("customer", "product", "store"):
        await case.execute(f"UPDATE {table} SET is_active = false")  # noqa: S608 - a constant
        kind, sentence, path = await refusal(case.issue(draft))
        assert (kind, path) == ("Conflict", ("id",))
        assert ("ALE" if table == "product" else table) in sentence
        await case.execute(f"UPDATE {table} SET is_active = true")  # noqa: S608 - a constant
    invoice = await case.issue(draft)
    assert (await refusal(case.issue(invoice)))[::2] == ("Conflict", ("id",))
    draft.id = 10**15
    assert (await refusal(case.issue(draft)))[::2] == ("NotFound", ("id",))


async def test_a_store_that_has_moved_sells_at_its_new_place(case: InvoiceCase) -> None:
    draft = await case.draft(case.wish(0, 1))
    await case.execute("INSERT INTO place (city) VALUES ('ELSEWHERE')")
    await case.execute("UPDATE store SET place_id = (SELECT max(id) FROM place)")

    await case.issue(draft)

    assert await case.rows("SELECT place_id = (SELECT max(id) FROM place) FROM invoice_line") == [(True,)]


async def test_a_rehearsal_shows_everything_and_leaves_nothing(case: InvoiceCase) -> None:
    # given: a level that would become low, and a tax
    await case.execute("UPDATE settings SET tax_rate = 10, low_stock_threshold = 5")
    await case.issued(case.wish(2, 1))
    draft = await case.draft(case.wish(0, 6), case.wish(1, 1), case.wish(0, 1, "5.00"), discount=Decimal("1.00"))
    before = await case.contents()

    # when
    rehearsal = await case.rehearse(draft)

    # then
    ale, gin, _ = case.products
    assert [(line.product_id, line.quantity, line.cost) for line in rehearsal.lines] == [
        (ale.id, 6, 3_600),
        (gin.id, 1, 600),
        (ale.id, 1, 600),
    ]
    assert sum(line.revenue for line in rehearsal.lines) == 6 * 900 + 900 + 500 - 100
    assert (rehearsal.tax, rehearsal.tax_rate, rehearsal.currency) == (670, Decimal(10), "USD")
    assert dict(rehearsal.stock_left) == {ale.id: 3, gin.id: 9}
    assert await case.contents() == before
    assert (await case.issue(draft)).number == "2633-000002", "no gap"


async def test_a_rehearsal_of_what_is_short_is_refused_like_the_real_thing(case: InvoiceCase) -> None:
    draft = await case.draft(case.wish(0, 11))
    before = await case.contents()

    assert (await refusal(case.rehearse(draft)))[0] == "InsufficientStock"
    assert await case.contents() == before


async def test_an_issued_invoice_is_paid_once(case: InvoiceCase) -> None:
    draft = await case.draft(case.wish(0, 1))
    assert (await refusal(case.pay(draft)))[::2] == ("Conflict", ("id",))

    paid = await case.pay(await case.issue(draft))

    assert (paid.status, paid.version) == (InvoiceStatus.PAID, 3)
    assert (await refusal(case.pay(paid)))[::2] == ("Conflict", ("id",))


async def test_two_buyers_of_the_last_bottle(case: InvoiceCase) -> None:
    drafts = [await case.draft(case.wish(0, 10)) for _ in range(2)]

    answers = await asyncio.gather(*map(case.issue, drafts), return_exceptions=True)

    (won,) = (answer for answer in answers if isinstance(answer, InvoiceRow))
    (lost,) = (answer for answer in answers if isinstance(answer, InsufficientStock))
    assert won.number == "2633-000001"
    assert [(short.requested, short.available) for short in lost.shortages] == [(10, 0)]
    assert await case.on_hand() == [0, 10, 10]
    await case.check()


async def test_the_same_draft_issued_by_many_at_once_is_issued_once(case: InvoiceCase) -> None:
    draft = await case.draft(case.wish(0, 1))

    answers = await asyncio.gather(*(case.issue(draft) for _ in range(8)), return_exceptions=True)

    assert sum(isinstance(answer, InvoiceRow) for answer in answers) == 1
    assert sum(isinstance(answer, Conflict) for answer in answers) == 7
    assert await case.on_hand() == [9, 10, 10]


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """What goes to the server meanwhile, through SQLAlchemy and past it, on connections made from now on."""
    found: list[str] = []

    def listen(connection: Any, _record: Any) -> None:
        connection.driver_connection.add_query_logger(lambda record: found.append(record.query.strip()))

    def note(_connection: Any, _cursor: Any, statement: str, *_others: Any) -> None:
        found.append(statement.strip())

    engine = database.engine.sync_engine
    event.listen(engine, "connect", listen)
    event.listen(engine, "before_cursor_execute", note)
    yield found
    event.remove(engine, "connect", listen)
    event.remove(engine, "before_cursor_execute", note)


async def count_statements(case: InvoiceCase, lines: int) -> list[str]:
    """The statements of issuing an invoice of so many lines on a connection that is warm."""
    async with case.database.transaction() as session:
        for _ in range(lines - len(case.products)):
            product = await create_product(session)
            case.products.append(product)
            await create_stock(session, case.store, product, 100)
    drafts = [await case.draft(*(case.wish(place, 1) for place in range(lines))) for _ in range(2)]
    await case.database.engine.dispose()
    with statements(case.database) as found:
        await case.issue(drafts[0])
        found.clear()
        await case.issue(drafts[1])
    return list(found)


async def test_issuing_takes_the_same_few_statements_however_many_lines_there_are(case: InvoiceCase) -> None:
    few, many = await count_statements(case, 3), await count_statements(case, 40)

    # what the pool asks of a connection before it hands it out is not counted
    few, many = ([statement for statement in found if not PING.fullmatch(statement)] for found in (few, many))
    # the driver tells of its statements a moment late, hence no order
    assert Counter(verb(statement) for statement in few) == Counter(
        [
            "t.tax_rate",  # the invoice, with store, customer and terms
            "FROM invoice_line",
            "lock_stock_levels",
            "open_stock_lots",
            "INSERT INTO stock_movement",
            "watch_stock_levels",
            "INSERT INTO invoice_line",
            "INSERT INTO number_series",  # from here on other documents of the store wait
            "UPDATE invoice",
            "INSERT INTO audit_entry",
        ]
    )
    assert {verb(statement) for statement in few[-3:]} == {
        "INSERT INTO number_series",
        "UPDATE invoice",
        "INSERT INTO audit_entry",
    }
    assert sorted(few) == sorted(many)


def verb(statement: str) -> str:
    """What a statement is known by: the first of the marks that it has."""
    return next((mark for mark in MARKS if mark in statement), statement)


COLD = """
from graphql_api.database.invoice import InvoiceRow
from graphql_api.services.reading import plain_row
print(plain_row(InvoiceRow, {"number": "2633-000001"}).number)
"""


def test_the_first_invoice_of_a_process_can_be_issued() -> None:
    """Nothing else has made a row yet, and so nothing has told the tables of each other."""
    done = subprocess.run([sys.executable, "-c", COLD], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "2633-000001"
