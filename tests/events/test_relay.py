"""The relay: what gets which number, when, and who is told of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis
from sqlalchemy import text

from graphql_api.database.engine import Database, transaction_driver
from graphql_api.database.stock import MovementCause
from graphql_api.events import low_mark
from graphql_api.events import relay as relay_module
from graphql_api.events.announcer import MOST_WAITING, Announcer
from graphql_api.events.broadcast import Gap
from graphql_api.events.bus import Bus
from graphql_api.events.low_mark import LowMark
from graphql_api.events.relay import LEADER_LOCK, Relay
from graphql_api.ledger import moves
from graphql_api.ledger.entries import Demand, Entry
from tests.events.conftest import PATIENCE
from tests.events.event_case import EventCase
from tests.factories import create_product, create_stock, create_store

LONG = 3600.0
HINTS = "graphql_api.log.hints"
NOWHERE = "redis://127.0.0.1:1/0"
GATE = 4_711
MANY_PRODUCTS = "INSERT INTO product (sku, name) SELECT n::text, 'x' FROM generate_series(1, 30) n"
WAITING_FOR = "SELECT count(*) FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))"
WAITING_AT_GATE = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted"


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not is_so():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running(*relays: Relay) -> AsyncIterator[None]:
    """Run the relays; one of them leads from the beginning."""
    tasks = [asyncio.create_task(relay.run()) for relay in relays]
    try:
        await until(lambda: any(relay.is_leading for relay in relays))
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def standing(relay: Relay) -> AsyncIterator[None]:
    """Run a relay while another one leads."""
    task = asyncio.create_task(relay.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def connected_bus(redis_url: str) -> AsyncIterator[Bus]:
    bus = Bus(redis_url, "log")
    task = asyncio.create_task(bus.run())
    try:
        await until(lambda: bus.is_connected)
        yield bus
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def numbered(case: EventCase, count: int) -> None:
    """Wait until so many events have numbers."""
    async with asyncio.timeout(PATIENCE):
        while len(await case.logged()) < count:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.005)


async def test_numbers_follow_each_other_in_the_order_in_which_things_were_told(case: EventCase) -> None:
    for key in (5, 3, 4):
        await case.tell(key)

    assert (await case.relay(2), await case.relay(2), await case.relay(2)) == ([1, 2], [3], [])

    assert [(number, fact["n"]) for number, _, fact in await case.logged()] == [(1, 5), (2, 3), (3, 4)]
    assert await case.told() == []


async def test_many_who_give_numbers_at_once_leave_no_hole(database: Database, case: EventCase) -> None:
    await case.tell(*range(500))

    async def relay() -> int:
        moved = 0
        async with database.dedicated() as connection:
            while found := await connection.fetch("SELECT FROM relay_outbox(7)"):
                moved += len(found)
        return moved

    assert sum(await asyncio.gather(*(relay() for _ in range(6)))) == 500
    assert [number for number, _, _ in await case.logged()] == list(range(1, 501))
    assert [fact["n"] for _, _, fact in await case.logged()] == list(range(500))


async def test_small_changes_pass_a_large_one_unless_it_has_changed_the_same_things(case: EventCase) -> None:
    # given a large change, and after it changes of a thing that it leaves alone (twice) and of its last one
    await case.tell(*range(100))
    await case.tell(1000)
    await case.tell(99)
    await case.tell(1000)

    # when
    await case.relay(10)
    first = [fact["n"] for _, _, fact in await case.logged()]
    while await case.relay(10):
        pass

    # then
    assert first == [*range(10), 1000, 1000]
    assert [fact["n"] for _, _, fact in await case.logged()] == [*range(10), 1000, 1000, *range(10, 100), 99]


async def stop_between_looks(case: EventCase) -> None:
    """Have every batch wait at the gate between its first look at the outbox and the next."""
    source = await case.connection.fetchval("SELECT pg_get_functiondef('relay_outbox'::regproc)")
    before, then, after = source.partition("IF cardinality(moved) = most THEN")
    gate = f"PERFORM pg_advisory_lock_shared({GATE}); PERFORM pg_advisory_unlock_shared({GATE}); "
    assert after
    await case.connection.execute(before + gate + then + after)


async def test_what_is_committed_while_a_batch_is_chosen_is_not_passed(database: Database, case: EventCase) -> None:
    await stop_between_looks(case)
    async with database.dedicated() as gate, database.dedicated() as one, database.dedicated() as other:
        # given a large change and, with an id among its own, another that is not committed when the batch is chosen
        await gate.execute("SELECT pg_advisory_lock($1)", GATE)
        large, early = one.transaction(), other.transaction()
        await asyncio.gather(large.start(), early.start())
        await EventCase(one).tell(1)
        await EventCase(other).tell(1000)
        await EventCase(one).tell(*range(2, 30))
        await large.commit()
        batch = asyncio.create_task(case.relay(10))
        async with asyncio.timeout(PATIENCE):
            while not await one.fetchval(WAITING_AT_GATE, GATE):  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.005)

        # when it is, and the same thing changes once more
        await early.commit()
        await EventCase(one).tell(1000)
        await gate.execute("SELECT pg_advisory_unlock($1)", GATE)
        await batch

    # then
    while await case.relay(10):
        pass
    rows = await case.connection.fetch("SELECT recorded_at FROM event WHERE payload ->> 'n' = '1000' ORDER BY number")
    times = [row[0] for row in rows]
    assert len(times) == 2
    assert times == sorted(times)


async def test_times_of_low_stock_of_one_level_keep_their_order(database: Database, case: EventCase) -> None:
    # given a level that is low
    async with database.transaction() as session:
        store, product = await create_store(session), await create_product(session)
        await create_stock(session, store, product, 5)
    await case.told()

    # when that ends with a large change, and a small one makes it low again
    async with database.transaction() as session:
        await session.execute(text(MANY_PRODUCTS))
        await create_stock(session, store, product, 50)
    async with database.transaction() as session:
        demand = [Demand(store.id, product.id, 53)]
        await moves.take(await transaction_driver(session), demand, Entry(MovementCause.ADJUSTMENT))
    while await case.relay(10):
        pass

    # then
    assert [fact["change"] for _, topic, fact in await case.logged() if topic == "LOW_STOCK"] == ["RESOLVED", "OPENED"]


async def test_what_somebody_takes_out_of_the_queue_leaves_no_hole(database: Database, case: EventCase) -> None:
    await case.tell(1, 2, 3)
    async with database.dedicated() as other:
        removal = other.transaction()
        await removal.start()
        await other.execute("DELETE FROM outbox WHERE id = 2")
        batch = asyncio.create_task(case.relay())
        async with asyncio.timeout(PATIENCE):
            while not await other.fetchval(WAITING_FOR, other.get_server_pid()):  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.005)
        await removal.commit()
        assert await batch == [1, 2]

    await case.tell(4)
    assert await case.relay() == [3]


async def test_many_small_changes_go_in_their_order(case: EventCase) -> None:
    for key in range(30):
        await case.tell(key)

    while await case.relay(10):
        pass

    assert [fact["n"] for _, _, fact in await case.logged()] == list(range(30))


async def test_every_process_is_told_of_events_as_they_are(database: Database, redis_url: str, case: EventCase) -> None:
    async with connected_bus(redis_url) as bus, bus.events() as messages, running(Relay(database.url, bus)):
        async with database.transaction() as session:
            product = await create_product(session, sku="P")
        async with asyncio.timeout(PATIENCE):
            message = await anext(messages)

    assert not isinstance(message, Gap)
    row = await case.connection.fetchrow("SELECT to_json(recorded_at)::text, payload::text FROM event")
    assert row is not None
    event = {"number": 1, "topic": "PRODUCT", "recorded_at": json.loads(row[0]), "payload": json.loads(row[1])}
    assert json.loads(message) == {"first": 1, "events": [event]}
    assert event["payload"]["product"] == product.id


async def test_of_many_events_only_the_last_number_is_told(
    database: Database, redis_url: str, case: EventCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "MESSAGE_BYTES", 1_000)
    async with connected_bus(redis_url) as bus, bus.events() as messages, running(Relay(database.url, bus)):
        await case.tell(*range(50))
        async with asyncio.timeout(PATIENCE):
            message = await anext(messages)

    assert not isinstance(message, Gap)
    assert json.loads(message) == {"last": 50}


async def test_who_leads_looks_at_once_when_another_process_has_committed(
    database: Database, redis_url: str, case: EventCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given nobody looks by himself
    monkeypatch.setattr(relay_module, "POLL_SECONDS", LONG)
    monkeypatch.setattr(relay_module, "SILENT_SECONDS", LONG)
    async with connected_bus(redis_url) as bus, connected_bus(redis_url) as other, Redis.from_url(redis_url) as redis:
        leading, waiting = Relay(database.url, bus), Relay(database.url, other)
        async with running(leading), running(leading):
            pass
        async with running(leading), standing(waiting):
            database.on_commit = waiting.wake
            # a hint that came before anybody listened would be lost
            async with asyncio.timeout(PATIENCE):
                while not dict(await redis.pubsub_numsub(HINTS))[HINTS.encode()]:  # noqa: ASYNC110 - Redis tells nobody
                    await asyncio.sleep(0.01)

            # when
            async with database.transaction() as session:
                await create_product(session)

            # then it is numbered long before anybody would have looked
            await numbered(case, 1)
            assert not waiting.is_leading


async def test_a_commit_that_nobody_tells_of_is_found_soon(database: Database, case: EventCase) -> None:
    async with running(Relay(database.url, Bus(None, "log"))):
        await case.tell(1)
        await numbered(case, 1)


async def test_without_redis_numbers_are_given_all_the_same(database: Database, case: EventCase) -> None:
    async with running(Relay(database.url, Bus(NOWHERE, "log"))):
        await case.tell(1)
        await case.tell(2)
        await numbered(case, 2)


async def test_one_leads_and_another_when_its_connection_is_lost(
    database: Database, case: EventCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    # none is to be taken for silent because the machine is busy
    monkeypatch.setattr(relay_module, "SILENT_SECONDS", LONG)
    relays = [Relay(database.url, Bus(None, "log")) for _ in range(3)]
    async with running(*relays):
        # the others have time to try
        await asyncio.sleep(0.5)
        (first,) = [relay for relay in relays if relay.is_leading]

        await case.connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1", LEADER_LOCK
        )
        await until(lambda: not first.is_leading)
        await until(lambda: any(relay.is_leading for relay in relays))
        await case.tell(1)
        await numbered(case, 1)
        assert sum(relay.is_leading for relay in relays) == 1


async def test_a_database_that_lacks_the_tables_is_warned_of_once(
    server_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    task = asyncio.create_task(Relay(server_url, Bus(None, "log")).run())
    try:
        await until(lambda: bool(caplog.records))
        # and the next attempts say nothing
        await asyncio.sleep(1)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert [record.message.split(":")[0] for record in caplog.records] == [
        "This process cannot number events and tries again"
    ]


async def test_a_commit_is_told_and_a_rollback_is_not(database: Database) -> None:
    commits = []
    database.on_commit = lambda: commits.append(1)
    async with database.transaction() as session:
        await create_product(session)
        assert commits == []
    with pytest.raises(KeyError):
        async with database.transaction():
            raise KeyError
    async with database.read():
        pass

    assert commits == [1]


class TestLowMark:
    @pytest.fixture
    async def mark(self, case: EventCase, monkeypatch: pytest.MonkeyPatch) -> LowMark:
        monkeypatch.setattr(low_mark, "RAISE_SECONDS", 0.0)
        monkeypatch.setattr(low_mark, "FORGET_SECONDS", LONG)
        return LowMark(case.connection)

    async def look(self, mark: LowMark, times: int = 6) -> int:
        for _ in range(times):
            await mark.raise_when_due()
        return mark.beyond()

    async def rise(self, mark: LowMark, to: int) -> None:
        """Wait for it; transactions of other databases of the server count as well."""
        async with asyncio.timeout(PATIENCE):
            while mark.beyond() < to:
                await mark.raise_when_due()
                await asyncio.sleep(0.005)
        assert mark.beyond() == to

    async def test_it_rises_behind_what_was_moved(self, mark: LowMark, case: EventCase) -> None:
        assert await self.look(mark) == 0
        await case.tell(1, 2)
        assert await self.look(mark) == 0
        await case.relay()
        await self.rise(mark, 2)
        await case.tell(3)
        assert await case.relay(beyond=mark.beyond()) == [3]

    async def test_it_waits_for_whoever_may_have_a_lower_id(
        self, mark: LowMark, database: Database, case: EventCase
    ) -> None:
        # given a change that is not committed, and a later one that is
        async with database.dedicated() as slow:
            transaction = slow.transaction()
            await transaction.start()
            await EventCase(slow).tell(1)
            await case.tell(2)
            await case.relay()

            # when, then
            assert await self.look(mark, 10) == 0
            await transaction.commit()
        assert await self.look(mark, 10) == 0
        assert await case.relay(beyond=mark.beyond()) == [2]
        await self.rise(mark, 2)

    async def test_it_waits_for_the_only_one_who_writes(
        self, mark: LowMark, database: Database, case: EventCase
    ) -> None:
        # given a change that is not committed, and nothing has been since it began
        async with database.dedicated() as slow:
            transaction = slow.transaction()
            await transaction.start()
            await EventCase(slow).tell(1)

            # when, then
            assert await self.look(mark, 10) == 0
            await transaction.commit()
        assert await case.relay(beyond=mark.beyond()) == [1]
        await self.rise(mark, 1)

    async def test_readers_of_an_older_state_do_not_keep_it_down(
        self, mark: LowMark, database: Database, case: EventCase
    ) -> None:
        async with database.dedicated() as reader, reader.transaction(isolation="repeatable_read", readonly=True):
            await reader.fetch("SELECT FROM outbox")
            await case.tell(1)
            await case.relay()
            await self.rise(mark, 1)

    async def test_now_and_then_everything_is_looked_at(
        self, mark: LowMark, case: EventCase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await case.tell(1)
        await case.relay()
        await self.rise(mark, 1)
        monkeypatch.setattr(mark, "_forget_at", 0.0)

        assert (mark.beyond(), mark.beyond()) == (0, 1)


class SlowBus(Bus):
    """Takes nothing until it is let."""

    def __init__(self) -> None:
        super().__init__(None, "log")
        self.is_free = asyncio.Event()
        self.taken: list[str] = []

    async def publish_events(self, text: str) -> bool:
        await self.is_free.wait()
        self.taken.append(text)
        return True


async def test_what_redis_does_not_take_in_time_is_left_to_the_log() -> None:
    bus = SlowBus()
    announcer = Announcer(bus)
    task = asyncio.create_task(announcer.run())
    for number in range(1, MOST_WAITING + 5):
        announcer.tell(number, f"message {number}")
        await asyncio.sleep(0)

    bus.is_free.set()
    await until(lambda: len(bus.taken) == 4)
    task.cancel()

    newest = MOST_WAITING + 4
    assert bus.taken[0] == "message 1"
    assert [json.loads(text)["last"] for text in bus.taken if text.startswith("{")] == [newest - 2]
    assert bus.taken[-1] == f"message {newest}"
