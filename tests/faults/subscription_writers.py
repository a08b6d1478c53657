"""Many who move stock at once, with pauses before they commit, and what the database says of it in the end."""

import asyncio
import datetime as dt
import json
import random
import time
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from graphql_api.database.stock import MovementCause
from graphql_api.ledger import moves
from graphql_api.ledger.entries import Demand, Entry, Receipt
from tests.faults.subscription_shop import Goods

LONGEST_SLEEP = 0.1
BROKEN_OFF = 0.1
PLENTY = 1_000_000
PATIENCE = 180.0
DAY = dt.date(2024, 3, 15)
# What a restart of the database looks like to a client, as a statement begins, runs or ends.
LOST = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
LEVELS = "SELECT store_id, product_id, on_hand FROM stock_level WHERE on_hand <> 0"


@dataclass
class Writers:
    """Everybody who writes.

    Args:
        url: of the database.
        goods: what they move.
        dice: decide what and when.
        longest_pause: of one between two of its transactions, in seconds.
        committed: when (monotonic) the movements with a reason were committed.
    """

    url: str
    goods: Goods
    dice: random.Random
    longest_pause: float
    committed: dict[str, float] = field(default_factory=dict)
    is_over: bool = False
    _things: int = 0

    async def run(self, count: int) -> None:
        """Write until it is over."""
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(self._write())

    async def write_one(self) -> str:
        """Move something now, however often that takes; its reason."""
        while True:
            try:
                connection = await asyncpg.connect(self.url, timeout=5)
            except LOST:
                await asyncio.sleep(0.05)
                continue
            try:
                return await self._once(connection, 0.0, is_broken_off=False)
            except LOST:
                await asyncio.sleep(0.05)
            finally:
                connection.terminate()

    async def write_with(self, connection: asyncpg.Connection) -> str:
        """Move something at once, over this connection; its reason."""
        return await self._once(connection, 0.0, is_broken_off=False)

    async def _write(self) -> None:
        connection = None
        try:
            while not self.is_over:
                try:
                    connection = connection or await asyncpg.connect(self.url, timeout=5)
                    sleep, is_broken_off = self.dice.uniform(0, LONGEST_SLEEP), self.dice.random() < BROKEN_OFF
                    await self._once(connection, sleep, is_broken_off=is_broken_off)
                    await asyncio.sleep(self.dice.uniform(0, self.longest_pause))
                except LOST:
                    _hang_up(connection)
                    connection = None
                    await asyncio.sleep(0.1)
        finally:
            _hang_up(connection)

    async def _once(self, connection: asyncpg.Connection, sleep: float, *, is_broken_off: bool) -> str:
        self._things += 1
        reason = f"thing {self._things}"
        act = self.dice.choices((self._take, self._receive, self._transfer), (3, 1, 1))[0]
        transaction = connection.transaction()
        await transaction.start()
        await act(connection, reason)
        await asyncio.sleep(sleep)
        if is_broken_off:
            await transaction.rollback()
            return reason
        await transaction.commit()
        self.committed[reason] = time.monotonic()
        return reason

    async def stock_up(self) -> None:
        """Have enough of everything everywhere."""
        connection = await asyncpg.connect(self.url)
        receipts = [
            Receipt(store, product, PLENTY, 600, DAY) for store in self.goods.stores for product in self.goods.skus
        ]
        async with connection.transaction():
            await moves.receive(connection, receipts, Entry(MovementCause.ADJUSTMENT, "plenty"))
        await connection.close()

    async def _take(self, connection: asyncpg.Connection, reason: str) -> None:
        await moves.take(connection, self._demands(), Entry(MovementCause.ADJUSTMENT, reason))

    async def _receive(self, connection: asyncpg.Connection, reason: str) -> None:
        key = self.dice.choice([*self.goods.stores]), self.dice.choice([*self.goods.skus])
        receipt = Receipt(*key, self.dice.randint(1, 9), 600, DAY)
        await moves.receive(connection, [receipt], Entry(MovementCause.ADJUSTMENT, reason))

    async def _transfer(self, connection: asyncpg.Connection, reason: str) -> None:
        demands = self._demands()
        others = [store for store in self.goods.stores if store != demands[0].store_id]
        entry = Entry(MovementCause.TRANSFER_OUT, reason)
        await moves.transfer(connection, demands, self.dice.choice(others), entry)

    def _demands(self) -> list[Demand]:
        store = self.dice.choice([*self.goods.stores])
        products = self.dice.sample([*self.goods.skus], self.dice.randint(1, 2))
        return [Demand(store, product, self.dice.randint(1, 3)) for product in products]


def _hang_up(connection: asyncpg.Connection | None) -> None:
    if connection is not None:
        connection.terminate()


@dataclass(frozen=True)
class Truth:
    """What the database says.

    Args:
        changes: the payloads of all changes of stock, by number.
        levels: bottles, by the number of the store and the SKU; without those that are 0.
    """

    changes: dict[int, dict[str, Any]]
    levels: dict[tuple[int, str], int]


async def read_truth(url: str, goods: Goods) -> Truth:
    """What the database says, once everything has its number; it must be right in itself."""
    connection = await asyncpg.connect(url)
    try:
        return await _read_truth(connection, goods)
    finally:
        await connection.close()


async def _read_truth(connection: asyncpg.Connection, goods: Goods) -> Truth:
    async with asyncio.timeout(PATIENCE):
        while await connection.fetchval("SELECT count(*) FROM outbox"):  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.02)
    rows = await connection.fetch("SELECT number, topic, payload FROM event ORDER BY number")
    assert [row["number"] for row in rows] == list(range(1, len(rows) + 1))
    facts = {row["number"]: json.loads(row["payload"]) for row in rows if row["topic"] == "STOCK"}
    # what is put there by a test as something that cannot be read, is not to be told
    changes = {number: fact for number, fact in facts.items() if "movement" in fact}
    moved = await connection.fetch("SELECT id FROM stock_movement ORDER BY id")
    assert sorted(fact["movement"] for fact in changes.values()) == [row[0] for row in moved]
    levels = {(goods.stores[row[0]], goods.skus[row[1]]): row[2] for row in await connection.fetch(LEVELS)}
    return Truth(changes, levels)
