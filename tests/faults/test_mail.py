"""Mails on their way: a real mail server that is down, slow or unwilling, and workers that are killed."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from graphql_api import worker as worker_module
from graphql_api.database.engine import Database
from graphql_api.services import account
from graphql_api.services.account import Registration
from graphql_api.services.import_run import ImportRunner
from graphql_api.services.mail.delivery import SmtpDelivery
from graphql_api.services.mail.runner import MailRunner
from graphql_api.services.storage import FileStorage
from graphql_api.services.unit_of_work import unit_of_work
from graphql_api.worker import Worker
from tests.client import TEST_KEYS
from tests.faults.mail_server import MailServer, code_in
from tests.faults.worker_process import start_worker
from tests.ports import kept_port
from tests.services.account_case import SECRET, AccountCase

ADDRESS = "mona@example.com"
OTHER = "omar@example.com"
SENDER = "shop@example.com"
PATIENCE = 120.0
POLL = timedelta(seconds=0.2)
HEARTBEAT = timedelta(seconds=1)
# For a server that never answers; one that does may need longer on a busy machine.
SHORT_SECONDS = 2.0


@pytest.fixture
def case(database: Database) -> AccountCase:
    return AccountCase(database)


@asynccontextmanager
async def working(database: Database, folder: Path, place: str, timeout: float = PATIENCE) -> AsyncIterator[Worker]:  # noqa: ASYNC109 - of another's
    """A worker in this process whose mail server is at `place`, and has so many seconds for an answer."""
    mails = MailRunner(database, SmtpDelivery(f"smtp://{place}", SENDER, timeout=timeout), TEST_KEYS)
    imports = ImportRunner(database, FileStorage(str(folder)), 1 << 30)
    worker = Worker(database.url, imports, mails, heartbeat=HEARTBEAT, poll=POLL)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        await asyncio.wait_for(task, PATIENCE)


async def jobs(database: Database) -> int:
    async with database.read() as session:
        return await session.scalar(text("SELECT count(*) FROM jobs.pgqueuer")) or 0


async def until_no_jobs(database: Database) -> None:
    async with asyncio.timeout(PATIENCE):
        while await jobs(database):  # noqa: ASYNC110 - workers are elsewhere
            await asyncio.sleep(0.05)


async def until_logged(caplog: pytest.LogCaptureFixture, words: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while words not in caplog.text:  # noqa: ASYNC110 - a log tells nobody
            await asyncio.sleep(0.02)


async def test_a_mail_is_sent_after_the_commit_and_its_code_is_good(
    case: AccountCase, database: Database, tmp_path: Path
) -> None:
    server = MailServer()
    async with server.running() as place, working(database, tmp_path, place):
        async with unit_of_work(database) as work:
            challenge = await account.register(work, case.passwords, Registration(ADDRESS, "Mona", SECRET))
            await asyncio.sleep(3 * POLL.total_seconds())
            assert server.heard == []
        (mail,) = await server.until(1)
        await until_no_jobs(database)
    assert (mail["To"], mail["From"]) == (ADDRESS, f"My company <{SENDER}>")
    assert await case.verify(challenge.token, code_in(mail)) > 0
    assert len(server.heard) == 1


async def test_what_is_rolled_back_sends_nothing(case: AccountCase, database: Database, tmp_path: Path) -> None:
    async def register_and_fail() -> None:
        async with unit_of_work(database) as work:
            await account.register(work, case.passwords, Registration(ADDRESS, "Mona", SECRET))
            raise LookupError

    server = MailServer()
    async with server.running() as place, working(database, tmp_path, place):
        with pytest.raises(LookupError):
            await register_and_fail()
        await case.register(OTHER)
        (mail,) = await server.until(1)
        await until_no_jobs(database)
    assert [mail["To"] for mail in server.heard] == [mail["To"]] == [OTHER]


async def test_a_server_that_is_down_gets_the_mail_once_when_it_is_back(
    case: AccountCase, database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with kept_port() as port:
        server = MailServer(port=port)
        async with working(database, tmp_path, f"127.0.0.1:{port}"):
            challenge = await case.register()
            await until_logged(caplog, "has to wait: SMTPConnectError")
            async with server.running():
                (mail,) = await server.until(1)
                await until_no_jobs(database)
    assert len(server.heard) == 1
    assert await case.verify(challenge.token, code_in(mail)) > 0


@pytest.mark.parametrize(
    "answers",
    [
        {"recipient_answers": ["451 4.7.1 Come back later"]},
        {"data_answers": ["452 4.3.1 Too little space"]},
    ],
)
async def test_a_mail_is_tried_again_when_the_server_asks_for_it(
    case: AccountCase, database: Database, tmp_path: Path, answers: dict[str, Any]
) -> None:
    server = MailServer(**answers)
    async with server.running() as place, working(database, tmp_path, place):
        await case.register()
        (mail,) = await server.until(1)
        await until_no_jobs(database)
    assert mail["To"] == ADDRESS
    assert len(server.sessions) == 2
    assert {code_in(heard) for heard in server.heard} == {code_in(mail)}


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"recipient_answers": ["550 5.1.1 <mona@example.com> Nobody here"]}, "refused with 550 5.1.1"),
        ({"data_answers": ["554 No such mails, ask abuse@example.net"]}, "refused with 554"),
    ],
)
async def test_a_mail_that_is_refused_for_good_is_given_up_at_once(
    case: AccountCase, tmp_path: Path, caplog: pytest.LogCaptureFixture, answers: dict[str, Any], words: str
) -> None:
    server = MailServer(**answers)
    async with server.running() as place, working(case.database, tmp_path, place):
        await case.register()
        await until_logged(caplog, f"A mail VERIFY_EMAIL to {ADDRESS} is given up: {words}")
        await until_no_jobs(case.database)
    assert (len(server.sessions), server.mails) == (1, [])
    assert "example.net" not in caplog.text


async def test_a_mail_that_never_goes_is_given_up_in_the_end(
    case: AccountCase,
    database: Database,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_module, "MAIL_ATTEMPTS", 2)
    with kept_port() as port:
        async with working(database, tmp_path, f"127.0.0.1:{port}"):
            await case.register()
            await until_logged(caplog, "is given up: SMTPConnectError")
            await until_no_jobs(database)
    assert caplog.text.count("has to wait") == 1


async def test_a_mail_of_a_killed_worker_is_sent_by_another(
    case: AccountCase, database: Database, tmp_path: Path
) -> None:
    server = MailServer(is_holding=True)
    async with server.running() as place:
        await case.register()
        worker = start_worker(database.url, tmp_path, f"smtp://{place}")
        await server.until_heard(1)
        worker.kill()
        server.is_holding = False
        worker = start_worker(database.url, tmp_path, f"smtp://{place}")
        try:
            (mail,) = await server.until(1)
            await until_no_jobs(database)
        finally:
            worker.kill()
    assert (mail["To"], len(server.heard)) == (ADDRESS, 2)


async def test_a_worker_that_stops_hands_its_mail_back(case: AccountCase, database: Database, tmp_path: Path) -> None:
    server = MailServer(is_holding=True)
    async with server.running() as place:
        async with working(database, tmp_path, place, SHORT_SECONDS):
            await case.register()
            await server.until_heard(1)
        assert await jobs(database) == 1
        server.is_holding = False
        async with working(database, tmp_path, place):
            await server.until(1)
            await until_no_jobs(database)


async def test_a_mail_survives_that_the_worker_loses_the_database(
    case: AccountCase, database: Database, tmp_path: Path
) -> None:
    server = MailServer(is_holding=True)
    async with server.running() as place, working(database, tmp_path, place, SHORT_SECONDS):
        await case.register()
        await server.until_heard(1)
        # given that every connection but the one that says so is cut
        await case.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        server.is_holding = False
        (mail,) = await server.until(1)
        await until_no_jobs(database)
    assert mail["To"] == ADDRESS


async def test_neither_logs_nor_jobs_hold_codes_or_further_addresses(
    case: AccountCase, database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = MailServer(
        recipient_answers=["450 4.2.1 <mona@example.com> is busy, ask postmaster@example.net"],
        data_answers=["550 5.7.1 refused, ask postmaster@example.net"],
    )
    async with server.running() as place, working(database, tmp_path, place):
        await case.register()
        await until_logged(caplog, "is given up")
        await case.register(OTHER)
        (mail,) = await server.until(1)
        await until_no_jobs(database)
    kept = str(await case.rows("SELECT l::text FROM jobs.pgqueuer_log l"))
    # the mail server of this process speaks for itself
    logged = " ".join(record.getMessage() for record in caplog.records if record.name != "mail.log")
    for words in (logged, kept):
        assert "450 4.2.1" in words
        assert all(code_in(heard) not in words for heard in server.heard)
        assert set(re.findall(r"[\w.-]+@example\.\w+", words)) <= {mail["To"], ADDRESS}
        assert "postmaster" not in words
