"""Redis suffers while events are written all the time: every one arrives once, in order, and soon."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg
import pytest

from graphql_api.database.engine import Database
from graphql_api.events.bus import Bus
from graphql_api.events.counters import COUNTERS
from graphql_api.events.feed import POLL_SECONDS, Feed
from graphql_api.events.identity import log_identity
from graphql_api.events.relay import Relay
from tests.faults.idle_clock import IdleClock
from tests.faults.valkey_process import ValkeyProcess, running_valkey

WRITERS = 4
ARRIVALS = 40
PATIENCE = 180.0
# Longest from the commit to the arrival: the next look at the log, and what a fault adds.
LONGEST_DELAY = POLL_SECONDS + 4.0
# Longer than that, and as long as a test can wait.
OUTAGE = 12 if os.environ.get("SUBSCRIPTION_TEST_AT_LENGTH") else 6
WRITE = """
INSERT INTO outbox (topic, key, payload)
SELECT 'PRODUCT', n, jsonb_build_object('product', n, 'sku', 'S', 'version', 1, 'change', 'UPDATED')
FROM unnest($1::bigint[]) n
"""


@dataclass
class Story:
    """Writers that never rest, and what of it arrives elsewhere.

    Args:
        feed: of a process that only listens.
        buses: of the process that tells of events, and of the same process.
        wake: called after each commit.
        clock: tells the times.
        committed: when each thing was written.
        arrived: number, thing and time of each event, as they came.
    """

    feed: Feed
    buses: tuple[Bus, Bus]
    wake: Callable[[], None]
    clock: IdleClock
    dice: random.Random
    committed: dict[int, float] = field(default_factory=dict)
    arrived: list[tuple[int, int, float]] = field(default_factory=list)
    arrivals: int = 0
    things: int = 0
    is_over: bool = False

    async def write(self, connection: asyncpg.Connection) -> None:
        """Write one to three things at a time until the story is over; some commits take their time."""
        while not self.is_over:
            things = [self._next_thing() for _ in range(self.dice.randint(1, 3))]
            async with connection.transaction():
                await connection.execute(WRITE, things)
                await asyncio.sleep(self.dice.choice((0, 0, 0.03)) * self.dice.random())
            self.committed.update(dict.fromkeys(things, self.clock.seconds))
            self.wake()
            await asyncio.sleep(0.02 * self.dice.random())

    def _next_thing(self) -> int:
        self.things += 1
        return self.things

    async def listen(self) -> None:
        """Note what arrives."""
        seen = 0
        while True:
            await self.feed.newer_than(seen)
            events = self.feed.since(seen)
            assert events is not None
            now = self.clock.seconds
            self.arrived += [(event.number, getattr(event.fact, "product", 0), now) for event in events]
            self.arrivals += 1
            seen = self.feed.last

    async def connected(self, *, wanted: bool = True) -> None:
        """Return when both hear each other, or neither does."""
        async with asyncio.timeout(PATIENCE):
            while any(bus.is_connected != wanted for bus in self.buses):  # noqa: ASYNC110 - a moment nobody else waits for
                await asyncio.sleep(0.01)

    async def everything_has_arrived(self) -> None:
        """Wait until what was written is here."""
        async with asyncio.timeout(PATIENCE):
            await self.feed.newer_than(self.things - 1)
            # whoever listens has a turn
            await asyncio.sleep(0.05)

    @property
    def longest_delay(self) -> float:
        """Seconds from a commit to the arrival."""
        return max(at - self.committed[thing] for _, thing, at in self.arrived)


@asynccontextmanager
async def told(database: Database, redis_url: str, clock: IdleClock) -> AsyncIterator[Story]:
    """A story that has begun, with the relay on a bus of its own."""
    seed = random.randrange(10**6)  # noqa: S311 - no secret
    print(f"seed {seed}")  # noqa: T201 - to have it again

    async def identity() -> str:
        return await log_identity(database)

    leader, listener = Bus(redis_url, identity), Bus(redis_url, identity)
    relay = Relay(database.url, leader)
    feed = Feed(database, listener)
    story = Story(feed, (leader, listener), relay.wake, clock, random.Random(seed))  # noqa: S311 - as above
    runs = [asyncio.create_task(run) for run in (leader.run(), listener.run(), relay.run(), story.feed.run())]
    runs.append(asyncio.create_task(story.listen()))
    connections = [await asyncpg.connect(database.url) for _ in range(WRITERS)]
    await story.connected()
    async with asyncio.timeout(PATIENCE):
        # a feed begins behind what the log has then
        while not (relay.is_leading and feed._is_begun):  # noqa: ASYNC110, SLF001 - a moment nobody else waits for
            await asyncio.sleep(0.01)
    writers = [asyncio.create_task(story.write(connection)) for connection in connections]
    try:
        yield story
        story.is_over = True
        await asyncio.gather(*writers)
        await story.everything_has_arrived()
    finally:
        story.is_over = True
        for task in (*writers, *runs):
            task.cancel()
        await asyncio.wait([*writers, *runs])
        for connection in connections:
            await connection.close()


def reads() -> float:
    """How often events were read from the log."""
    count = COUNTERS.get_sample_value("graphql_api_feed_log_reads_total")
    assert count is not None
    return count


async def kill_for(valkey: ValkeyProcess, seconds: float) -> None:
    """It is gone for so long, and empty afterwards."""
    valkey.kill()
    await asyncio.sleep(seconds)
    await asyncio.to_thread(valkey.start)


async def freeze_for(valkey: ValkeyProcess, seconds: float) -> None:
    valkey.freeze()
    await asyncio.sleep(seconds)
    valkey.thaw()


async def ask_often(valkey: ValkeyProcess, *command: str) -> None:
    for _ in range(10):
        await asyncio.to_thread(valkey.ask, *command)
        await asyncio.sleep(0.1)


FAULTS: dict[str, Callable[[ValkeyProcess], Awaitable[None]]] = {
    "killed for 0.1 s": lambda valkey: kill_for(valkey, 0.1),
    "killed for 1 s": lambda valkey: kill_for(valkey, 1),
    f"killed for {OUTAGE} s": lambda valkey: kill_for(valkey, OUTAGE),
    "frozen for 3 s": lambda valkey: freeze_for(valkey, 3),
    "frozen for a moment": lambda valkey: freeze_for(valkey, 0.6),
    "its subscribers killed": lambda valkey: ask_often(valkey, "CLIENT", "KILL", "TYPE", "pubsub"),
    "all its clients killed": lambda valkey: ask_often(valkey, "CLIENT", "KILL", "SKIPME", "yes"),
    "flushed": lambda valkey: ask_often(valkey, "FLUSHALL"),
}


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyProcess]:
    with running_valkey(tmp_path_factory.mktemp("valkey")) as valkey:
        yield valkey


@pytest.fixture
def clock() -> Iterator[IdleClock]:
    with IdleClock() as clock:
        yield clock


@pytest.mark.parametrize("fault", FAULTS)
async def test_every_event_arrives_once_in_order_and_soon(
    database: Database, valkey: ValkeyProcess, clock: IdleClock, fault: str
) -> None:
    # given
    async with told(database, valkey.url, clock) as story:
        await asyncio.sleep(0.4)

        # when
        await FAULTS[fault](valkey)
        await asyncio.sleep(0.6)

    # then
    print(f"{fault}: {story.things} events, longest delay {story.longest_delay:.3f} s")  # noqa: T201 - a measurement
    assert [number for number, _, _ in story.arrived] == list(range(1, story.things + 1))
    assert {thing for _, thing, _ in story.arrived} == set(range(1, story.things + 1))
    assert story.feed.era == 0
    assert story.longest_delay < LONGEST_DELAY


async def test_afterwards_events_come_over_redis_again(
    database: Database, valkey: ValkeyProcess, clock: IdleClock
) -> None:
    async with told(database, valkey.url, clock) as story:
        # given that both have noticed that it was gone, and what was written meanwhile has come
        valkey.kill()
        await story.connected(wanted=False)
        await asyncio.to_thread(valkey.start)
        await story.connected()
        await story.feed.newer_than(story.things)

        # when
        begun, arrivals = reads(), story.arrivals
        async with asyncio.timeout(PATIENCE):
            while story.arrivals < arrivals + ARRIVALS:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)

        # then: the log is looked at once a second all the same
        assert reads() - begun < ARRIVALS / 2
