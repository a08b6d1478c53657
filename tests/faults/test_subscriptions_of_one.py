"""One server with many subscribers: all at once, with garbage in the way, with some who do not read, and at the end.

The tests are one after the other on the same server, which is stopped in the last one.
"""

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field

import asyncpg
import psutil
import pytest

from tests.faults.server_process import ServerProgram, ended
from tests.faults.subscription_audience import CHANGES, WHAT, Consumer, interests, number_of
from tests.faults.subscription_links import (
    Interrupted,
    Link,
    Wish,
    narrow_socket,
    open_socket,
    open_stream,
)
from tests.faults.subscription_shop import Shop, metric, open_shop
from tests.faults.subscription_story import present_cursor
from tests.faults.subscription_writers import Truth, Writers, read_truth

AT_LENGTH = bool(os.environ.get("SUBSCRIPTION_TEST_AT_LENGTH"))
AT_ONCE = 50
SOCKETS, STREAMS = (400, 100) if AT_LENGTH else (120, 40)
EVENTS = 5_000 if AT_LENGTH else 400
PACE = 0.005
QUICK = 20
ENOUGH = 5.0
PATIENCE = 180.0
# A server bears a client for so long that answers no ping, and for half as long again one that takes nothing.
LONG = 40.0
GROWTH = 40 << 20
LARGE = f"""
subscription ($after: Cursor) {{ stockChanged(after: $after) {{ {WHAT} long: product {{ description }} }} }}
"""
EVERYTHING = Wish(CHANGES, {})
READABLE = '{"last": 1e300}'
GARBAGE = (b"\xff\xfe\x00", "", "no JSON", "[]", "{}", '{"first": 1, "events": 7}', '{"last": "x"}', READABLE)
POISON = (("RUMOUR", "{}"), ("STOCK", '{"movement_": 1}'), ("STOCK", "[1]"), ("LOW_STOCK", '"text"'))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with open_shop(tmp_path_factory.mktemp("shop")) as shop:
        yield shop


@pytest.fixture(scope="module")
def server(shop: Shop) -> Iterator[ServerProgram]:
    with shop.serving("one", workers=1) as server:
        yield server


@pytest.fixture
def writers(shop: Shop) -> Writers:
    seed = random.randrange(10**6)  # noqa: S311 - no secret
    print(f"seed {seed}")  # noqa: T201 - to have it again
    return Writers(shop.database_url, shop.goods, random.Random(seed), 0)  # noqa: S311 - repeatable


@dataclass
class Room:
    consumers: list[Consumer]
    begin: int
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    async def until_heard(self, reason: str) -> None:
        """Wait until all have heard of it."""
        async with asyncio.timeout(PATIENCE):
            while not all(reason in consumer.reasons for consumer in self.consumers):
                assert not [consumer.problems for consumer in self.consumers if consumer.problems]
                await asyncio.sleep(0.01)

    async def everything_is_heard(self, shop: Shop) -> Truth:
        """Wait until all have heard all that has happened, and have them leave."""
        truth = await read_truth(shop.database_url, shop.goods)
        async with asyncio.timeout(PATIENCE):
            while not all(consumer.last >= consumer.expected_last(truth) for consumer in self.consumers):
                assert not [consumer.problems for consumer in self.consumers if consumer.problems]
                await asyncio.sleep(0.01)
        for task in self.tasks:
            task.cancel()
        return truth


async def seated(shop: Shop, server: ServerProgram, count: int) -> Room:
    """Consumers of everything, over both transports."""
    cursor = await present_cursor(shop, server.http_url)
    interest = interests(shop.goods)[0]
    consumers = [Consumer(server.http_url, shop.token, interest, number % 2 == 1, cursor) for number in range(count)]
    return Room(consumers, number_of(cursor), [asyncio.create_task(consumer.run()) for consumer in consumers])


async def numbers_until(link: Link, reason: str) -> list[int]:
    """The numbers of the changes that follow, up to the first that has this reason."""
    numbers = []
    while True:
        change = (await link.receive())["stockChanged"]
        numbers.append(number_of(change["cursor"]))
        if change["reason"] == reason:
            return numbers


async def test_fifty_first_subscribers_at_once_are_all_served(
    shop: Shop, server: ServerProgram, writers: Writers
) -> None:
    await writers.stock_up()

    async def open_one(number: int) -> Link:
        opening: Awaitable[Link] = (open_stream if number % 2 else open_socket)(server.http_url, shop.token, EVERYTHING)
        return await opening

    links = await asyncio.gather(*(open_one(number) for number in range(AT_ONCE)))
    # who asks over a WebSocket is not told from when on he hears
    first = [asyncio.create_task(link.receive()) for link in links]
    async with asyncio.timeout(PATIENCE):
        while not all(task.done() for task in first):
            await writers.write_one()
            await asyncio.sleep(0.05)
    reason = await writers.write_one()

    async with asyncio.timeout(PATIENCE):
        heard = await asyncio.gather(*(numbers_until(link, reason) for link in links))
    for link, begun, numbers in zip(links, first, heard, strict=True):
        link.abort()
        begin = number_of((await begun)["stockChanged"]["cursor"])
        assert [begin, *numbers] == list(range(begin, numbers[-1] + 1))
    assert len({numbers[-1] for numbers in heard}) == 1


async def test_what_cannot_be_read_is_counted_and_passed_over(
    shop: Shop, server: ServerProgram, writers: Writers
) -> None:
    # given
    room = await seated(shop, server, 4)
    await room.until_heard(await writers.write_one())
    before = await metric(server, "graphql_api_unreadable_events_total")
    channels = shop.valkey.ask("PUBSUB", "CHANNELS")
    assert isinstance(channels, list)

    # when
    for text in GARBAGE:
        count = await metric(server, "graphql_api_unreadable_events_total")
        # whoever comes back to a Valkey that was silent for a while has missed what was told meanwhile
        while await metric(server, "graphql_api_unreadable_events_total") == count:
            for channel in channels:
                await asyncio.to_thread(shop.valkey.ask, "PUBLISH", channel, text)
            await writers.write_one()
            if text == READABLE:
                break
    connection = await asyncpg.connect(shop.database_url)
    await connection.execute("ALTER TABLE outbox DROP CONSTRAINT ck_outbox_topic")
    for key, (topic, payload) in enumerate(POISON, 1_000_000):
        await connection.execute(
            "INSERT INTO outbox (topic, key, payload) VALUES ($1, $2, $3::text::jsonb)", topic, key, payload
        )
        await writers.write_one()
    await connection.close()

    # then
    truth = await room.everything_is_heard(shop)
    assert [fault for consumer in room.consumers for fault in consumer.faults(truth, room.begin)] == []
    counted = await metric(server, "graphql_api_unreadable_events_total") - before
    print(f"{counted:.0f} unreadable")  # noqa: T201 - a measurement
    assert counted >= len(GARBAGE) - 1 + len(POISON)


async def deaf_link(shop: Shop, url: str, after: str, *, is_stream: bool) -> Link:
    """One from this cursor on that is going to read nothing for a while; what it misses fills no system's buffer."""
    wish, narrow = Wish(LARGE, {"after": after}), await narrow_socket(url)
    if is_stream:
        return await open_stream(url, shop.token, wish, sock=narrow)
    return await open_socket(url, shop.token, wish, sock=narrow, ping_interval=None)


@dataclass
class DeafReader:
    """One that reads nothing for a while."""

    shop: Shop
    url: str
    cursor: str
    is_stream: bool
    link: Link | None = None
    opened: float = 0.0

    async def open(self) -> Link:
        """Subscribe to what is behind the cursor, and read the first of it."""
        self.opened = time.monotonic()
        self.link = await deaf_link(self.shop, self.url, self.cursor, is_stream=self.is_stream)
        return self.link

    async def read_at_last(self, count: int) -> list[int]:
        """The numbers of so many events. Whoever has taken nothing for long is cut off, and comes back."""
        numbers: list[int] = []
        link = self.link or await self.open()
        async with asyncio.timeout(PATIENCE):
            while len(numbers) < count:
                try:
                    self.cursor = (await link.receive())["stockChanged"]["cursor"]
                    numbers.append(number_of(self.cursor))
                except Interrupted:
                    assert time.monotonic() - self.opened >= LONG
                    link.abort()
                    link = await self.open()
        link.abort()
        return numbers


async def run(writers: Writers, room: Room) -> float:
    """Many changes; the time within which 99 of 100 are with everybody, in seconds."""
    connection = await asyncpg.connect(writers.url)
    reasons = set()
    for _ in range(EVENTS):
        reasons.add(await writers.write_with(connection))
        await asyncio.sleep(PACE)
    await connection.close()
    await room.until_heard(await writers.write_one())
    delays = sorted(
        change.at - writers.committed[change.reason]
        for consumer in room.consumers
        for change in consumer.heard
        if change.reason in reasons
    )
    return delays[int(len(delays) * 0.99)]


async def test_some_who_do_not_read_cost_the_others_nothing_and_miss_nothing(
    shop: Shop, server: ServerProgram, writers: Writers
) -> None:
    # given
    connection = await asyncpg.connect(shop.database_url)
    await connection.execute("UPDATE product SET description = repeat('x', 16000)")
    await connection.close()
    room = await seated(shop, server, QUICK)
    await room.until_heard(await writers.write_one())
    process = psutil.Process(server.process.pid)

    # when
    alone = await run(writers, room)
    begin, cursor = room.consumers[0].last, room.consumers[0].cursor
    assert cursor
    deaf = [DeafReader(shop, server.http_url, cursor, is_stream) for is_stream in (False, True)]
    for reader in deaf:
        await reader.open()
    async with asyncio.timeout(PATIENCE):
        while await metric(server, "graphql_api_socket_operations") <= QUICK // 2:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)
    before = process.memory_info().rss
    together = await run(writers, room)
    grown = process.memory_info().rss - before
    truth = await room.everything_is_heard(shop)

    # then
    print(f"p99 {alone * 1000:.0f} ms, {together * 1000:.0f} ms with some who do not read; {grown >> 20} MB more")  # noqa: T201 - a measurement
    # the others have heard all by now: whoever were waited for would cost as long as they do not read
    assert grown < GROWTH
    assert [fault for consumer in room.consumers for fault in consumer.faults(truth, room.begin)] == []
    expected = [number for number in truth.changes if number > begin]
    for reader in deaf:
        assert await reader.read_at_last(len(expected)) == expected


async def how_it_ended(link: Link) -> str:
    """What a client sees of the end."""
    try:
        while True:
            await link.receive()
    except Interrupted as interrupted:
        return str(interrupted)
    finally:
        link.abort()


async def test_a_server_that_is_told_to_stop_ends_all_and_is_gone(shop: Shop, server: ServerProgram) -> None:
    sockets: list[Link] = []
    streams: list[Link] = []
    for _ in range(0, SOCKETS, 40):
        sockets += await asyncio.gather(
            *(open_socket(server.http_url, shop.token, EVERYTHING, ping_interval=None) for _ in range(40))
        )
    for _ in range(0, STREAMS, 20):
        streams += await asyncio.gather(*(open_stream(server.http_url, shop.token, EVERYTHING) for _ in range(20)))
    seconds, ends = await asyncio.gather(ended(server), asyncio.gather(*map(how_it_ended, [*sockets, *streams])))

    print(f"{len(sockets)} sockets, {len(streams)} streams: gone in {seconds:.2f} s")  # noqa: T201 - a measurement
    assert set(ends[: len(sockets)]) == {"1012"}
    assert seconds < ENOUGH
    assert server.process.returncode == 0
    assert "Traceback" not in server.errors.read_text()
