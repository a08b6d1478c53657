"""One server with many subscribers: all at once, with garbage in the way, with some who do not read, and at the end.

The tests are one after the other on the same server, which is stopped in the last one.
"""

import asyncio
import os
import random
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field

import asyncpg
import psutil
import pytest

from tests.faults.server_process import ServerProgram
from tests.faults.subscription_audience import CHANGES, WHAT, Consumer, interests, number_of
from tests.faults.subscription_links import (
    Interrupted,
    Link,
    Wish,
    narrow_socket,
    open_socket,
    open_stream,
)
from tests.faults.subscription_shop import Shop, ended, metric, open_shop
from tests.faults.subscription_story import present_cursor
from tests.faults.subscription_writers import Writers, read_truth

AT_LENGTH = bool(os.environ.get("SUBSCRIPTION_TEST_AT_LENGTH"))
AT_ONCE = 50
SOCKETS, STREAMS = (400, 100) if AT_LENGTH else (120, 40)
EVENTS = 5_000 if AT_LENGTH else 400
PACE = 0.005
QUICK = 20
ENOUGH = 5.0
PATIENCE = 120.0
GROWTH = 40 << 20
LARGE = f"""
subscription ($after: Cursor) {{ stockChanged(after: $after) {{ {WHAT} long: product {{ description }} }} }}
"""
EVERYTHING = Wish(CHANGES, {})
GARBAGE = (b"\xff\xfe\x00", "", "no JSON", "[]", "{}", '{"first": 1, "events": 7}', '{"last": "x"}', '{"last": 1e300}')
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


async def seated(shop: Shop, server: ServerProgram, count: int) -> Room:
    """Consumers of everything, over both transports."""
    cursor = await present_cursor(shop, server.http_url)
    interest = interests(shop.goods)[0]
    consumers = [Consumer(server.http_url, shop.token, interest, number % 2 == 1, cursor) for number in range(count)]
    return Room(consumers, number_of(cursor), [asyncio.create_task(consumer.run()) for consumer in consumers])


async def test_fifty_first_subscribers_at_once_are_all_served(
    shop: Shop, server: ServerProgram, writers: Writers
) -> None:
    await writers.stock_up()

    async def open_one(number: int) -> Link:
        opening: Awaitable[Link] = (open_stream if number % 2 else open_socket)(server.http_url, shop.token, EVERYTHING)
        return await opening

    links = await asyncio.gather(*(open_one(number) for number in range(AT_ONCE)))
    async with asyncio.timeout(PATIENCE):
        while await metric(server, "graphql_api_socket_operations") < AT_ONCE // 2:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)
    reason = await writers.write_one()

    async with asyncio.timeout(PATIENCE):
        heard = await asyncio.gather(*(link.receive() for link in links))
    assert [data["stockChanged"]["reason"] for data in heard] == [reason] * AT_ONCE
    for link in links:
        link.abort()


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
    for channel in channels:
        for text in GARBAGE:
            await asyncio.to_thread(shop.valkey.ask, "PUBLISH", channel, text)
            await writers.write_one()
    connection = await asyncpg.connect(shop.database_url)
    await connection.execute("ALTER TABLE outbox DROP CONSTRAINT ck_outbox_topic")
    for key, (topic, payload) in enumerate(POISON, 1_000_000):
        await connection.execute(
            "INSERT INTO outbox (topic, key, payload) VALUES ($1, $2, $3::text::jsonb)", topic, key, payload
        )
        reason = await writers.write_one()
    await connection.close()

    # then
    await room.until_heard(reason)
    for task in room.tasks:
        task.cancel()
    truth = await read_truth(shop.database_url, shop.goods)
    assert [fault for consumer in room.consumers for fault in consumer.faults(truth, room.begin)] == []
    counted = await metric(server, "graphql_api_unreadable_events_total") - before
    print(f"{counted:.0f} unreadable")  # noqa: T201 - a measurement
    assert counted >= len(GARBAGE) - 1 + len(POISON)


async def deaf_link(shop: Shop, url: str, *, is_stream: bool, after: str | None = None) -> Link:
    """One that is going to read nothing for a while; what it misses would fill no buffer of the system."""
    wish, narrow = Wish(LARGE, {"after": after}), await narrow_socket(url)
    if is_stream:
        return await open_stream(url, shop.token, wish, sock=narrow)
    return await open_socket(url, shop.token, wish, sock=narrow, ping_interval=None)


async def read_at_last(shop: Shop, url: str, link: Link, count: int, *, is_stream: bool) -> list[int]:
    """The numbers of so many events. Whoever has taken nothing for a minute is cut off, and comes back."""
    cursors: list[str] = []
    async with asyncio.timeout(PATIENCE):
        while len(cursors) < count:
            try:
                cursors.append((await link.receive())["stockChanged"]["cursor"])
            except Interrupted:
                assert AT_LENGTH
                link.abort()
                link = await deaf_link(shop, url, is_stream=is_stream, after=cursors[-1])
    link.abort()
    return [number_of(cursor) for cursor in cursors]


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
    deaf = [await deaf_link(shop, server.http_url, is_stream=is_stream) for is_stream in (False, True)]
    await asyncio.sleep(1)
    before, begin = process.memory_info().rss, room.consumers[0].last
    together = await run(writers, room)
    grown = process.memory_info().rss - before
    for task in room.tasks:
        task.cancel()

    # then
    print(f"p99 {alone * 1000:.0f} ms, {together * 1000:.0f} ms with some who do not read; {grown >> 20} MB more")  # noqa: T201 - a measurement
    # whoever were waited for would cost as long as they do not read; milliseconds are the business of the benchmark
    assert together < 2 * alone + 1
    assert grown < GROWTH
    truth = await read_truth(shop.database_url, shop.goods)
    assert [fault for consumer in room.consumers for fault in consumer.faults(truth, room.begin)] == []
    expected = [number for number in truth.changes if number > begin]
    for is_stream, link in enumerate(deaf):
        heard = await read_at_last(shop, server.http_url, link, len(expected), is_stream=bool(is_stream))
        assert heard == expected


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
