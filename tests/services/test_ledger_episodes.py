from collections.abc import AsyncIterator

import pytest

from graphql_api.database.engine import Database
from graphql_api.ledger.entries import Demand
from tests.services.ledger_case import LedgerCase

EPISODES = "SELECT on_hand, threshold, resolved_at IS NULL AS is_open FROM low_stock_episode ORDER BY id"


@pytest.fixture
async def ledger(database: Database) -> AsyncIterator[LedgerCase]:
    """Low is ten bottles or fewer, as the settings begin."""
    async with database.dedicated() as connection:
        yield LedgerCase(database, connection)


async def episodes(ledger: LedgerCase) -> list[tuple[int, int, bool]]:
    return [tuple(row) for row in await ledger.connection.fetch(EPISODES)]


async def test_an_episode_opens_at_the_threshold_and_not_above(ledger: LedgerCase) -> None:
    key = await ledger.key()
    await ledger.receive(key, 12)

    above = await ledger.take(Demand(*key, 1))
    at = await ledger.take(Demand(*key, 1))

    assert above.opened == []
    assert [(e.store_id, e.product_id, e.on_hand, e.threshold) for e in at.opened] == [(*key, 10, 10)]


async def test_falling_further_opens_no_other(ledger: LedgerCase) -> None:
    key = await ledger.key()
    await ledger.receive(key, 12)
    await ledger.take(Demand(*key, 5))

    further = await ledger.take(Demand(*key, 3))

    assert further.opened == []
    assert await episodes(ledger) == [(7, 10, True)]


async def test_it_ends_above_the_threshold_and_the_next_fall_opens_another(ledger: LedgerCase) -> None:
    # given
    key = await ledger.key()
    await ledger.receive(key, 12)
    await ledger.take(Demand(*key, 5))

    # when
    await ledger.receive(key, 3)
    still_low = await episodes(ledger)
    await ledger.receive(key, 1)
    over = await episodes(ledger)
    again = await ledger.take(Demand(*key, 4))

    # then
    assert still_low == [(7, 10, True)]
    assert over == [(7, 10, False)]
    assert len(again.opened) == 1
    assert await episodes(ledger) == [(7, 10, False), (7, 10, True)]


async def test_a_product_has_a_threshold_of_its_own(ledger: LedgerCase) -> None:
    store, product = await ledger.key()
    await ledger.connection.execute("UPDATE product SET low_stock_threshold = 3 WHERE id = $1", product)
    await ledger.receive((store, product), 5)

    first = await ledger.take(Demand(store, product, 1))
    second = await ledger.take(Demand(store, product, 1))

    assert (first.opened, [episode.threshold for episode in second.opened]) == ([], [3])


async def test_a_threshold_of_zero_is_reached_when_nothing_is_left(ledger: LedgerCase) -> None:
    store, product = await ledger.key()
    await ledger.connection.execute("UPDATE product SET low_stock_threshold = 0 WHERE id = $1", product)
    await ledger.receive((store, product), 2)

    assert (await ledger.take(Demand(store, product, 1))).opened == []
    assert len((await ledger.take(Demand(store, product, 1))).opened) == 1


async def test_what_is_not_sold_any_more_is_never_low(ledger: LedgerCase) -> None:
    # given
    store, product = await ledger.key()
    await ledger.receive((store, product), 12)
    await ledger.take(Demand(store, product, 5))

    # when
    await ledger.connection.execute("UPDATE product SET is_active = false WHERE id = $1", product)
    posting = await ledger.take(Demand(store, product, 1))

    # then
    assert posting.opened == []
    assert await episodes(ledger) == [(7, 10, False)]


async def test_one_transaction_tells_of_each_level_once(ledger: LedgerCase) -> None:
    store, ale = await ledger.key()
    stout, other = (await ledger.product()).id, (await ledger.store()).id
    for product in (ale, stout):
        await ledger.receive((store, product), 20)

    posting = await ledger.take(Demand(store, ale, 6), Demand(store, stout, 15), Demand(store, ale, 6))
    _, came = await ledger.transfer(other, Demand(store, ale, 1))

    assert [(e.product_id, e.on_hand) for e in posting.opened] == [(ale, 8), (stout, 5)]
    assert [(e.store_id, e.on_hand) for e in came.opened] == [(other, 1)]


async def test_what_is_rolled_back_leaves_no_episode(ledger: LedgerCase) -> None:
    key = await ledger.key()
    await ledger.receive(key, 12)

    transaction = ledger.connection.transaction()
    await transaction.start()
    await ledger.take(Demand(*key, 5))
    await transaction.rollback()

    assert await episodes(ledger) == []
