"""The latest events as one process has them, with a real log and a real Valkey."""

import asyncio
import datetime as dt
import json
import logging
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis
from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.events import counters, feed
from graphql_api.events.bus import Bus
from graphql_api.events.catalogue import Event, ProductChanged
from graphql_api.events.feed import Feed
from graphql_api.events.log import EventLog, Head

PATIENCE = 60.0
LONG = 3600.0
WRITE = """
WITH head AS (UPDATE event_head SET last = last + $1 RETURNING last - $1 AS start)
INSERT INTO event (number, recorded_on, topic, payload, recorded_at)
SELECT start + n, (now() AT TIME ZONE 'UTC')::date, 'PRODUCT',
       jsonb_build_object('product', start + n, 'sku', $2::text || (start + n), 'version', 1, 'change', 'UPDATED'),
       now()
FROM head, generate_series(1, $1) n
"""
READ = "SELECT number, topic, recorded_at, payload FROM event WHERE number BETWEEN $1 AND $2 ORDER BY number"
# It may become tomorrow meanwhile.
DAYS = "SELECT make_event_day((now() AT TIME ZONE 'UTC')::date + ahead) FROM generate_series(0, 1) AS ahead"


@dataclass
class Story:
    """What happens to a log and on the bus, and the feed that follows."""

    connection: asyncpg.Connection
    teller: Bus
    feed: Feed

    async def write(self, count: int = 1, sku: str = "S") -> None:
        """Add events to the log, of which nobody is told."""
        await self.connection.execute(WRITE, count, sku)

    async def told(self, first: int, last: int) -> dict[str, Any]:
        """What the relay tells of events."""
        events = [
            {
                "number": row["number"],
                "topic": row["topic"],
                "recorded_at": row["recorded_at"].isoformat(),
                "payload": json.loads(row["payload"]),
            }
            for row in await self.connection.fetch(READ, first, last)
        ]
        return {"first": first, "events": events}

    async def tell(self, first: int, last: int) -> None:
        """Tell of events as the relay does."""
        await self.publish(await self.told(first, last))

    async def publish(self, message: Any) -> None:
        """Put anything on the channel."""
        text = message if isinstance(message, str) else json.dumps(message)
        assert await self.teller.publish_events(text)

    async def until(self, number: int) -> None:
        """Wait until the feed has come so far."""
        async with asyncio.timeout(PATIENCE):
            await self.feed.newer_than(number - 1)


@asynccontextmanager
async def following(story_feed: Feed, bus: Bus) -> AsyncIterator[None]:
    """The feed has begun, and looks at the log next when it is time or there is a reason."""
    tasks = [asyncio.create_task(bus.run())]
    try:
        async with asyncio.timeout(PATIENCE):
            # first the bus, whose beginning would be a gap to those who listen
            while not bus.is_connected:  # noqa: ASYNC110 - nothing else tells
                await asyncio.sleep(0.01)
            tasks.append(asyncio.create_task(story_feed.run()))
            while polls_soon(story_feed):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def polls_soon(story_feed: Feed) -> bool:
    return story_feed._poll_at - time.monotonic() < feed.BUSY_POLL_SECONDS  # noqa: SLF001 - as above


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    await connection.execute(DAYS)
    yield connection
    await connection.close()


@pytest.fixture
async def teller(redis_url: str) -> AsyncIterator[Bus]:
    teller = Bus(redis_url, "here")
    yield teller
    await teller.close()


@pytest.fixture
async def story(
    database: Database, connection: asyncpg.Connection, redis_url: str, teller: Bus
) -> AsyncIterator[Story]:
    """A feed that begins after five events."""
    bus = Bus(redis_url, "here")
    story = Story(connection, teller, Feed(database, bus))
    await story.write(5)
    async with following(story.feed, bus):
        yield story


@pytest.fixture
def rare_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is noticed in such a test is noticed because of a message."""
    monkeypatch.setattr(feed, "POLL_SECONDS", LONG)


@pytest.fixture
def quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test waits for does not take the usual second."""
    monkeypatch.setattr(feed, "POLL_SECONDS", 0.3)


class Looks:
    """Counts from now on how often the log is looked at."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        look = EventLog.head

        async def counted(log: EventLog) -> Head:
            self.count += 1
            return await look(log)

        monkeypatch.setattr(EventLog, "head", counted)


def numbers(events: Sequence[Event] | None) -> list[int]:
    assert events is not None
    return [event.number for event in events]


def reads() -> float:
    return float(counters.FEED_READS._value.get())  # noqa: SLF001 - there is no other way to read one


async def test_it_begins_where_the_log_ends(story: Story) -> None:
    assert story.feed.last == 5
    assert story.feed.since(5) == ()
    # what was before is not remembered
    assert story.feed.since(4) is None
    # and what this process has not come to is not there
    assert story.feed.since(6) == ()


@pytest.mark.usefixtures("rare_polls")
async def test_a_message_that_goes_on_where_it_ends_is_taken_without_reading_the_log(story: Story) -> None:
    before = reads()
    await story.write(3)
    await story.tell(6, 8)
    await story.until(8)

    events = story.feed.since(5)
    assert numbers(events) == [6, 7, 8]
    assert numbers(story.feed.since(7)) == [8]
    assert reads() == before
    # then it is the same as in the log, to the microsecond
    assert events == (await story.feed.log.read(5)).events
    assert isinstance(events[0].fact, ProductChanged)
    assert events[0].fact.product == 6


@pytest.mark.usefixtures("rare_polls")
async def test_what_is_known_already_is_dropped(story: Story) -> None:
    await story.write(4)
    await story.tell(6, 8)
    await story.tell(6, 8)
    await story.tell(3, 7)
    await story.tell(7, 9)
    await story.until(9)
    assert numbers(story.feed.since(5)) == [6, 7, 8, 9]


@pytest.mark.usefixtures("rare_polls")
@pytest.mark.parametrize(
    "message",
    [
        {"last": 9},
        {"first": 9, "events": []},
        "no JSON",
        "[]",
        "null",
        '{"first": 6}',
        {"first": 6, "events": [{"number": 6}]},
        {"first": 6, "events": [{"number": 9, "topic": "X", "recorded_at": "2026-01-01T00:00:00Z", "payload": {}}]},
        {"first": 6, "events": [{"number": 6, "topic": "X", "recorded_at": "2026-01-01T00:00:00", "payload": {}}]},
        {"first": 6, "events": [{"number": 6, "topic": "X", "recorded_at": "2026-01-01T00:00:00Z", "payload": 7}]},
        {"first": -5, "events": []},
    ],
)
async def test_for_anything_else_the_log_is_read(story: Story, message: Any, caplog: pytest.LogCaptureFixture) -> None:
    unreadable = counters.UNREADABLE._value.get()  # noqa: SLF001 - as above
    await story.write(4)
    await story.publish(message)
    await story.until(9)
    assert numbers(story.feed.since(5)) == [6, 7, 8, 9]
    # and what nobody can understand is counted
    is_counted = counters.UNREADABLE._value.get() > unreadable  # noqa: SLF001 - as above
    assert is_counted == (message not in ({"last": 9}, {"first": 9, "events": []}))
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == is_counted


@pytest.mark.usefixtures("rare_polls")
async def test_when_the_bus_was_lost_for_a_moment_the_log_is_read(story: Story, redis_url: str) -> None:
    await story.write(4)
    async with Redis.from_url(redis_url) as redis:
        await redis.client_kill_filter(_type="pubsub")
    await story.until(9)
    assert numbers(story.feed.since(5)) == [6, 7, 8, 9]


@pytest.mark.usefixtures("rare_polls")
async def test_a_hole_is_filled_from_the_log(story: Story) -> None:
    await story.write(10)
    await story.tell(12, 15)
    await story.until(15)
    assert numbers(story.feed.since(5)) == list(range(6, 16))


async def test_without_a_word_it_is_noticed_within_a_second(story: Story) -> None:
    assert story.feed._poll_at - time.monotonic() <= 1  # noqa: SLF001 - as above
    await story.write(2)
    await story.until(7)
    assert numbers(story.feed.since(5)) == [6, 7]


@pytest.mark.usefixtures("rare_polls")
async def test_without_a_bus_the_log_is_looked_at_more_often(
    database: Database, connection: asyncpg.Connection
) -> None:
    # given
    bus = Bus(None, "here")
    story = Story(connection, bus, Feed(database, bus))
    task = asyncio.create_task(story.feed.run())
    try:
        async with asyncio.timeout(PATIENCE):
            while not story.feed._is_begun:  # noqa: ASYNC110, SLF001 - what is written earlier is not remembered
                await asyncio.sleep(0.01)

        # when
        for number in range(1, 6):
            await story.write()
            await story.until(number)

        # then
        assert numbers(story.feed.since(0)) == [1, 2, 3, 4, 5]
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_it_goes_on_when_all_connections_of_the_process_are_taken(story: Story, database: Database) -> None:
    async with AsyncExitStack() as stack:
        # as many as there may be, so that nobody else gets one
        for _ in range(database.pool_size + max(1, database.pool_size // 2)):
            await (await stack.enter_async_context(database.read())).execute(text("SELECT 1"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await (await stack.enter_async_context(database.read())).execute(text("SELECT 1"))
        await story.write(2)
        await story.until(7)
        assert numbers(story.feed.since(5)) == [6, 7]


async def test_numbers_far_ahead_never_make_it_lose_or_repeat_anything(story: Story) -> None:
    forged = {"number": 10**15, "topic": "PRODUCT", "recorded_at": "2026-01-01T00:00:00Z", "payload": {}}
    for _ in range(50):
        await story.publish({"first": 10**15, "events": [forged]})
        await story.publish({"last": 10**18})
    await story.write(3)
    await story.tell(6, 8)
    await story.publish({"first": 10**15, "events": [forged]})
    await story.until(8)
    await asyncio.sleep(0.3)
    assert (story.feed.last, story.feed.era) == (8, 0)
    assert numbers(story.feed.since(5)) == [6, 7, 8]


@pytest.mark.usefixtures("rare_polls")
async def test_messages_for_which_the_log_is_read_in_vain_do_not_keep_the_database_busy(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = Looks(monkeypatch)
    # so that it does not matter how long 500 messages take
    monkeypatch.setattr(feed, "REST_SECONDS", LONG)
    for _ in range(500):
        await story.publish({"last": 10**15})
    await story.write()
    await story.tell(6, 6)
    await story.until(6)
    # one in vain, and one that was not if none was heard before there was something
    assert 1 <= looks.count <= 2


async def test_whatever_the_bus_does_everything_comes_once_and_in_order(story: Story) -> None:
    # given a bus that loses, repeats, delays, overlaps and makes things up
    seed = random.randrange(10**6)  # noqa: S311 - no secret
    print(f"seed {seed}")  # noqa: T201 - to have it again
    dice = random.Random(seed)  # noqa: S311 - as above
    written, seen = 5, 5
    heard: list[int] = []

    def hear() -> None:
        nonlocal seen
        events = story.feed.since(seen)
        assert events is not None
        heard.extend(event.number for event in events)
        seen = heard[-1] if heard else seen

    # when
    for _ in range(200):
        act = dice.choice(("write", "write", "write", "quiet", "again", "ahead", "poison", "last", "hear"))
        if act in {"write", "quiet"}:
            count = dice.randint(1, 5)
            await story.write(count)
            written += count
            if act == "write":
                await story.tell(written - count + 1, written)
        elif act == "again":
            first = dice.randint(1, written)
            await story.tell(first, dice.randint(first, written))
        elif act == "ahead":
            await story.publish({"first": written + dice.randint(2, 9), "events": []})
        elif act == "poison":
            await story.publish(dice.choice(("{", '"x"', '{"first": 1, "events": {}}')))
        elif act == "last":
            await story.publish({"last": written + dice.randint(-5, 5)})
        else:
            hear()
    await story.until(written)
    hear()

    # then
    assert heard == list(range(6, written + 1))
    assert story.feed.era == 0


async def test_an_event_that_cannot_be_read_keeps_its_number(story: Story) -> None:
    await story.connection.execute(
        "WITH head AS (UPDATE event_head SET last = last + 1 RETURNING last) INSERT INTO event "
        "(number, recorded_on, topic, payload) SELECT last, (now() AT TIME ZONE 'UTC')::date, 'LATER', '{}' FROM head"
    )
    await story.write()
    await story.tell(6, 7)
    await story.until(7)
    events = story.feed.since(5)
    assert events is not None
    assert [(event.number, event.topic, event.fact is None) for event in events] == [
        (6, "LATER", True),
        (7, "PRODUCT", False),
    ]


@pytest.mark.usefixtures("rare_polls")
async def test_the_oldest_are_forgotten(database: Database, connection: asyncpg.Connection, redis_url: str) -> None:
    bus = Bus(redis_url, "here")
    story = Story(connection, bus, Feed(database, bus, size=10))
    async with following(story.feed, bus):
        # by message, from the log, and so many that reading them all would be in vain
        for first, last in ((1, 12), (13, 20), (21, 2_000)):
            await story.write(last - first + 1)
            if first == 1:
                await story.tell(first, last)
            else:
                await story.publish({"last": last})
            await story.until(last)
            assert story.feed.since(last - 11) is None
            assert last == 2_000 or numbers(story.feed.since(last - 10)) == list(range(last - 9, last + 1))
        await story.write()
        await story.publish({"last": 2_001})
        await story.until(2_001)
        assert numbers(story.feed.since(2_000)) == [2_001]


@pytest.mark.usefixtures("quick_polls")
async def test_thousands_who_wait_are_woken_and_one_who_leaves_harms_nobody(story: Story) -> None:
    waiting = [asyncio.create_task(story.feed.newer_than(number)) for number in (5, 6) for _ in range(2_000)]
    await asyncio.sleep(0.1)
    waiting[0].cancel()
    await story.write()
    await story.tell(6, 6)
    async with asyncio.timeout(PATIENCE):
        while sum(task.done() for task in waiting) < 2_000:  # noqa: ASYNC110 - nothing tells of thousands
            await asyncio.sleep(0.05)
    assert sum(task.done() for task in waiting) == 2_000
    await story.write()
    await story.tell(7, 7)
    _, pending = await asyncio.wait(waiting, timeout=PATIENCE)
    assert not pending


@pytest.mark.usefixtures("quick_polls")
async def test_an_outage_of_the_database_costs_nothing_but_time(
    story: Story,
    server_url: str,
    database_url: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given
    def warnings() -> int:
        return len(
            [record for record in caplog.records if record.name.endswith("feed") and record.levelno > logging.INFO]
        )

    await story.write(2)
    await story.tell(6, 7)
    await story.until(7)
    name = database_url.rsplit("/", 1)[1]
    admin = await asyncpg.connect(server_url)

    # when nobody may connect for a while
    await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    await story.publish({"last": 8})
    async with asyncio.timeout(PATIENCE):
        while not warnings():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
        looks = Looks(monkeypatch)
        while looks.count < 3:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)

    # then what there is stays, and what comes meanwhile follows
    assert numbers(story.feed.since(5)) == [6, 7]
    await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    await admin.close()
    story.connection = await asyncpg.connect(database_url)
    await story.write(3)
    await story.until(10)
    assert numbers(story.feed.since(5)) == [6, 7, 8, 9, 10]
    await story.connection.close()
    assert warnings() == 1
    assert story.feed.era == 0


@pytest.mark.usefixtures("quick_polls")
@pytest.mark.parametrize(
    "replace",
    [
        "UPDATE event_head SET log = gen_random_uuid()",
        "WITH gone AS (DELETE FROM event WHERE number > 6) UPDATE event_head SET last = 6",
    ],
    ids=["other name", "older copy"],
)
@pytest.mark.parametrize("is_told", [True, False], ids=["by the bus", "from the log"])
async def test_when_the_log_is_another_one_it_begins_anew_and_everybody_notices(
    story: Story, replace: str, *, is_told: bool
) -> None:
    # given somebody who waits, and events that this process remembers
    await story.write(3)
    if is_told:
        await story.tell(6, 8)
    await story.until(8)
    waiting = asyncio.create_task(story.feed.newer_than(8))

    # when
    await story.connection.execute(replace)
    async with asyncio.timeout(PATIENCE):
        await waiting

    # then
    head = await story.feed.head()
    assert story.feed.era == 1
    assert (story.feed.last, await story.feed.log_name()) == (head.last, head.log)
    assert story.feed.since(head.last) == ()
    await story.write()
    await story.until(head.last + 1)
    assert numbers(story.feed.since(head.last)) == [head.last + 1]


@pytest.mark.usefixtures("rare_polls")
async def test_an_event_that_the_log_tells_otherwise_is_found_out(story: Story) -> None:
    # given a log with the same name that has come as far, but by another way
    await story.write(3)
    await story.connection.execute("UPDATE event SET recorded_at = recorded_at - interval '1 second' WHERE number = 8")
    told = await story.told(6, 8)
    await story.connection.execute("UPDATE event SET recorded_at = recorded_at + interval '1 second' WHERE number = 8")
    waiting = asyncio.create_task(story.feed.newer_than(10**6))

    # when
    await story.publish(told)
    await story.publish({"last": 99})

    # then
    async with asyncio.timeout(PATIENCE):
        await waiting
    assert (story.feed.era, story.feed.last) == (1, 8)


@pytest.mark.usefixtures("rare_polls")
async def test_nobody_is_led_over_a_hole_in_the_log(story: Story) -> None:
    await story.write(3)
    await story.connection.execute("DELETE FROM event WHERE number = 7")
    await story.publish({"last": 8})
    await story.until(8)
    assert (story.feed.era, story.feed.since(7)) == (1, None)


@pytest.mark.usefixtures("rare_polls")
async def test_an_event_that_was_made_up_is_found_out(story: Story) -> None:
    # given a message that goes on where the log ends, and nothing of it is true
    recorded_at = dt.datetime.now(dt.UTC).isoformat()
    forged = {"number": 6, "topic": "SALES", "recorded_at": recorded_at, "payload": {}}
    await story.publish({"first": 6, "events": [forged]})
    await story.until(6)

    # when
    await story.write(2, sku="T")
    await story.tell(6, 7)

    # then nobody goes on as if nothing had been
    async with asyncio.timeout(PATIENCE):
        while story.feed.era == 0:
            await story.feed.newer_than(story.feed.last)
    await story.write(1)
    await story.tell(8, 8)
    await story.until(8)
    assert numbers(story.feed.since(7)) == [8]


async def test_an_untrue_repetition_of_an_event_is_no_reason_to_begin_anew(story: Story) -> None:
    await story.write(2)
    await story.tell(6, 7)
    await story.until(7)
    message = await story.told(6, 7)
    message["events"][0]["payload"]["sku"] = "made up"
    await story.publish(message)
    await story.write(1)
    await story.tell(8, 8)
    await story.until(8)
    await asyncio.sleep(0.3)
    assert (story.feed.era, numbers(story.feed.since(5))) == (0, [6, 7, 8])


@pytest.mark.usefixtures("quick_polls")
async def test_a_database_that_has_become_another_one_is_heard_on_its_own_channels(
    database: Database, connection: asyncpg.Connection, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    monkeypatch.setattr(feed, "IDENTITY_SECONDS", 0.0)
    names = ["one"]

    async def identity() -> str:
        return names[-1]

    bus, teller = Bus(redis_url, identity), Bus(redis_url, "two")
    story = Story(connection, teller, Feed(database, bus))
    async with following(story.feed, bus), bus.events() as messages:
        # when, as after a standby has taken over
        names.append("two")
        # then
        message: object = None
        async with asyncio.timeout(PATIENCE):
            while message != "on the new channel":
                await story.publish("on the new channel")
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        message = await anext(messages)
        assert story.feed.era == 0
    await teller.close()


async def test_the_name_of_the_log_is_known_without_following_it(
    database: Database, connection: asyncpg.Connection
) -> None:
    feed = Feed(database, Bus(None, "here"))
    assert await feed.log_name() == str(await connection.fetchval("SELECT log FROM event_head"))
