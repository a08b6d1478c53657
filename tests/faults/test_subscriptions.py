"""Everything together: many write, many listen, and whatever can break does; all is heard once and in order."""

import asyncio
import os
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.faults.subscription_shop import Crew, Shop, open_shop
from tests.faults.subscription_story import ask_often, freeze_for, kill_for, telling
from tests.faults.subscription_writers import Writers

# Set it to have everything at its full length, which takes minutes.
AT_LENGTH = bool(os.environ.get("SUBSCRIPTION_TEST_AT_LENGTH"))
SERVERS = 2
WRITERS = 50
CONSUMERS = 40 if AT_LENGTH else 16
KILLS = 100 if AT_LENGTH else 30
OUTAGES = (0.1, 1, 12) if AT_LENGTH else (0.1, 1)
FREEZE_SECONDS = 3 if AT_LENGTH else 1.5
# From a commit to a consumer on a busy machine; twelve seconds without a Redis are no reason for more.
LONGEST_DELAY = 5.0 if AT_LENGTH else 15.0
# Of each writer between two transactions.
LONGEST_PAUSE = 3.0


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with open_shop(tmp_path_factory.mktemp("shop")) as shop:
        yield shop


@pytest.fixture
def dice() -> random.Random:
    seed = int(os.environ.get("SUBSCRIPTION_TEST_SEED", random.randrange(10**6)))  # noqa: S311 - no secret
    print(f"seed {seed}")  # noqa: T201 - to have it again
    return random.Random(seed)  # noqa: S311 - repeatable


async def test_every_consumer_hears_everything_once_whatever_breaks(shop: Shop, dice: random.Random) -> None:
    # given
    writers = Writers(shop.database_url, shop.goods, dice, LONGEST_PAUSE)
    with shop.serving("whole", SERVERS) as server:
        crew = Crew(shop, server, SERVERS)
        try:
            async with telling(crew, writers, CONSUMERS, WRITERS) as story:
                killing = asyncio.create_task(story.kill_consumers(KILLS))

                # when
                await story.suffer("nothing", lambda: asyncio.sleep(1))
                for seconds in OUTAGES:
                    await story.suffer(f"Redis killed for {seconds} s", lambda: kill_for(shop.valkey, seconds))  # noqa: B023 - called at once
                await story.suffer(
                    f"Redis frozen for {FREEZE_SECONDS} s", lambda: freeze_for(shop.valkey, FREEZE_SECONDS)
                )
                kills = ("CLIENT", "KILL", "TYPE", "pubsub"), ("CLIENT", "KILL", "TYPE", "normal")
                await story.suffer("Redis's clients killed", lambda: ask_often(shop.valkey, *kills))
                await story.suffer("Redis flushed", lambda: ask_often(shop.valkey, ("FLUSHALL",)))
                for turn in ("first", "second"):
                    await story.suffer(f"{turn} leader killed", crew.kill_leader)
                await story.suffer(
                    f"server frozen for {FREEZE_SECONDS} s", lambda: crew.freeze_server(FREEZE_SECONDS), is_outage=True
                )
                await story.suffer("PostgreSQL restarted", shop.restart_postgres, is_outage=True)
                await killing
                truth = await story.everything_is_heard()
        finally:
            crew.stop()

    # then
    interruptions = sum((consumer.interruptions for consumer in story.consumers), Counter[str]())
    print(f"{len(truth.changes)} changes, {KILLS} kills, interruptions {interruptions}")  # noqa: T201 - a measurement
    found = {number: consumer.faults(truth, story.begin) for number, consumer in enumerate(story.consumers)}
    assert not any(found.values()), {number: faults for number, faults in found.items() if faults}
    assert max(story.delays.values()) < LONGEST_DELAY
