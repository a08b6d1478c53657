"""What mail servers ask for before they take a mail: TLS, a password, patience."""

import asyncio
import socket
import ssl
import subprocess
from email.message import EmailMessage
from pathlib import Path

import pytest

from graphql_api.database.user import Language
from graphql_api.services.mail.compose import compose
from graphql_api.services.mail.delivery import SmtpDelivery, Undelivered
from graphql_api.services.mail.message import Mail, MailKind
from tests.faults.mail_server import MailServer
from tests.ports import kept_port

SENDER = "shop@example.com"
PASSWORD = "p@ss/word:1"  # noqa: S105 - of a server in this process
LOGIN = "shop:p%40ss%2Fword%3A1"


def a_mail(to: str = "mona@example.com") -> EmailMessage:
    mail = Mail(MailKind.PASSWORD_CHANGED, to, Language.AR, {"name": "منى"})
    return compose(mail, company="Acme", sender=SENDER)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of `localhost` with its key."""
    file = tmp_path_factory.mktemp("certificate") / "localhost.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    extension = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(file), "-out", str(file.with_suffix(".crt"))]
    subprocess.run([*command.split(), *extension], check=True, capture_output=True)
    file.write_text(file.read_text() + file.with_suffix(".crt").read_text())
    return file


@pytest.fixture
def tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """TLS for a server whose certificate this process trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return _server_context(certificate)


def _server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


async def test_tls_begins_when_the_server_offers_it_and_the_password_is_sent_in_it(tls: ssl.SSLContext) -> None:
    server = MailServer(password=PASSWORD)
    async with server.running("localhost", starttls=tls):
        await SmtpDelivery(f"smtp://{LOGIN}@localhost:{server.port}", SENDER).deliver(a_mail())
    assert (len(server.mails), server.users) == (1, ["shop"])
    assert server.sessions[0].ssl is not None


async def test_smtps_is_tls_from_the_first_byte(tls: ssl.SSLContext) -> None:
    server = MailServer(password=PASSWORD)
    async with server.running("localhost", tls=tls):
        await SmtpDelivery(f"smtps://{LOGIN}@localhost:{server.port}", SENDER).deliver(a_mail())
    assert (len(server.mails), server.users) == (1, ["shop"])


async def test_a_server_that_cannot_prove_its_name_gets_nothing(certificate: Path) -> None:
    server = MailServer()
    async with server.running("localhost", starttls=_server_context(certificate)):
        with pytest.raises(Undelivered) as failure:
            await SmtpDelivery(f"smtp://localhost:{server.port}", SENDER).deliver(a_mail())
    assert not failure.value.is_final
    assert server.heard == []


async def test_a_wrong_password_may_be_mended_later() -> None:
    server = MailServer(password=PASSWORD)
    async with server.running("127.0.0.1") as place:
        with pytest.raises(Undelivered, match=r"^SMTPAuthenticationError with 535 5.7.8$") as failure:
            await SmtpDelivery(f"smtp://shop:wrong@{place}", SENDER).deliver(a_mail())
    assert not failure.value.is_final
    assert server.mails == []


async def test_no_password_crosses_a_network_in_the_clear() -> None:
    server = MailServer(password=PASSWORD)
    async with server.running("127.0.0.2") as place:
        with pytest.raises(Undelivered):
            await SmtpDelivery(f"smtp://{LOGIN}@{place}", SENDER).deliver(a_mail())
    assert server.users == []


async def test_a_server_that_says_nothing_is_given_up() -> None:
    # connections to a listener that accepts none are made all the same, and stay silent
    with socket.create_server(("127.0.0.1", 0)) as listener:
        delivery = SmtpDelivery(f"smtp://127.0.0.1:{listener.getsockname()[1]}", SENDER, timeout=0.2)
        with pytest.raises(Undelivered, match="Timeout"):
            await delivery.deliver(a_mail())


async def test_a_server_that_is_not_there_may_come_back() -> None:
    with kept_port() as port, pytest.raises(Undelivered, match=r"^SMTPConnectError$") as failure:
        await SmtpDelivery(f"smtp://127.0.0.1:{port}", SENDER).deliver(a_mail())
    assert not failure.value.is_final


async def test_an_address_beyond_ascii_reaches_a_server_that_knows_such() -> None:
    server = MailServer()
    async with server.running() as place:
        await SmtpDelivery(f"smtp://{place}", SENDER).deliver(a_mail("منى@example.com"))
    assert server.mails[0]["To"] == "منى@example.com"


async def test_many_mails_at_once_share_few_connections() -> None:
    server = MailServer()
    async with server.running() as place:
        delivery = SmtpDelivery(f"smtp://{place}", SENDER)
        await asyncio.gather(*(delivery.deliver(a_mail()) for _ in range(20)))
    assert len(server.mails) == 20
