"""Mails without a mail server, and what a job has to do with them."""

import email
import email.policy
import logging
import stat
from email.message import EmailMessage
from pathlib import Path

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.user import Language
from graphql_api.services import account
from graphql_api.services.account import Registration
from graphql_api.services.mail.delivery import FolderDelivery, SmtpDelivery, Undelivered, create_delivery
from graphql_api.services.mail.message import MailKind, mail_payload, wished_mail
from graphql_api.services.mail.runner import PREPARERS, MailRunner
from tests.client import TEST_KEYS
from tests.faults.mail_server import code_in, text_of
from tests.services.account_case import ADDRESS, SECRET, AccountCase

SENDER = "shop@example.com"
PAYLOADS = "SELECT convert_from(payload, 'UTF8') FROM jobs.pgqueuer ORDER BY id"


@pytest.fixture
def case(database: Database) -> AccountCase:
    return AccountCase(database)


@pytest.fixture
def delivery(tmp_path: Path) -> FolderDelivery:
    return FolderDelivery(tmp_path / "data" / "mail", SENDER)


@pytest.fixture
def runner(database: Database, delivery: FolderDelivery) -> MailRunner:
    return MailRunner(database, delivery, TEST_KEYS)


def mails(delivery: FolderDelivery) -> list[EmailMessage]:
    files = sorted(delivery.folder.glob("*"))
    return [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]


async def run_jobs(case: AccountCase, runner: MailRunner) -> None:
    for (payload,) in await case.rows(PAYLOADS):
        await runner.run(payload.encode())


async def test_without_a_mail_server_a_mail_is_a_file_for_its_owner_alone(
    case: AccountCase, runner: MailRunner, delivery: FolderDelivery, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    challenge = await case.register()
    await run_jobs(case, runner)
    (file,) = delivery.folder.iterdir()
    assert file.suffix == ".eml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(delivery.folder.stat().st_mode) == 0o700
    (mail,) = mails(delivery)
    assert mail["To"] == ADDRESS
    assert f'A mail to {ADDRESS}, "Confirm your e-mail address", lies in {file}' in caplog.text
    assert code_in(mail) not in caplog.text
    assert await case.verify(challenge.token, code_in(mail)) > 0


async def test_a_mail_is_in_the_language_of_its_reader(
    case: AccountCase, runner: MailRunner, delivery: FolderDelivery
) -> None:
    wish = Registration(ADDRESS, "منى", SECRET, language=Language.AR)
    await case.act(lambda work: account.register(work, case.passwords, wish))
    await run_jobs(case, runner)
    (mail,) = mails(delivery)
    assert mail["Subject"] == "تأكيد عنوان بريدك الإلكتروني"
    assert "أدخل هذا الرمز" in text_of(mail)


async def test_a_job_knows_nothing_but_which_mail_of_which_row(case: AccountCase) -> None:
    challenge = await case.register()
    assert await case.rows(PAYLOADS) == [(f"VERIFY_EMAIL {challenge.code_id}",)]


async def test_a_mail_that_is_sent_again_brings_the_same_code(
    case: AccountCase, runner: MailRunner, delivery: FolderDelivery
) -> None:
    challenge = await case.register()
    await run_jobs(case, runner)
    await run_jobs(case, runner)
    first, second = mails(delivery)
    assert code_in(first) == code_in(second)
    assert await case.verify(challenge.token, code_in(second)) > 0


async def test_what_nobody_waits_for_any_more_is_not_sent(
    case: AccountCase, runner: MailRunner, delivery: FolderDelivery
) -> None:
    await case.register()
    await case.execute("UPDATE one_time_code SET expires_at = now() - interval '1 second'")
    await run_jobs(case, runner)
    await runner.run(mail_payload(MailKind.INVITATION, 4711))
    assert mails(delivery) == []


async def test_an_address_that_no_mail_can_be_sent_to_is_given_up(
    case: AccountCase, runner: MailRunner, delivery: FolderDelivery, caplog: pytest.LogCaptureFixture
) -> None:
    await case.register()
    await case.execute("UPDATE one_time_code SET email = 'two@words of@example.com'")
    await run_jobs(case, runner)
    assert mails(delivery) == []
    assert "A mail VERIFY_EMAIL is given up" in caplog.text
    assert "words" not in caplog.text


async def test_a_folder_that_cannot_be_written_is_tried_again_later(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("a file where the folder should be")
    with pytest.raises(Undelivered, match="FileExistsError") as failure:
        await FolderDelivery(tmp_path / "mail", SENDER).deliver(EmailMessage())
    assert not failure.value.is_final


def test_every_wish_has_somebody_who_knows_what_to_say() -> None:
    # a registration of an address with an account becomes the other kind when it is prepared
    assert set(MailKind) - set(PREPARERS) == {MailKind.ALREADY_REGISTERED}


def test_wishes_survive_the_queue() -> None:
    assert [wished_mail(mail_payload(kind, 7)) for kind in MailKind] == [(kind, 7) for kind in MailKind]


def test_settings_choose_the_way(tmp_path: Path) -> None:
    assert isinstance(create_delivery(None, tmp_path, SENDER), FolderDelivery)
    assert isinstance(create_delivery("smtp://localhost:25", tmp_path, SENDER), SmtpDelivery)
