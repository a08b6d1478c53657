"""Relays that are killed and frozen while many write: every change gets one number, in order, without a hole."""

import asyncio
import itertools
import json
import os
import random
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import psutil
import pytest

from graphql_api import embedded
from graphql_api.database import migrate
from graphql_api.database.engine import Database
from graphql_api.database.stock import MovementCause
from graphql_api.events.relay import LEADER_LOCK
from graphql_api.ledger import moves
from graphql_api.ledger.entries import Demand, Entry
from tests.events.event_case import TELL
from tests.faults.idle_clock import IdleClock
from tests.ports import kept_port
from tests.programs import Program
from tests.services.ledger_case import LedgerCase

RELAYS = 3
WRITERS = 50
WRITES = int(os.environ.get("RELAY_TEST_WRITES", "6"))
LONGEST_SLEEP = 0.05
TURNS = int(os.environ.get("RELAY_TEST_TURNS", "4"))
REPLACED_SECONDS = 2.0
PATIENCE = 180.0
Happening = Callable[[Program], Awaitable[None]]
BROKEN_OFF = 0.1
ENTRY = Entry(MovementCause.ADJUSTMENT, "broken")
LEADER_PORT = """
SELECT a.client_port FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objid = $1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
# What a restart of the database looks like to a client, as a statement begins, runs or ends.
LOST = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


@dataclass
class Relays:
    """Some relays of one database, of which one leads."""

    url: str
    running: list[Program] = field(default_factory=list)

    def start(self) -> None:
        """One more."""
        self.running.append(Program("tests.faults.relay_process:main", self.url))

    async def leader(self, connection: asyncpg.Connection) -> Program:
        """The one whose connection holds the lock."""
        async with asyncio.timeout(PATIENCE):
            while True:
                port = await connection.fetchval(LEADER_PORT, LEADER_LOCK)
                for relay in self.running:
                    if port in {one.laddr.port for one in psutil.Process(relay.pid).net_connections()}:
                        return relay
                await asyncio.sleep(0.01)

    async def kill(self, relay: Program) -> None:
        """End it as the kernel does; another is started."""
        self.running.remove(relay)
        relay.kill()
        self.start()

    async def freeze(self, relay: Program) -> None:
        """Stop it; once another is in its place it goes on as if nothing had been."""
        relay.send_signal(signal.SIGSTOP)

    def stop(self) -> None:
        for relay in self.running:
            relay.kill()


@asynccontextmanager
async def relaying(url: str) -> AsyncIterator[Relays]:
    """Relay processes."""
    relays = Relays(url)
    try:
        for _ in range(RELAYS):
            relays.start()
        yield relays
    finally:
        relays.stop()


async def replaced(
    connection: asyncpg.Connection,
    relays: Relays,
    happen: Callable[[Program], Awaitable[None]],
    key: int,
) -> float:
    """Seconds of an idle machine until a change that is committed when something happens to the leader has a number."""
    leader = await relays.leader(connection)
    with IdleClock() as clock:
        await happen(leader)
        await connection.execute(TELL, "SALES", [key])
        await drained(connection, f"topic = 'SALES' AND key = {key}")
    leader.send_signal(signal.SIGCONT)
    return clock.seconds


async def drained(connection: asyncpg.Connection, what: str = "true") -> None:
    """Wait until nothing of this is in the outbox any more."""
    async with asyncio.timeout(PATIENCE):
        while await connection.fetchval(f"SELECT count(*) FROM outbox WHERE {what}"):  # noqa: ASYNC110, S608 - ours
            await asyncio.sleep(0.01)


async def write(url: str, seed: str, keys: list[tuple[int, int]]) -> None:
    """Take bottles from some levels, with a pause before the commit; some transactions are broken off."""
    dice = random.Random(seed)  # noqa: S311 - repeatable, no secret
    done = 0
    connection = None
    while done < WRITES:
        try:
            connection = connection or await asyncpg.connect(url)
            await write_once(connection, dice, keys)
            done += 1
        except LOST:
            connection = None
            await asyncio.sleep(0.1)
    if connection is not None:
        await connection.close()


async def write_once(connection: asyncpg.Connection, dice: random.Random, keys: list[tuple[int, int]]) -> None:
    demands = [Demand(*key, dice.randint(1, 3)) for key in dice.sample(keys, dice.randint(1, 3))]
    pause, is_broken_off = dice.uniform(0, LONGEST_SLEEP), dice.random() < BROKEN_OFF
    transaction = connection.transaction()
    await transaction.start()
    await moves.take(connection, demands, ENTRY)
    await asyncio.sleep(pause)
    await (transaction.rollback() if is_broken_off else transaction.commit())


async def create_levels(database: Database) -> list[tuple[int, int]]:
    """Twelve levels with enough for everybody."""
    async with database.dedicated() as connection:
        ledger = LedgerCase(database, connection)
        stores, products = [await ledger.store() for _ in range(3)], [await ledger.product() for _ in range(4)]
        keys = [(store.id, product.id) for store in stores for product in products]
        for key in keys:
            await ledger.receive(key, 1_000_000)
        return keys


async def faults(connection: asyncpg.Connection) -> list[str]:
    """What is wrong with the log, compared with what was committed."""
    await drained(connection)
    rows = await connection.fetch("SELECT number, topic, payload FROM event ORDER BY number")
    stock = [json.loads(row["payload"]) for row in rows if row["topic"] == "STOCK"]
    moved = [row[0] for row in await connection.fetch("SELECT id FROM stock_movement ORDER BY id")]
    found = []
    if [row["number"] for row in rows] != list(range(1, len(rows) + 1)):
        found.append("the numbers have holes")
    if sorted(fact["movement"] for fact in stock) != moved:
        found.append("not every change was told of once")
    levels: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for fact in stock:
        levels[fact["store"], fact["product"]].append(fact)
    chains = [pair for facts in levels.values() for pair in itertools.pairwise(facts)]
    if any(earlier["after"] != later["before"] for earlier, later in chains):
        found.append("a level's changes are out of order")
    return found


@pytest.fixture
def seed() -> int:
    number = random.randrange(2**32)  # noqa: S311 - repeatable, no secret
    print(f"seed {number}")  # noqa: T201 - shown when the test fails
    return number


async def test_a_leader_that_is_killed_or_frozen_is_replaced_and_nothing_is_lost(database: Database, seed: int) -> None:
    # given
    keys = await create_levels(database)
    async with relaying(database.url) as relays, database.dedicated() as connection:
        # when
        writing = asyncio.gather(*(write(database.url, f"{seed}-{n}", keys) for n in range(WRITERS)))
        waits = []
        for turn in range(TURNS):
            happen = relays.freeze if turn % 2 else relays.kill
            waits.append((happen.__name__, await replaced(connection, relays, happen, turn + 1)))
        await writing

        # then
        print(", ".join(f"{what} {seconds:.2f} s" for what, seconds in waits))  # noqa: T201 - what was measured
        assert max(seconds for _, seconds in waits) < REPLACED_SECONDS
        assert await faults(connection) == []


async def test_a_restart_of_the_database_loses_nothing(tmp_path: Path, seed: int) -> None:
    servers = embedded.start(tmp_path, valkey=False)
    try:
        database = Database(servers.database_url)
        await migrate.upgrade(database)
        keys = await create_levels(database)
        async with relaying(database.url):
            writing = asyncio.gather(*(write(database.url, f"{seed}-{n}", keys) for n in range(WRITERS)))
            await asyncio.sleep(0.5)
            await asyncio.to_thread(servers.stop)
            # it comes back where it was, unless another program has taken its port
            with kept_port(urlsplit(database.url).port or 0):
                servers = await asyncio.to_thread(embedded.start, tmp_path, valkey=False)
            await writing
            async with database.dedicated() as connection:
                assert await faults(connection) == []
        await database.close()
    finally:
        await asyncio.to_thread(servers.stop)
        await asyncio.to_thread(embedded.remove, tmp_path)
