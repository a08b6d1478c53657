"""Reading the log: in order, in steps, from any cursor that is kept."""

import asyncio

import asyncpg
import pytest

from graphql_api.database.engine import Database
from graphql_api.database.event import Topic
from graphql_api.events import log as log_module
from graphql_api.events.catalogue import ProductChanged
from graphql_api.events.cursor import CursorExpired
from graphql_api.events.log import EventLog
from graphql_api.events.retention import forget_old_events
from tests.events.conftest import PATIENCE
from tests.events.event_case import EventCase
from tests.factories import create_product

WAITING_FOR = "SELECT count(*) FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))"


@pytest.fixture
def log(database: Database) -> EventLog:
    return EventLog(database)


async def numbers(log: EventLog, *topics: Topic) -> tuple[list[int], int]:
    """Everything that is read from the beginning, two at a time, and how many calls that took."""
    found, at, calls = [], 0, 0
    while at < (await log.head()).last:
        passage = await log.read(at, topics=topics or None, most=2)
        assert passage.until > at
        found += [event.number for event in passage.events]
        at, calls = passage.until, calls + 1
    return found, calls


async def test_events_are_read_in_order_a_few_at_a_time(log: EventLog, case: EventCase) -> None:
    await case.tell(1, 2, 3, topic=Topic.PRODUCT)
    await case.tell(7, topic=Topic.IMPORT)
    await case.tell(4, topic=Topic.PRODUCT)
    await case.relay()

    assert await numbers(log) == ([1, 2, 3, 4, 5], 3)
    assert (await numbers(log, Topic.PRODUCT))[0] == [1, 2, 3, 5]
    assert (await numbers(log, Topic.IMPORT, Topic.STOCK))[0] == [4]


async def test_an_event_is_read_as_what_it_tells(log: EventLog, database: Database, case: EventCase) -> None:
    async with database.transaction() as session:
        product = await create_product(session, sku="P")
    await case.relay()

    (event,) = (await log.read(0)).events

    assert event.fact == ProductChanged(product=product.id, sku="P", version=1, change="CREATED")
    assert (event.number, event.topic) == (1, "PRODUCT")


async def test_an_event_that_cannot_be_read_keeps_its_number(log: EventLog, case: EventCase) -> None:
    await case.tell(1, topic=Topic.SALES)
    await case.tell(2, topic=Topic.STOCK)
    await case.relay()

    assert [(event.number, event.fact is None) for event in (await log.read(0)).events] == [(1, False), (2, True)]


async def test_at_the_end_there_is_nothing(log: EventLog, case: EventCase) -> None:
    await case.tell(1)
    await case.relay()

    passage = await log.read(1)

    assert (passage.events, passage.until) == ([], 1)


@pytest.mark.parametrize("after", [-1, 2, 10**15])
async def test_a_number_that_the_log_never_gave_has_expired(log: EventLog, case: EventCase, after: int) -> None:
    await case.tell(1)
    await case.relay()

    with pytest.raises(CursorExpired):
        await log.read(after)


async def test_what_is_rare_is_looked_for_in_steps(
    log: EventLog, case: EventCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given one import among many products
    monkeypatch.setattr(log_module, "SPAN", 10)
    await case.tell(*range(35))
    await case.tell(1, topic=Topic.IMPORT)
    await case.relay()

    # when
    first = await log.read(0, topics=[Topic.IMPORT])

    # then
    assert (first.events, first.until) == ([], 10)
    assert await numbers(log, Topic.IMPORT) == ([36], 4)


async def test_what_is_forgotten_while_it_is_read_is_no_hole(
    log: EventLog, database: Database, case: EventCase
) -> None:
    # given old events, and a reader whose snapshot is older than their end
    await case.tell(1, 2, 3)
    await case.relay()
    holder = await asyncpg.connect(database.url)
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("LOCK TABLE event IN ACCESS EXCLUSIVE MODE")
    reading = asyncio.create_task(log.read(0))
    async with asyncio.timeout(PATIENCE):
        while not await case.connection.fetchval(WAITING_FOR, holder.get_server_pid()):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.005)

    # when all of them are dropped before it gets to them
    await holder.execute("UPDATE event_head SET forgotten = last")
    await holder.execute(f"DROP TABLE {(await case.days())[0]}")
    await transaction.commit()
    await holder.close()

    # then
    with pytest.raises(CursorExpired):
        await reading


@pytest.mark.usefixtures("not_at_midnight")
async def test_a_cursor_is_good_as_long_as_what_follows_is_kept(
    log: EventLog, database: Database, case: EventCase
) -> None:
    await case.tell(1, 2, 3)
    await case.relay()
    await case.age(10)
    await case.tell(4, 5)
    await case.relay()

    assert await forget_old_events(database, 7) == 1

    assert await log.head() == log_module.Head((await log.head()).log, last=5, forgotten=3)
    assert [event.number for event in (await log.read(3)).events] == [4, 5]
    with pytest.raises(CursorExpired):
        await log.read(2)
