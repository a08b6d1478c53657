import datetime as dt
from collections.abc import AsyncIterator

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.stock import MovementCause
from graphql_api.ledger import book, moves
from graphql_api.ledger.entries import (
    Demand,
    Entry,
    LotDemand,
    NothingToReturn,
    Receipt,
    Return,
    Shortage,
    Shortfall,
)
from tests.factories import create_product
from tests.fifo_tables import TABLES, Bought, Table
from tests.services.ledger_case import DAY, LedgerCase

MAY = dt.date(2024, 5, 1)
JUNE = dt.date(2024, 6, 1)


@pytest.fixture
async def ledger(database: Database) -> AsyncIterator[LedgerCase]:
    async with database.dedicated() as connection:
        case = LedgerCase(database, connection)
        yield case
        assert await case.contradictions() == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
async def test_the_ledger_costs_what_the_book_says(ledger: LedgerCase, table: Table) -> None:
    key = await ledger.key()

    for event in table.events:
        if isinstance(event, Bought):
            await ledger.receive(key, event.quantity, event.unit_cost)
        else:
            assert (await ledger.take(Demand(*key, event.quantity))).costs == [event.cost]

    assert await ledger.level(key) == (table.left, table.left_value)


async def test_what_expires_first_goes_first_then_what_came_first(ledger: LedgerCase) -> None:
    # given
    key = await ledger.key()
    keeps_new = await ledger.receive(key, 1, received_on=DAY)
    keeps_old = await ledger.receive(key, 1, received_on=DAY - dt.timedelta(days=1))
    june = await ledger.receive(key, 1, expires_on=JUNE)
    may = await ledger.receive(key, 1, expires_on=MAY)

    # when
    taken = [(await ledger.take(Demand(*key, 1))).movements[0].pieces[0].lot_id for _ in range(4)]

    # then
    assert taken == [may, june, keeps_old, keeps_new]


async def test_expired_lots_are_left_alone_when_they_must_not_be_sold(ledger: LedgerCase) -> None:
    # given
    key = await ledger.key()
    expired = await ledger.receive(key, 5, expires_on=MAY)
    good = await ledger.receive(key, 5, expires_on=JUNE)

    # when
    posting = await ledger.take(Demand(*key, 2), usable_on=MAY + dt.timedelta(days=1))

    # then
    assert [piece.lot_id for piece in posting.movements[0].pieces] == [good]
    assert await ledger.remaining() == {expired: 5, good: 3}


async def test_a_lot_can_be_sold_on_its_last_day(ledger: LedgerCase) -> None:
    key = await ledger.key()
    await ledger.receive(key, 5, expires_on=MAY)

    await ledger.take(Demand(*key, 5), usable_on=MAY)

    assert await ledger.level(key) == (0, 0)


async def test_expired_bottles_do_not_count_as_available(ledger: LedgerCase) -> None:
    key = await ledger.key()
    await ledger.receive(key, 5, expires_on=MAY)
    await ledger.receive(key, 3, expires_on=JUNE)

    with pytest.raises(Shortage) as shortage:
        await ledger.take(Demand(*key, 4), usable_on=JUNE)

    assert shortage.value.shortfalls == (Shortfall(*key, requested=4, available=3),)


async def test_all_that_is_short_is_named_and_nothing_is_taken(ledger: LedgerCase) -> None:
    # given
    store, ale, stout, gin = (await ledger.store()).id, *[(await ledger.product()).id for _ in range(3)]
    await ledger.receive((store, ale), 5)
    await ledger.receive((store, stout), 5)
    before = await ledger.remaining()

    # when: neither line of ale is too much by itself
    demands = [Demand(store, ale, 3), Demand(store, gin, 1), Demand(store, stout, 5), Demand(store, ale, 3)]
    with pytest.raises(Shortage) as shortage:
        await ledger.take(*demands)

    # then
    assert set(shortage.value.shortfalls) == {Shortfall(store, ale, 6, 5), Shortfall(store, gin, 1, 0)}
    assert await ledger.remaining() == before
    assert await ledger.level((store, gin)) is None


async def test_the_same_product_twice_is_one_demand_with_a_movement_each(ledger: LedgerCase) -> None:
    key = await ledger.key()
    await ledger.receive(key, 3, 100)
    await ledger.receive(key, 3, 200)

    posting = await ledger.take(Demand(*key, 2), Demand(*key, 4))

    assert posting.costs == [200, 100 + 600]
    assert [movement.quantity for movement in posting.movements] == [-2, -4]
    assert await ledger.level(key) == (0, 0)


async def test_a_few_bottles_are_found_among_many_lots_without_reading_them_all(ledger: LedgerCase) -> None:
    # given
    key = await ledger.key()
    receipts = [Receipt(*key, 1, cost, DAY) for cost in range(1, 5_001)]
    await ledger.act(moves.receive, receipts, Entry(MovementCause.RECEIPT))
    await ledger.connection.execute("ANALYZE stock_lot")
    fetched = "SELECT coalesce(sum(idx_tup_fetch + seq_tup_read), 0) FROM pg_stat_xact_user_tables WHERE relname = $1"

    # when
    async with ledger.connection.transaction():
        # the server may not have handed on yet what earlier transactions have read
        before = await ledger.connection.fetchval(fetched, "stock_lot")
        posting = await moves.take(ledger.connection, [Demand(*key, 3)], Entry(MovementCause.SALE))
        read = await ledger.connection.fetchval(fetched, "stock_lot") - before

    # then
    assert posting.costs == [1 + 2 + 3]
    assert read < 50


async def test_what_goes_back_returns_to_its_lots_the_last_taken_first(ledger: LedgerCase) -> None:
    # given
    key = await ledger.key()
    first, second = await ledger.receive(key, 4, 100), await ledger.receive(key, 4, 250)
    invoice = await ledger.invoice(key[0], key[1])
    await ledger.take(Demand(*key, 6, invoice, 1))

    # when
    back = await ledger.give_back(Return(*key, invoice, 1, 3, invoice))

    # then
    assert back.costs == [2 * 250 + 100]
    assert await ledger.remaining() == {first: 1, second: 4}


async def test_what_went_back_does_not_go_back_again(ledger: LedgerCase) -> None:
    # given
    key = await ledger.key()
    await ledger.receive(key, 10)
    invoice = await ledger.invoice(key[0], key[1])
    await ledger.take(Demand(*key, 6, invoice, 1))
    await ledger.give_back(Return(*key, invoice, 1, 4, invoice))

    # when
    with pytest.raises(NothingToReturn):
        await ledger.give_back(Return(*key, invoice, 1, 3, invoice))
    await ledger.give_back(Return(*key, invoice, 1, 2, invoice))
    with pytest.raises(NothingToReturn):
        await ledger.give_back(Return(*key, invoice, 1, 1, invoice))

    # then
    assert await ledger.level(key) == (10, 6_000)


async def test_a_line_gives_back_no_more_in_parts_than_as_a_whole(ledger: LedgerCase) -> None:
    key = await ledger.key()
    await ledger.receive(key, 10)
    invoice = await ledger.invoice(key[0], key[1])
    await ledger.take(Demand(*key, 6, invoice, 1))

    with pytest.raises(NothingToReturn):
        await ledger.give_back(Return(*key, invoice, 1, 4, invoice), Return(*key, invoice, 1, 4, invoice))

    assert await ledger.level(key) == (4, 2_400)


async def test_one_line_does_not_give_back_what_another_took(ledger: LedgerCase) -> None:
    key = await ledger.key()
    await ledger.receive(key, 10)
    invoice, other = await ledger.invoice(key[0], key[1], key[1]), await ledger.invoice(key[0], key[1])
    await ledger.take(Demand(*key, 6, invoice, 1), Demand(*key, 2, invoice, 2), Demand(*key, 2, other, 1))

    for number, document in ((2, invoice), (1, other)):
        with pytest.raises(NothingToReturn):
            await ledger.give_back(Return(*key, document, number, 3, document))


async def test_a_credit_note_counts_against_the_invoice_it_takes_back(ledger: LedgerCase) -> None:
    # given
    key = await ledger.key()
    await ledger.receive(key, 10)
    invoice, note = await ledger.invoice(key[0], key[1]), await ledger.invoice(key[0], key[1])
    await ledger.connection.execute("UPDATE invoice SET credit_of = $1 WHERE id = $2", invoice, note)
    await ledger.take(Demand(*key, 5, invoice, 1))
    await ledger.give_back(Return(*key, invoice, 1, 4, note), cause=MovementCause.CREDIT)

    # when
    with pytest.raises(NothingToReturn):
        await ledger.give_back(Return(*key, invoice, 1, 2, invoice))

    # then
    assert await ledger.level(key) == (9, 5_400)


async def test_certain_lots_are_taken_when_they_have_enough(ledger: LedgerCase) -> None:
    # given
    key = await ledger.key()
    first, second = await ledger.receive(key, 4, 100), await ledger.receive(key, 4, 250)

    # when
    entry = Entry(MovementCause.RECEIPT_VOID)
    posting = await ledger.act(moves.take_lots, [LotDemand(*key, second, 4)], entry)

    # then
    assert posting.costs == [1_000]
    assert await ledger.remaining() == {first: 4, second: 0}
    with pytest.raises(Shortage) as shortage:
        await ledger.act(moves.take_lots, [LotDemand(*key, first, 3), LotDemand(*key, first, 2)], entry)
    assert shortage.value.shortfalls == (Shortfall(*key, requested=5, available=4),)


async def test_a_lot_of_another_store_has_nothing_to_take(ledger: LedgerCase) -> None:
    key, other = await ledger.key(), await ledger.key()
    lot = await ledger.receive(key, 4)

    with pytest.raises(Shortage):
        await ledger.act(moves.take_lots, [LotDemand(*other, lot, 1)], Entry(MovementCause.RECEIPT_VOID))


async def test_a_transfer_keeps_cost_age_and_expiry(ledger: LedgerCase) -> None:
    # given
    store, product = await ledger.key()
    other = (await ledger.store()).id
    old = await ledger.receive((store, product), 3, 100, received_on=DAY - dt.timedelta(days=9))
    perishable = await ledger.receive((store, product), 2, 250, received_on=DAY, expires_on=MAY)

    # when
    gone, came = await ledger.transfer(other, Demand(store, product, 4))

    # then
    assert gone.costs == came.costs == [2 * 250 + 2 * 100]
    lots = await ledger.connection.fetch(
        "SELECT source_lot_id, received, remaining, unit_cost, received_on, expires_on FROM stock_lot "
        "WHERE store_id = $1 ORDER BY id",
        other,
    )
    assert [tuple(lot) for lot in lots] == [
        (perishable, 2, 2, 250, DAY, MAY),
        (old, 2, 2, 100, DAY - dt.timedelta(days=9), None),
    ]
    links = await ledger.connection.fetch("SELECT cause, transfer_of FROM stock_movement WHERE id = ANY($1)", came.ids)
    assert [tuple(link) for link in links] == [("TRANSFER_IN", gone.ids[0])]
    assert (await ledger.level((store, product)), await ledger.level((other, product))) == ((1, 100), (4, 700))


async def test_a_transfer_names_all_that_is_short_and_moves_nothing(ledger: LedgerCase) -> None:
    store, ale = await ledger.key()
    stout, other = (await ledger.product()).id, (await ledger.store()).id
    await ledger.receive((store, ale), 3)

    with pytest.raises(Shortage) as shortage:
        await ledger.transfer(other, Demand(store, ale, 4), Demand(store, stout, 1))

    assert {short.product_id for short in shortage.value.shortfalls} == {ale, stout}
    assert await ledger.level((store, ale)) == (3, 1_800)
    assert await ledger.connection.fetchval("SELECT count(*) FROM stock_lot WHERE store_id = $1", other) == 0


async def test_an_empty_posting_writes_nothing(ledger: LedgerCase) -> None:
    assert (await ledger.take()).ids == ()
    assert await ledger.connection.fetchval("SELECT count(*) FROM stock_movement") == 0


async def test_a_level_that_appears_while_a_sale_begins_is_not_sold_from_unlocked(
    ledger: LedgerCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given: the receipt commits between the sale's look for levels and its look for lots
    key = await ledger.key()
    lock_levels = book.lock_levels

    async def lock_then_receive(*arguments: object, **options: object) -> object:
        held = await lock_levels(*arguments, **options)  # type: ignore[arg-type]  # handed through
        monkeypatch.setattr(moves, "lock_levels", lock_levels)
        async with ledger.database.dedicated() as other:
            await LedgerCase(ledger.database, other).receive(key, 5)
        return held

    monkeypatch.setattr(moves, "lock_levels", lock_then_receive)

    # when
    with pytest.raises(Shortage):
        await ledger.take(Demand(*key, 5))

    # then
    assert await ledger.level(key) == (5, 3_000)


async def test_a_large_posting_leaves_no_plan_behind_that_reads_whole_tables(ledger: LedgerCase) -> None:
    # given: a connection whose first posting is as large as those of imports
    store = (await ledger.store()).id
    async with ledger.database.transaction() as session:
        products = [(await create_product(session)).id for _ in range(1_000)]
    receipts = [Receipt(store, product, 5, 100, DAY) for product in products]
    await ledger.act(moves.receive, receipts, Entry(MovementCause.RECEIPT))

    # when
    async with ledger.connection.transaction():
        await moves.take(ledger.connection, [Demand(store, products[7], 1)], Entry(MovementCause.SALE))
        scanned = await ledger.connection.fetch(
            "SELECT relname FROM pg_stat_xact_user_tables WHERE seq_scan > 0 "
            "AND relname IN ('stock_level', 'stock_lot', 'stock_movement', 'lot_use')"
        )

    # then
    assert scanned == []


async def test_many_lines_are_sold_in_as_many_statements_as_one(ledger: LedgerCase) -> None:
    # given
    store, ale = await ledger.key()
    stout = (await ledger.product()).id
    for product in (ale, stout):
        await ledger.receive((store, product), 50)
    statements: list[str] = []
    ledger.connection.add_query_logger(lambda record: statements.append(record.query))

    # when
    async with ledger.connection.transaction():
        statements.clear()
        await moves.take(ledger.connection, [Demand(store, ale, 1)], Entry(MovementCause.SALE))
        one = len(statements)
        lines = [Demand(store, product, 2) for product in (ale, stout) * 5]
        await moves.take(ledger.connection, lines, Entry(MovementCause.SALE))
        ten = len(statements) - one

    # then: locks, lots, movements, low stock
    assert (one, ten) == (4, 4)
