"""`stockWatch` is exact while everybody writes: its state plus what follows is what is there, at every moment."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from graphql_api.database.engine import Database, transaction_driver
from graphql_api.database.product import ProductRow
from graphql_api.database.stock import MovementCause
from graphql_api.database.store import StoreRow
from graphql_api.events.bus import Bus
from graphql_api.events.relay import Relay
from graphql_api.ledger import moves
from graphql_api.ledger.entries import Demand, Entry, Receipt, Shortage
from graphql_api.schema.context import Services
from graphql_api.schema.root import ApiSchema, build_schema
from graphql_api.schema.stock_event import StockChange
from graphql_api.services.storage import FileStorage
from tests.client import create_services
from tests.factories import SOME_DAY, create_category, create_product, create_store
from tests.schema.listening import Listener, listen
from tests.schema.listening import relay as numbered

WATCH = """subscription ($where: StockWatchWhere) { stockWatch(where: $where) { __typename
    ... on StockState { isComplete levels { onHand store { number } product { sku } } }
    ... on StockChange { before after delta store { number } product { sku } } } }"""
PRESENT = """
SELECT s.number, p.sku, l.on_hand FROM stock_level l JOIN store s ON s.id = l.store_id
JOIN product p ON p.id = l.product_id LEFT JOIN category c ON c.id = p.category_id
"""
# A filter, and the same in SQL.
WHERES: list[tuple[dict[str, Any], str]] = [
    ({}, "true"),
    ({"storeNumber": {"eq": 1}}, "s.number = 1"),
    ({"category": {"contains": "gin"}}, "c.name = 'GIN'"),
    ({"not": {"sku": {"in": ["A", "B"]}}}, "p.sku NOT IN ('A', 'B')"),
]
WRITERS = 8
ROUNDS = 25
WATCHERS = 16


@pytest.fixture(scope="module")
def schema() -> ApiSchema:
    """The schema as the server offers it."""
    return build_schema()


@pytest.fixture
def services(database: Database, tmp_path: Path) -> Services:
    """What operations share."""
    return create_services(database, FileStorage(str(tmp_path / "storage")))


@pytest.fixture
async def relay(database: Database) -> AsyncIterator[Relay]:
    """Gives the numbers meanwhile."""
    relay = Relay(database.url, Bus(None, "tests"))
    running = asyncio.create_task(relay.run())
    yield relay
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@dataclass
class Market:
    """Two stores and four products, and those who move bottles between them."""

    database: Database
    relay: Relay
    stores: list[StoreRow] = field(default_factory=list)
    products: list[ProductRow] = field(default_factory=list)

    async def fill(self) -> None:
        async with self.database.transaction() as session:
            gin = await create_category(session, name="GIN")
            self.stores = [await create_store(session, number=number) for number in (1, 2)]
            self.products = [
                await create_product(session, sku=sku, category=gin if sku in "AC" else None) for sku in "ABCD"
            ]

    async def write(self, chance: random.Random) -> None:
        """One transaction after the other; some wait before they commit, some are rolled back."""
        for _ in range(ROUNDS):
            try:
                await self._move(chance)
            except Shortage:
                continue
            if chance.random() < 0.5:
                self.relay.wake()
            await asyncio.sleep(chance.random() * 0.01)

    async def _move(self, chance: random.Random) -> None:
        keys = [(store.id, product.id) for store in self.stores for product in self.products]
        # in order, so that two who need the same levels never wait for each other
        chosen = sorted(chance.sample(keys, 2))
        async with self.database.transaction() as session:
            connection = await transaction_driver(session)
            entry = Entry(MovementCause.ADJUSTMENT, "exactly")
            if chance.random() < 0.6:
                receipts = [Receipt(*key, chance.randint(1, 9), 100, SOME_DAY, None) for key in chosen]
                await moves.receive(connection, receipts, entry)
            else:
                await moves.take(connection, [Demand(*key, chance.randint(1, 5)) for key in chosen], entry)
            await asyncio.sleep(chance.random() * 0.02)

    async def present(self, condition: str) -> dict[tuple[int, str], int]:
        async with self.database.read() as session:
            rows = await session.execute(text(f"{PRESENT} WHERE {condition}"))
            return {(number, sku): on_hand for number, sku, on_hand in rows}


@dataclass
class Watcher:
    """Somebody who keeps what the watch has said, and believes nothing that does not fit."""

    listener: Listener
    levels: dict[tuple[int, str], int] = field(default_factory=dict)
    changes: int = 0

    def __post_init__(self) -> None:
        pages = self.listener.opened_with
        assert [page["isComplete"] for page in pages] == [False] * (len(pages) - 1) + [True]
        for level in (level for page in pages for level in page["levels"]):
            place = level["store"]["number"], level["product"]["sku"]
            assert place not in self.levels
            self.levels[place] = level["onHand"]

    async def read(self) -> None:
        for change in await self.listener.values():
            assert isinstance(change, StockChange)
            place = change.fact.store_number, change.fact.sku
            assert change.before == self.levels.get(place, 0), (place, change)
            assert change.after == change.before + change.delta
            self.levels[place] = change.after
            self.changes += 1


async def test_the_state_and_what_follows_are_what_is_there(
    database: Database, schema: ApiSchema, services: Services, relay: Relay
) -> None:
    # given
    seed = random.randrange(10**9)  # noqa: S311 - see below
    print(f"seed {seed}")  # noqa: T201 - to have it again
    chance = random.Random(seed)  # noqa: S311 - the same choices again for the same seed
    market = Market(database, relay)
    await market.fill()

    async def watch(index: int) -> tuple[str, Watcher]:
        """Begin somewhere in the middle, and look from time to time."""
        where, condition = WHERES[index % len(WHERES)]
        await asyncio.sleep(chance.random() * 0.5)
        watcher = Watcher(await listen(schema, services, WATCH, where=where))
        while not written.is_set():
            await watcher.read()
            await asyncio.sleep(chance.random() * 0.05)
        return condition, watcher

    # when
    written = asyncio.Event()
    watching = [asyncio.create_task(watch(index)) for index in range(WATCHERS)]
    await asyncio.gather(*(market.write(chance) for _ in range(WRITERS)))
    await everything_numbered(market)
    written.set()
    watchers = await asyncio.gather(*watching)

    # then
    for condition, watcher in watchers:
        await watcher.read()
        assert present(watcher.levels) == present(await market.present(condition))
    assert sum(watcher.changes for _, watcher in watchers) > 0
    assert sum(len(watcher.levels) > 0 for _, watcher in watchers) > 0


def present(levels: dict[tuple[int, str], int]) -> dict[tuple[int, str], int]:
    """What is there; that there was once something makes no difference."""
    return {key: on_hand for key, on_hand in levels.items() if on_hand}


async def everything_numbered(market: Market) -> None:
    market.relay.wake()
    async with asyncio.timeout(60):
        while True:
            async with market.database.read() as session:
                if not await session.scalar(text("SELECT count(*) FROM outbox")):
                    return
            await asyncio.sleep(0.02)


async def test_what_has_no_number_yet_is_no_part_of_the_state(
    database: Database, schema: ApiSchema, services: Services
) -> None:
    """Nobody gives numbers here, so everything is still to come."""
    relay = Relay(database.url, Bus(None, "tests"))
    market = Market(database, relay)
    await market.fill()
    chance = random.Random(7)  # noqa: S311 - the same choices each time
    await asyncio.gather(*(market.write(chance) for _ in range(3)))

    watcher = Watcher(await listen(schema, services, WATCH))

    assert set(watcher.levels.values()) == {0}
    await numbered(database)
    await watcher.read()
    assert watcher.levels == await market.present("true")
