"""Writers, consumers and faults at the same time, and how long after a commit consumers hear of it."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.faults.subscription_audience import WATCH, Consumer, interests, number_of
from tests.faults.subscription_links import Interrupted, Wish, open_socket
from tests.faults.subscription_shop import Crew, Shop
from tests.faults.subscription_writers import Truth, Writers, read_truth
from tests.faults.valkey_process import ValkeyProcess

PATIENCE = 180.0
# Nobody kills the first ones; delays are theirs.
STEADY = 4
# Between two faults, and before the first.
CALM_SECONDS = 0.4
SHORTEST, LONGEST = 0.05, 0.4


@dataclass
class Story:
    """What happens in a shop.

    Args:
        crew: whoever is killed.
        writers: everybody who writes.
        consumers: everybody who listens; the first ones are never killed.
        writing: what they do.
        begin: the number of the event that all consumers begin behind.
        delays: the longest time from a commit to a consumer around each fault, in seconds, without the outage itself.
    """

    crew: Crew
    writers: Writers
    consumers: list[Consumer]
    writing: "asyncio.Task[None]"
    begin: int
    dice: random.Random
    delays: dict[str, float] = field(default_factory=dict)

    async def suffer(self, name: str, fault: Callable[[], Awaitable[Any]], *, is_outage: bool = False) -> None:
        """Have a fault happen to a crew that is complete, and wait until all is well.

        Args:
            name: what it is called.
            fault: makes it happen, and answers what it was.
            is_outage: whether nobody can be told anything as long as it lasts, so that this time does not count.
        """
        await self.crew.complete()
        await asyncio.sleep(CALM_SECONDS)
        began = time.monotonic()
        answer = await fault()
        lasted = time.monotonic() - began
        await self.calm()
        longest = max(self._delays(began - CALM_SECONDS), default=0.0)
        self.delays[name] = longest - lasted if is_outage else longest
        print(f"{name}{f' ({answer})' if answer else ''}: lasted {lasted:.3f} s, longest delay {longest:.3f} s")  # noqa: T201 - a measurement

    async def calm(self) -> None:
        """Wait until something that is written now is with those who are never killed."""
        reasons: list[str] = []
        due = 0.0

        def is_heard(consumer: Consumer) -> bool:
            # a watcher who has just come back has some of it in the state
            return not consumer.reasons.isdisjoint(reasons)

        until = time.monotonic() + PATIENCE
        while not all(is_heard(consumer) for consumer in self.consumers[:STEADY]):
            self._check(until)
            if time.monotonic() >= due:
                reasons.append(await self.writers.write_one())
                due = time.monotonic() + 1
            await asyncio.sleep(0.02)

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait for something; where everybody is when it takes too long."""
        until = time.monotonic() + PATIENCE
        while not condition():
            self._check(until)
            await asyncio.sleep(0.02)

    def _check(self, until: float) -> None:
        """Complain when somebody was told something wrong, or when it is too late."""
        assert not (found := [consumer.problems for consumer in self.consumers if consumer.problems]), found
        assert time.monotonic() < until, "\n".join(str(consumer) for consumer in self.consumers)

    async def kill_consumers(self, count: int) -> None:
        """Cut so many connections, one after the other."""
        while count:
            await asyncio.sleep(self.dice.uniform(SHORTEST, LONGEST))
            count -= self.dice.choice(self.consumers[STEADY:]).kill()

    async def everything_is_heard(self) -> Truth:
        """Have everybody stop writing, and wait until all have heard everything; nothing more may come."""
        self.writers.is_over = True
        await self.writing
        truth = await read_truth(self.writers.url, self.writers.goods)
        for consumer in self.consumers:
            last = consumer.expected_last(truth)
            await self._until(lambda: consumer.last >= last)  # noqa: B023 - called at once
        await asyncio.sleep(CALM_SECONDS)
        return truth

    def _delays(self, since: float) -> list[float]:
        committed = self.writers.committed
        return [
            change.at - at
            for consumer in self.consumers[:STEADY]
            for change in consumer.changes
            if (at := committed.get(change.reason or "", 0)) > since
        ]


@asynccontextmanager
async def telling(crew: Crew, writers: Writers, consumers: int, writer_count: int) -> AsyncIterator[Story]:
    """A story that has begun; it has to be heard to the end."""
    shop = crew.shop
    await writers.stock_up()
    cursor = await present_cursor(shop, crew.server.http_url)
    kinds = interests(shop.goods)
    audience = [
        Consumer(crew.server.http_url, shop.token, kinds[number // 2 % len(kinds)], number % 2 == 1, cursor)
        for number in range(consumers)
    ]
    listening = [asyncio.create_task(consumer.run()) for consumer in audience]
    writing = asyncio.create_task(writers.run(writer_count))
    story = Story(crew, writers, audience, writing, number_of(cursor), writers.dice)
    try:
        await story.calm()
        yield story
    finally:
        for task in (writing, *listening):
            task.cancel()
        await asyncio.wait([writing, *listening])


async def present_cursor(shop: Shop, url: str) -> str:
    """A cursor from which everything that happens from now on follows."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                link = await open_socket(url, shop.token, Wish(WATCH, {"where": None}))
                try:
                    return str((await link.receive())["stockWatch"]["state"])
                finally:
                    link.abort()
            except Interrupted:
                # processes take their time to begin
                await asyncio.sleep(0.1)


async def kill_for(valkey: ValkeyProcess, seconds: float) -> None:
    """It is gone for so long, and empty afterwards."""
    valkey.kill()
    await asyncio.sleep(seconds)
    await asyncio.to_thread(valkey.start)


async def freeze_for(valkey: ValkeyProcess, seconds: float) -> None:
    """It does nothing for so long."""
    valkey.freeze()
    try:
        await asyncio.sleep(seconds)
    finally:
        valkey.thaw()


async def ask_often(valkey: ValkeyProcess, *commands: tuple[str, ...]) -> None:
    """Give it these commands, for half a second."""
    for _ in range(5):
        for command in commands:
            await asyncio.to_thread(valkey.ask, *command)
        await asyncio.sleep(0.1)
