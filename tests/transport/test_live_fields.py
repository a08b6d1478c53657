"""The fields of this API through the fan-out: what is shared, what is not, what opens and what ends."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.import_job import ImportJobRow, ImportStatus
from graphql_api.database.product import ProductRow
from graphql_api.database.user import Role, UserRow
from graphql_api.schema.node import global_id
from graphql_api.schema.root import ApiSchema, build_schema
from graphql_api.services.invoice_issue import issue_invoice
from graphql_api.services.policy import Viewer
from graphql_api.services.unit_of_work import unit_of_work
from graphql_api.transport.fanout import Refused
from tests.factories import (
    Line,
    create_customer,
    create_draft,
    create_import,
    create_product,
    create_stock,
    create_store,
)
from tests.schema.listening import relay
from tests.schema.people import create_viewer
from tests.transport.fanout_case import FakeOutlet, FanoutCase, fanning_out, quiet, until

WATCH = """subscription { stockWatch { __typename ... on StockState { isComplete levels { onHand } }
    ... on StockChange { before after } } }"""


@pytest.fixture(scope="module")
def schema() -> ApiSchema:
    """The schema as the server offers it."""
    return build_schema()


@pytest.fixture
async def case(database: Database, tmp_path: Path, schema: ApiSchema) -> AsyncIterator[FanoutCase]:
    async with fanning_out(database, tmp_path, schema=schema) as case:
        yield case


async def tell(case: FanoutCase) -> None:
    """Give numbers to what was committed, and have the process hear of it."""
    await relay(case.database)
    await case.feed.advance()


def values(outlet: FakeOutlet) -> list[Any]:
    """What came, without the name of the root field."""
    assert [result for result in outlet.results if "errors" in result] == []
    return [next(iter(result["data"].values())) for result in outlet.results]


def has_come(outlet: FakeOutlet, count: int) -> bool:
    return len(outlet.texts) == count


async def test_those_who_watch_the_same_begin_with_a_state_and_share_the_changes(case: FanoutCase) -> None:
    # given
    people = [await create_viewer(case.database, Role.STAFF) for _ in range(2)]
    async with case.database.transaction() as session:
        store, product = await create_store(session), await create_product(session)
        await create_stock(session, store, product, 5)
    await tell(case)
    first, second = [(await case.subscribe(WATCH, viewer=viewer))[1] for viewer in people]
    await until(lambda: first.texts and second.texts)

    # when
    async with case.database.transaction() as session:
        await create_stock(session, store, product, 2)
    await tell(case)
    await until(lambda: len(first.texts) == len(second.texts) == 2)

    # then
    assert case.groups == 1
    assert first.texts == second.texts
    assert values(first) == [
        {"__typename": "StockState", "isComplete": True, "levels": [{"onHand": 5}]},
        {"__typename": "StockChange", "before": 5, "after": 7},
    ]


async def test_a_state_that_is_too_large_is_refused(case: FanoutCase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphql_api.services.stock_state.MAX_LEVELS", 1)
    async with case.database.transaction() as session:
        for _ in range(2):
            await create_stock(session, await create_store(session), await create_product(session))

    _, outlet = await case.subscribe(WATCH)
    await until(lambda: outlet.is_ended)

    assert (outlet.codes, outlet.texts) == (["QUERY_TOO_COMPLEX"], [])


async def test_the_progress_of_an_import_ends_with_its_end(case: FanoutCase) -> None:
    # given
    async with case.database.transaction() as session:
        key = (await create_import(session)).id
    await tell(case)
    document = "subscription ($id: ID!) { importProgress(id: $id) { import { status rowsRead } } }"
    outlets = [(await case.subscribe(document, id=global_id("Import", key)))[1] for _ in range(2)]
    await until(lambda: all(outlet.texts for outlet in outlets))

    # when
    for status, rows in ((ImportStatus.RUNNING, 10), (ImportStatus.RUNNING, 20), (ImportStatus.COMPLETED, 30)):
        async with case.database.transaction() as session:
            job = await session.get_one(ImportJobRow, key)
            job.status, job.rows_read = status, rows
        await tell(case)
    await until(lambda: all(outlet.is_ended for outlet in outlets))

    # then
    for outlet in outlets:
        states = [(value["import"]["status"], value["import"]["rowsRead"]) for value in values(outlet)]
        assert (states[0], states[-1], outlet.errors) == (("QUEUED", 0), ("COMPLETED", 30), None)
        assert [rows for _, rows in states] == sorted(rows for _, rows in states)
    late = (await case.subscribe(document, id=global_id("Import", key)))[1]
    await until(lambda: late.is_ended)
    assert [value["import"]["status"] for value in values(late)] == ["COMPLETED"]


async def test_an_unknown_import_is_refused_at_once(case: FanoutCase) -> None:
    document = f'subscription {{ importProgress(id: "{global_id("Import", 9)}") {{ import {{ status }} }} }}'

    with pytest.raises(Refused) as caught:
        await case.subscribe(document)

    assert [error["extensions"]["code"] for error in caught.value.errors] == ["NOT_FOUND"]


async def test_what_depends_on_who_asks_is_executed_for_each(case: FanoutCase) -> None:
    # given
    own, other = [await create_viewer(case.database, Role.STAFF) for _ in range(2)]
    document = "subscription { productChanged { change product { canEdit } } }"
    outlets = [(await case.subscribe(document, viewer=viewer))[1] for viewer in (own, other)]

    # when
    async with case.database.transaction() as session:
        await create_product(session, created_by=await session.get_one(UserRow, own.user_id))
    await tell(case)
    await until(lambda: all(outlet.texts for outlet in outlets))

    # then
    assert [values(outlet) for outlet in outlets] == [
        [{"change": "CREATED", "product": {"canEdit": can_edit}}] for can_edit in (True, False)
    ]


async def test_the_product_is_the_one_after_the_change_each_time(case: FanoutCase) -> None:
    _, outlet = await case.subscribe("subscription { productChanged { product { name } } }")
    async with case.database.transaction() as session:
        key = (await create_product(session, name="A")).id
    await tell(case)
    await until(lambda: outlet.texts)

    for number, name in enumerate(("B", "C"), start=2):
        async with case.database.transaction() as session:
            (await session.get_one(ProductRow, key)).name = name
        await tell(case)
        await until(partial(has_come, outlet, number))

    assert [value["product"]["name"] for value in values(outlet)] == ["A", "B", "C"]


async def test_each_customer_hears_of_the_own_invoices(case: FanoutCase) -> None:
    # given
    staff = await create_viewer(case.database, Role.STAFF)
    customers = [await create_viewer(case.database, Role.CUSTOMER) for _ in range(2)]
    document = "subscription { invoiceChanged { change status } }"
    outlets = [(await case.subscribe(document, viewer=viewer))[1] for viewer in (staff, *customers)]

    # when
    await issue(case, staff, customers[0])
    await tell(case)
    await until(lambda: len(outlets[0].texts) == 2 and outlets[1].texts)
    await quiet()

    # then
    heard = [[(value["change"], value["status"]) for value in values(outlet)] for outlet in outlets]
    assert heard == [[("CREATED", "DRAFT"), ("ISSUED", "ISSUED")], [("ISSUED", "ISSUED")], []]


async def issue(case: FanoutCase, staff: Viewer, customer: Viewer) -> None:
    """An invoice for somebody."""
    async with case.database.transaction() as session:
        store, product = await create_store(session), await create_product(session)
        await create_stock(session, store, product, 50)
        row = await create_customer(session)
        row.user_id = customer.user_id
        key = (await create_draft(session, Line(product), store=store, customer=row)).id
    async with unit_of_work(case.database) as work:
        await issue_invoice(work, key, 1, staff)
