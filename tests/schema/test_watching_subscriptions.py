"""What is told of low stock, notifications and imports, and to whom."""

import asyncio

import pytest
from sqlalchemy import text

from graphql_api.app import following
from graphql_api.database.engine import Database
from graphql_api.database.import_job import ImportJobRow, ImportStatus
from graphql_api.database.notification import Severity
from graphql_api.database.user import Role
from graphql_api.schema.context import Services
from graphql_api.schema.node import global_id
from graphql_api.services.notification import notify
from graphql_api.services.policy import Viewer
from graphql_api.services.translation import Sentence
from graphql_api.services.unit_of_work import unit_of_work
from tests.client import Client
from tests.factories import (
    create_import,
    create_product,
    create_stock,
    create_store,
)
from tests.schema.listening import Listen, change, changes, refusal_of, relay
from tests.schema.people import ClientOf, create_viewer

LOW_STOCK = """subscription ($where: LowStockEventWhere) { lowStock(where: $where) {
    cursor at change place { city } lowStock { isOpen onHand product { sku } } } }"""
NOTIFICATIONS = """subscription ($after: Cursor) { notificationReceived(after: $after) {
    cursor at unreadCount notification { title severity } } }"""
PROGRESS = "subscription ($id: ID!) { importProgress(id: $id) { cursor import { id status rowsRead } } }"


@pytest.fixture
async def admin(database: Database) -> Viewer:
    return await create_viewer(database, Role.ADMIN)


@pytest.fixture
def client(client_of: ClientOf, admin: Viewer) -> Client:
    return client_of(admin)


async def test_low_stock_is_told_from_beginning_to_end(database: Database, client: Client, hear: Listen) -> None:
    # given
    async with database.transaction() as session:
        store, product = await create_store(session), await create_product(session, sku="A")
        await create_stock(session, store, product, 50)
    await relay(database)
    listener = await hear(LOW_STOCK, where={"sku": {"eq": "A"}})
    opened_only = await hear(
        LOW_STOCK, where={"store": {"eq": global_id("Store", store.id)}, "change": {"eq": "OPENED"}}
    )
    place = {"storeId": global_id("Store", store.id), "productId": global_id("Product", product.id)}

    # when
    await change(client, "adjustStock", **place, quantity=-48, reason="broken")
    (opened,) = await listener.take()
    async with database.read() as session:
        key = await session.scalar(text("SELECT id FROM low_stock_episode"))
    await change(client, "acknowledgeLowStock", ids=[global_id("LowStock", key)])
    await change(client, "adjustStock", **place, quantity=60, reason="found")

    # then
    assert (opened["change"], opened["lowStock"]) == (
        "OPENED",
        {"isOpen": True, "onHand": 2, "product": {"sku": "A"}},
    )
    assert opened["place"]["city"].startswith("CITY")
    assert changes(await listener.take()) == ["ACKNOWLEDGED", "RESOLVED"]
    assert changes(await opened_only.take()) == ["OPENED"]


async def tell(database: Database, *people: Viewer, title: str) -> None:
    async with unit_of_work(database) as work:
        sentence = Sentence(title)
        await notify(work, severity=Severity.INFO, title=sentence, body=sentence, users=[who.user_id for who in people])


async def test_everybody_hears_of_the_own_notifications_alone(database: Database, hear: Listen) -> None:
    # given
    mona, omar = [await create_viewer(database, Role.CUSTOMER) for _ in range(2)]
    of_mona, of_omar = await hear(NOTIFICATIONS, mona), await hear(NOTIFICATIONS, omar)
    assert of_mona.stream.is_personal

    # when
    await tell(database, mona, title="For one")
    await tell(database, mona, omar, title="For both")

    # then
    heard, others = await of_mona.take(), await of_omar.take()
    assert [event["notification"]["title"] for event in heard] == ["For one", "For both"]
    assert [event["unreadCount"] for event in heard] == [2, 2]
    assert [(event["notification"]["title"], event["unreadCount"]) for event in others] == [("For both", 1)]
    again = await hear(NOTIFICATIONS, mona, after=heard[0]["cursor"])
    assert [event["notification"]["title"] for event in await again.take()] == ["For both"]


async def test_what_was_deleted_meanwhile_is_left_out(database: Database, client_of: ClientOf, hear: Listen) -> None:
    mona = await create_viewer(database, Role.CUSTOMER)
    listener = await hear(NOTIFICATIONS, mona)
    await tell(database, mona, title="One")
    async with database.read() as session:
        key = await session.scalar(text("SELECT id FROM notification_recipient"))
    await change(client_of(mona), "deleteNotification", ids=[global_id("Notification", key)])
    await tell(database, mona, title="Two")

    assert [event["notification"]["title"] for event in await listener.take()] == ["Two"]


async def job_in(database: Database, status: ImportStatus) -> str:
    """The id of an import that stands there."""
    async with database.transaction() as session:
        job = await create_import(session)
        job.status = status
        return global_id("Import", job.id)


async def step(database: Database, status: ImportStatus, rows: int = 0) -> None:
    async with database.transaction() as session:
        job = await session.get(ImportJobRow, 1)
        assert job is not None
        job.status, job.rows_read = status, rows


async def test_an_import_is_followed_from_its_state_to_its_end(database: Database, hear: Listen) -> None:
    # given
    await job_in(database, ImportStatus.QUEUED)
    wanted = global_id("Import", 1)
    await job_in(database, ImportStatus.QUEUED)  # another one, which is not told of

    # when
    listener = await hear(PROGRESS, id=wanted)
    seen = [*listener.opened_with, *await listener.take()]
    for rows in (10, 20):
        await step(database, ImportStatus.RUNNING, rows)
        seen += await listener.take()
    await step(database, ImportStatus.COMPLETED, 30)
    seen += await listener.take()

    # then
    assert {event["import"]["id"] for event in seen} == {wanted}
    states = [(event["import"]["status"], int(event["import"]["rowsRead"])) for event in seen]
    assert list(dict.fromkeys(states)) == [("QUEUED", 0), ("RUNNING", 10), ("RUNNING", 20), ("COMPLETED", 30)]
    assert listener.is_ended


async def test_steps_that_wait_together_end_with_the_last_one(database: Database, hear: Listen) -> None:
    wanted = await job_in(database, ImportStatus.QUEUED)
    listener = await hear(PROGRESS, id=wanted)
    for status, rows in ((ImportStatus.RUNNING, 1), (ImportStatus.RUNNING, 2), (ImportStatus.FAILED, 3)):
        await step(database, status, rows)

    heard = await listener.take()

    assert (heard[-1]["import"]["status"], listener.is_ended) == ("FAILED", True)


@pytest.mark.parametrize("status", [ImportStatus.COMPLETED, ImportStatus.REVERTED, ImportStatus.REFUSED])
async def test_of_an_ended_import_the_end_is_told_at_once(
    database: Database, hear: Listen, status: ImportStatus
) -> None:
    wanted = await job_in(database, status)

    listener = await hear(PROGRESS, id=wanted)

    assert [event["import"]["status"] for event in listener.opened_with] == [status.value]
    assert listener.is_ended


@pytest.mark.parametrize("first", [ImportStatus.COMPLETED, ImportStatus.RUNNING])
async def test_taking_an_import_back_can_be_followed(database: Database, hear: Listen, first: ImportStatus) -> None:
    doing, done = (
        (ImportStatus.REVERTING, ImportStatus.REVERTED)
        if first is ImportStatus.COMPLETED
        else (ImportStatus.CANCELLING, ImportStatus.CANCELLED)
    )
    wanted = await job_in(database, first)
    await relay(database)
    await step(database, doing)

    listener = await hear(PROGRESS, id=wanted)
    await step(database, done)
    heard = await listener.take()

    assert [event["import"]["status"] for event in listener.opened_with] == [doing.value]
    assert (heard[-1]["import"]["status"], listener.is_ended) == (done.value, True)


async def test_an_unknown_import_is_not_found(hear: Listen) -> None:
    for wanted, code in ((global_id("Import", 99), "NOT_FOUND"), (global_id("Store", 1), "BAD_USER_INPUT")):
        error = await refusal_of(hear(PROGRESS, id=wanted))

        assert (error["extensions"]["code"], error["extensions"]["argumentPath"]) == (code, ["id"])


async def test_an_end_that_is_over_and_done_with_does_not_end_who_follows_the_way_back(
    database: Database, services: Services, hear: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The import has ended, is being taken back, and the log has not told of the end yet."""
    # given
    monkeypatch.setattr("graphql_api.schema.import_subscription.SETTLING_SECONDS", 60.0)
    wanted = await job_in(database, ImportStatus.RUNNING)
    await relay(database)
    for status in (ImportStatus.COMPLETED, ImportStatus.REVERTING):
        await step(database, status)

    # when
    async with following(services.feed):
        listening = asyncio.create_task(hear(PROGRESS, id=wanted))
        _, waiting = await asyncio.wait([listening], timeout=0.3)
        await relay(database)
        listener = await listening
        heard = await listener.take()
        await step(database, ImportStatus.REVERTED)
        last = await listener.take()

    # then
    assert waiting == {listening}, "it waits until the log has told of the end"
    assert [event["import"]["status"] for event in [*listener.opened_with, *heard]] == ["REVERTING"]
    assert ([event["import"]["status"] for event in last], listener.is_ended) == (["REVERTED"], True)


async def test_a_log_that_stands_still_does_not_keep_the_state_back(
    database: Database, hear: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphql_api.schema.import_subscription.SETTLING_SECONDS", 0.1)
    wanted = await job_in(database, ImportStatus.COMPLETED)
    await step(database, ImportStatus.REVERTING)

    listener = await hear(PROGRESS, id=wanted)

    assert [event["import"]["status"] for event in listener.opened_with] == ["REVERTING"]
