"""Many clients in several processes want the same bottles; nobody sells one that is not there."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from typing import Any

import asyncpg
import pytest

from graphql_api.database.engine import Database
from graphql_api.schema.node import global_id
from graphql_api.schema.root import ApiSchema, build_schema
from graphql_api.services.storage import FileStorage
from tests.client import ADMIN, Client, create_services, schema_client
from tests.factories import create_session, create_user
from tests.faults.stock_process import Plan
from tests.programs import PIPE, Program
from tests.services.ledger_case import LedgerCase, contradictions

PROCESSES = 4
CLIENTS = 64
PATIENCE = 300.0
TRANSFER = """mutation ($input: TransferStockInput!) { transferStock(input: $input) {
    movements { quantity } userErrors { __typename code message } } }"""


@pytest.fixture
def seed() -> int:
    """What chance begins with; shown when the test fails."""
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    return seed


@pytest.fixture
async def ledger(database: Database) -> AsyncIterator[LedgerCase]:
    async with database.dedicated() as connection:
        yield LedgerCase(database, connection)


async def run_processes(plan: Plan) -> list[dict[str, Any]]:
    """The plan's clients, spread over the processes; answers what each process did."""
    each = plan.clients // PROCESSES
    parts = [
        replace(
            plan,
            seed=plan.seed + number,
            clients=each,
            invoices=plan.invoices[number * each : (number + 1) * each],
        )
        for number in range(PROCESSES)
    ]
    return await asyncio.gather(*(run_process(part) for part in parts))


async def run_process(plan: Plan) -> dict[str, Any]:
    process = Program("tests.faults.stock_process:main", json.dumps(asdict(plan)), stdout=PIPE)
    output, _ = await asyncio.to_thread(process.communicate, PATIENCE)
    assert process.returncode == 0
    deeds: dict[str, Any] = json.loads(output)
    return deeds


@asynccontextmanager
async def watched(url: str) -> AsyncIterator[list[str]]:
    """The contradictions that the books showed at any moment meanwhile, and at the end."""
    found: list[str] = []
    done = asyncio.Event()

    async def watch() -> None:
        connection = await asyncpg.connect(url)
        while not done.is_set():
            found.extend(await contradictions(connection))
            await asyncio.sleep(0.3)
        found.extend(await contradictions(connection))
        await connection.close()

    watching = asyncio.create_task(watch())
    try:
        yield found
    finally:
        done.set()
        await watching


async def create_plan(ledger: LedgerCase, seed: int, *, stores: int, products: int, acts: int | None) -> Plan:
    store_ids = [(await ledger.store()).id for _ in range(stores)]
    product_ids = [(await ledger.product()).id for _ in range(products)]
    invoices = [await ledger.invoice(store_ids[0], product_ids[0]) for _ in range(CLIENTS)]
    return Plan(ledger.database.url, seed, CLIENTS, store_ids, product_ids, invoices, acts)


async def test_64_clients_sell_one_stock_row_to_the_last_bottle_and_no_further(ledger: LedgerCase, seed: int) -> None:
    # given
    plan = await create_plan(ledger, seed, stores=1, products=1, acts=None)
    key = plan.stores[0], plan.products[0]
    for unit_cost in (100, 101, 102):
        await ledger.receive(key, 100, unit_cost)

    # when
    async with watched(plan.url) as found:
        deeds = await run_processes(plan)

    # then
    assert [fault for deed in deeds for fault in deed["faults"]] == []
    assert sum(deed["taken"] for deed in deeds) == 300
    assert await ledger.level(key) == (0, 0)
    assert await ledger.connection.fetchval("SELECT sum(cost) FROM stock_movement WHERE quantity < 0") == -30_300
    assert found == []


async def test_sales_returns_transfers_both_ways_and_writers_by_hand_leave_true_books(
    ledger: LedgerCase, seed: int
) -> None:
    # given: so little that every client meets shortages
    plan = await create_plan(ledger, seed, stores=3, products=3, acts=5)
    for store in plan.stores:
        for product in plan.products:
            await ledger.receive((store, product), 20)

    # when
    async with watched(plan.url) as found:
        deeds = await run_processes(plan)

    # then
    assert [fault for deed in deeds for fault in deed["faults"]] == []
    done = sum((Counter(deed["done"]) for deed in deeds), Counter[str]())
    assert done["shortage"] > 0
    assert done.keys() >= {"sell", "sell_and_return", "transfer", "by_hand", "receive"}
    taken, brought = sum(deed["taken"] for deed in deeds), sum(deed["brought"] for deed in deeds)
    assert await ledger.connection.fetchval("SELECT sum(on_hand) FROM stock_level") == 9 * 20 + brought - taken
    assert found == []


@pytest.fixture(scope="module")
def schema() -> ApiSchema:
    return build_schema()


async def create_client(ledger: LedgerCase, schema: ApiSchema, storage: FileStorage) -> Client:
    async with ledger.database.transaction() as session:
        user = await create_user(session)
        viewer = replace(ADMIN, user_id=user.id, session_id=(await create_session(session, user)).id)
    return schema_client(schema, create_services(ledger.database, storage), viewer)


async def test_no_deadlock_reaches_those_who_transfer_in_both_directions(
    ledger: LedgerCase, seed: int, schema: ApiSchema, tmp_path: Any
) -> None:
    # given
    rng = random.Random(seed)  # noqa: S311 - repeatable, no secret
    client = await create_client(ledger, schema, FileStorage(str(tmp_path)))
    stores, products = [await ledger.store() for _ in range(2)], [await ledger.product() for _ in range(3)]
    for store in stores:
        for product in products:
            await ledger.receive((store.id, product.id), 30)

    def wish() -> dict[str, Any]:
        source, target = rng.sample(stores, 2)
        lines = [
            {"productId": global_id("Product", product.id), "quantity": rng.randint(1, 9)}
            for product in rng.sample(products, 3)
        ]
        return {
            "fromStoreId": global_id("Store", source.id),
            "toStoreId": global_id("Store", target.id),
            "lines": lines,
        }

    # when
    answers = await asyncio.gather(*(client.execute(TRANSFER, input=wish()) for _ in range(96)))

    # then
    errors = [error for answer in answers for error in answer["transferStock"]["userErrors"]]
    assert {error["__typename"] for error in errors} <= {"InsufficientStock"}
    assert len(errors) < len(answers)
    assert await ledger.connection.fetchval("SELECT sum(on_hand) FROM stock_level") == 180
    assert await ledger.contradictions() == []
