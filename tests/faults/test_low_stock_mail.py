"""Mails about low stock: sent by a mail server when there is one, and not at all otherwise."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.database.stock import MovementCause
from graphql_api.database.user import Language, Role
from graphql_api.ledger.entries import Demand, Receipt
from graphql_api.services import low_stock, posting
from graphql_api.services.import_run import ImportRunner
from graphql_api.services.mail.delivery import create_delivery
from graphql_api.services.mail.runner import MailRunner
from graphql_api.services.storage import FileStorage
from graphql_api.services.unit_of_work import unit_of_work
from graphql_api.worker import Worker
from tests.client import TEST_KEYS
from tests.factories import create_product, create_store, create_user
from tests.faults.mail_server import MailServer, html_of, text_of
from tests.ports import kept_port
from tests.services.low_stock_case import TODAY, create_shelf, execute, mail_jobs

SENDER = "shop@example.com"
PATIENCE = 120.0


@asynccontextmanager
async def working(database: Database, folder: Path, smtp_url: str | None) -> AsyncIterator[None]:
    """A worker in this process with this mail server, or with none."""
    mails = MailRunner(database, create_delivery(smtp_url, folder / "mail", SENDER), TEST_KEYS)
    imports = ImportRunner(database, FileStorage(str(folder)), 1 << 30)
    worker = Worker(database.url, imports, mails, heartbeat=timedelta(seconds=1), poll=timedelta(seconds=0.2))
    task = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        worker.stop()
        await asyncio.wait_for(task, PATIENCE)


async def until_no_jobs(database: Database) -> None:
    async with asyncio.timeout(PATIENCE):
        while await mail_jobs(database):  # noqa: ASYNC110 - workers are elsewhere
            await asyncio.sleep(0.05)


@pytest.fixture
async def admins(database: Database) -> None:
    async with database.transaction() as session:
        await create_user(session, email="mona@example.com")
        await create_user(session, email="omar@example.com", language=Language.AR)
        await create_user(session, email="staff@example.com", role=Role.STAFF)
        await create_user(session, email="gone@example.com", is_active=False)


async def mails_by_reader(server: MailServer, count: int) -> dict[str, EmailMessage]:
    mails = await server.until(count)
    assert len({mail["To"] for mail in mails}) == len(mails)
    return {mail["To"]: mail for mail in mails}


@pytest.mark.usefixtures("admins")
async def test_each_administrator_gets_a_mail_in_the_own_language(database: Database, tmp_path: Path) -> None:
    shelf = await create_shelf(database, 20, name="Ale <1>")
    server = MailServer()
    async with server.running() as place, working(database, tmp_path, f"smtp://{place}"):
        await shelf.take(13)
        await shelf.take(1)
        mails = await mails_by_reader(server, 2)
        await until_no_jobs(database)

    assert mails.keys() == {"mona@example.com", "omar@example.com"}
    english, arabic = mails["mona@example.com"], mails["omar@example.com"]
    assert (english["Subject"], arabic["Subject"]) == ("Low stock", "مخزون منخفض")
    assert f"- Ale <1>, {shelf.store.name}: 7 in stock, low at 10" in text_of(english)
    assert f"<li>Ale &lt;1&gt;, {shelf.store.name}: 7 in stock, low at 10</li>" in html_of(english)
    assert f"- Ale <1>، {shelf.store.name}: المتاح 7، والحد الأدنى 10" in text_of(arabic)


@pytest.mark.usefixtures("admins")
async def test_a_mail_names_all_that_one_transaction_makes_low(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given eight products of which the mail names six
    monkeypatch.setattr("graphql_api.services.low_stock_mail.MAX_LISTED", 6)
    async with database.transaction() as session:
        store = await create_store(session)
        products = [await create_product(session, name=f"Ale {number}") for number in range(8)]
    async with unit_of_work(database) as work:
        receipts = [Receipt(store.id, product.id, 100, 600, TODAY) for product in products]
        await posting.receive(work, receipts, MovementCause.RECEIPT)

    # when
    server = MailServer()
    async with server.running() as place, working(database, tmp_path, f"smtp://{place}"):
        async with unit_of_work(database) as work:
            demands = [Demand(store.id, product.id, 95) for product in products]
            await posting.take(work, demands, MovementCause.ADJUSTMENT)
        mails = await mails_by_reader(server, 2)
        await until_no_jobs(database)

    # then
    said = text_of(mails["mona@example.com"])
    assert [f"Ale {number}" in said for number in range(8)] == [True] * 6 + [False] * 2
    assert "Further products that are low: 2" in said


@pytest.mark.usefixtures("admins")
async def test_what_a_threshold_makes_low_together_is_one_mail(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(low_stock, "MAX_SINGLE", 1)
    shelves = [await create_shelf(database, 20, name=name) for name in ("Ale", "Bock", "Cider")]
    server = MailServer()
    async with server.running() as place, working(database, tmp_path, f"smtp://{place}"):
        async with unit_of_work(database) as work:
            await work.session.execute(text("UPDATE settings SET low_stock_threshold = 30"))
            assert await low_stock.reevaluate(work, None) == 3
        mails = await mails_by_reader(server, 2)
        await until_no_jobs(database)

    said = text_of(mails["mona@example.com"])
    assert [said.count(shelf.product.name) for shelf in shelves] == [1, 1, 1]


@pytest.mark.usefixtures("admins")
async def test_without_a_mail_server_nothing_is_written(database: Database, tmp_path: Path) -> None:
    shelf = await create_shelf(database, 20)
    async with working(database, tmp_path, None):
        await shelf.take(13)
        await until_no_jobs(database)

    assert not (tmp_path / "mail").exists()


@pytest.mark.usefixtures("admins")
async def test_whoever_has_deleted_it_or_lost_the_role_gets_no_mail(database: Database, tmp_path: Path) -> None:
    shelf = await create_shelf(database, 20)
    await shelf.take(13)
    await execute(
        database,
        "DELETE FROM notification_recipient WHERE user_id = (SELECT id FROM user_account WHERE email LIKE 'mona%')",
    )
    await execute(database, "UPDATE user_account SET role = 'STAFF' WHERE email LIKE 'omar%'")
    server = MailServer()
    async with server.running() as place, working(database, tmp_path, f"smtp://{place}"):
        await until_no_jobs(database)

    assert server.heard == []


@pytest.mark.usefixtures("admins")
async def test_a_server_that_is_down_gets_the_same_mail_later(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = await create_shelf(database, 20)
    with kept_port() as port:
        server = MailServer(port=port)
        async with working(database, tmp_path, f"smtp://127.0.0.1:{port}"):
            await shelf.take(13)
            async with asyncio.timeout(PATIENCE):
                while "has to wait" not in caplog.text:  # noqa: ASYNC110 - a log tells nobody
                    await asyncio.sleep(0.02)
            async with server.running():
                await mails_by_reader(server, 2)
                await until_no_jobs(database)

    assert len(server.heard) == 2
