"""Whatever moves stock is told: every mutation of the schema is done in turn and compared with the ledger."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.stock import MovementCause
from graphql_api.database.store import StoreRow
from graphql_api.schema.context import Services
from graphql_api.schema.node import global_id
from graphql_api.schema.root import ApiSchema, build_schema
from graphql_api.services.invoice_issue import issue_invoice
from graphql_api.services.purchase_receipt import receive_purchase
from graphql_api.services.storage import FileStorage
from graphql_api.services.unit_of_work import unit_of_work
from tests.client import create_services
from tests.events.cause_walk import IMPORTING, MOVING, Walk
from tests.factories import Line, OrderLine, create_draft, create_product, create_purchase, create_stock, create_store
from tests.schema.mutation_examples import EXAMPLES
from tests.schema.mutation_walk import Attempt, Example, World, mutations, successful_document
from tests.services.account_case import AccountCase


@pytest.fixture(scope="module")
def schema() -> ApiSchema:
    """The schema as the server offers it."""
    return build_schema()


@pytest.fixture
def services(database: Database, tmp_path: Path) -> Services:
    """What operations share."""
    return create_services(database, FileStorage(str(tmp_path / "storage")))


async def _issued(world: World, quantity: int = 3) -> tuple[str, str]:
    """The ids of an invoice that was issued here, and of its product; there is more in stock."""
    async with world.database.transaction() as session:
        store, product = await create_store(session), await create_product(session)
        await create_stock(session, store, product, 20)
        key = (await create_draft(session, Line(product, quantity), store=store)).id
    async with unit_of_work(world.database) as work:
        await issue_invoice(work, key, 1, world.staff)
    return global_id("Invoice", key), global_id("Product", product.id)


async def _add_to_issued(world: World) -> Attempt:
    invoice, _ = await _issued(world)
    async with world.database.transaction() as session:
        product = await create_product(session)
        store = (await world.accounts.rows("SELECT store_id FROM invoice ORDER BY id DESC LIMIT 1"))[0][0]
        await create_stock(session, await session.get_one(StoreRow, store), product, 9)
    line = {"productId": global_id("Product", product.id), "quantity": 4}
    return Attempt("Invoice", None, {"id": invoice, "expectedVersion": 2, "lines": [line]}, world.staff)


def _set_on_issued(quantity: int) -> Example:
    async def example(world: World) -> Attempt:
        invoice, product = await _issued(world)
        lines = [{"productId": product, "quantity": quantity}]
        return Attempt("Invoice", None, {"id": invoice, "expectedVersion": 2, "lines": lines}, world.staff)

    return example


async def _issue_twice_the_same(world: World) -> Attempt:
    async with world.database.transaction() as session:
        store, product = await create_store(session), await create_product(session)
        for quantity in (3, 4):
            await create_stock(session, store, product, quantity)
        key = (await create_draft(session, Line(product, 2), Line(product, 4), store=store)).id
    return Attempt("Invoice", None, {"id": global_id("Invoice", key), "expectedVersion": 1}, world.staff)


async def _credit_with_restock(world: World) -> Attempt:
    invoice, _ = await _issued(world)
    wish = {"id": invoice, "expectedVersion": 2, "reason": "Wrong brand", "restock": True}
    return Attempt("Invoice", None, wish, world.staff)


async def _find(world: World) -> Attempt:
    return Attempt("StockLevel", None, {**await world.stock(), "quantity": 5, "reason": "found"}, world.staff)


async def _count_more(world: World) -> Attempt:
    stock = await world.stock()
    line = {"productId": stock["productId"], "counted": 12, "expected": 10}
    return Attempt("Store", None, {"storeId": stock["storeId"], "lines": [line]}, world.staff)


async def _order(world: World) -> tuple[str, int]:
    async with world.database.transaction() as session:
        products = [await create_product(session) for _ in range(2)]
        key = (await create_purchase(session, *(OrderLine(product, 6) for product in products))).id
    return global_id("Purchase", key), key


async def _receive_in_part(world: World) -> Attempt:
    purchase, _ = await _order(world)
    lines = [{"lineNumber": 2, "quantity": 4}, {"lineNumber": 2, "quantity": 1}]
    return Attempt("Purchase", None, {"id": purchase, "expectedVersion": 1, "lines": lines}, world.staff)


async def _void_received(world: World) -> Attempt:
    purchase, key = await _order(world)
    async with unit_of_work(world.database) as work:
        await receive_purchase(work, key, 1)
    return Attempt("Purchase", None, {"id": purchase, "expectedVersion": 2, "reason": "Corked"}, world.staff)


VARIANTS: Sequence[tuple[str, Example]] = (
    ("addInvoiceLines", _add_to_issued),
    ("setInvoiceLines", _set_on_issued(8)),
    ("setInvoiceLines", _set_on_issued(1)),
    ("issueInvoice", _issue_twice_the_same),
    ("creditInvoice", _credit_with_restock),
    ("adjustStock", _find),
    ("countStock", _count_more),
    ("receivePurchase", _receive_in_part),
    ("voidPurchase", _void_received),
)


def attempts() -> Iterator[tuple[str, Example]]:
    """Every mutation once, and those that move stock in other ways, too."""
    yield from EXAMPLES.items()
    yield from VARIANTS


async def begin_anew(world: World) -> None:
    """New people who are alone in the company, nothing that is due, and no one at the address that examples use."""
    everybody = "UPDATE user_account SET is_active = false, email = id || '@example.com'"
    for statement in (everybody, "DELETE FROM jobs.pgqueuer"):
        await world.accounts.execute(statement)
    await world.fill()


async def test_every_mutation_that_moves_stock_is_told_and_no_other_moves_any(
    database: Database, schema: ApiSchema, services: Services
) -> None:
    # given
    world = World(database, AccountCase(database), services, schema)
    walk = Walk(database, schema, services)
    assert mutations(schema).fields.keys() == EXAMPLES.keys(), "every mutation is walked"

    # when
    for name, make in attempts():
        await begin_anew(world)
        attempt = await make(world)
        document = successful_document(world, name, attempt)

        async def act(name: str = name, attempt: Attempt = attempt, document: Any = document) -> None:
            answer = await world.client(attempt.viewer).execute(document.text, **document.variables)
            assert answer[name]["userErrors"] == [], name

        await walk.compare(name, act)

    # then
    assert {name: causes for name, causes in walk.causes.items() if causes} == MOVING


def test_no_cause_was_left_out() -> None:
    """What the walks above have seen is exactly what their tables say."""
    assert set().union(*MOVING.values(), *IMPORTING.values()) == set(MovementCause)
