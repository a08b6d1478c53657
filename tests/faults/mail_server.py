"""A mail server in this process, with real sockets; it answers as a test wants it to."""

import asyncio
import email
import email.policy
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.ports import kept_port

CODE = re.compile(r"^    (\S+)\r?$", re.MULTILINE)
PATIENCE = 120.0


@dataclass
class MailServer:
    """What has come in, and what the next mails are answered.

    Args:
        recipient_answers: answers to the next recipients, in turn; all others are accepted.
        data_answers: answers to the next contents, as above.
        is_holding: hears contents and never answers.
        password: what users must give; None: nobody need say who he is.
    """

    recipient_answers: list[str] = field(default_factory=list)
    data_answers: list[str] = field(default_factory=list)
    is_holding: bool = False
    password: str | None = None
    mails: list[EmailMessage] = field(default_factory=list)
    heard: list[EmailMessage] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    port: int = 0

    async def handle_RCPT(  # noqa: N802 - what aiosmtpd calls
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take a recipient, or not."""
        self.sessions.append(session)
        if self.password and not session.authenticated:
            return "530 5.7.0 Say who you are"
        if self.recipient_answers:
            return self.recipient_answers.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        """Take a mail, or not."""
        content = cast("bytes", envelope.content)
        mail = email.message_from_bytes(content, policy=email.policy.default)
        self.heard.append(mail)
        if self.is_holding:
            await asyncio.Event().wait()
        if self.data_answers:
            return self.data_answers.pop(0)
        self.mails.append(mail)
        return "250 OK"

    def authenticate(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        """Check a password."""
        login = cast("LoginPassword", data)
        self.users.append(login.login.decode())
        is_right = login.password.decode() == self.password
        return AuthResult(success=is_right, handled=False)

    async def until(self, count: int) -> list[EmailMessage]:
        """The mails, once there are `count`."""
        async with asyncio.timeout(PATIENCE):
            while len(self.mails) < count:  # noqa: ASYNC110 - they come through a socket
                await asyncio.sleep(0.02)
        return self.mails

    async def until_heard(self, count: int) -> None:
        """Return once `count` contents were sent, whatever was answered."""
        async with asyncio.timeout(PATIENCE):
            while len(self.heard) < count:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.02)

    @asynccontextmanager
    async def running(
        self, host: str = "127.0.0.1", *, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None
    ) -> AsyncIterator[str]:
        """Serve, and give `host:port`; in TLS from the first byte, or after STARTTLS."""
        connections: list[SMTP] = []

        def connect() -> SMTP:
            connections.append(self._protocol(starttls, is_in_tls=tls is not None))
            return connections[-1]

        listener = await asyncio.get_running_loop().create_server(connect, host, self.port, ssl=tls)
        self.port = listener.sockets[0].getsockname()[1]
        try:
            yield f"{host}:{self.port}"
        finally:
            listener.close()
            for connection in connections:
                if isinstance(connection.transport, asyncio.Transport):
                    connection.transport.abort()
            await listener.wait_closed()

    def _protocol(self, starttls: ssl.SSLContext | None, *, is_in_tls: bool) -> SMTP:
        return SMTP(
            self,
            enable_SMTPUTF8=True,
            hostname="mail.example.com",
            tls_context=starttls,
            auth_require_tls=starttls is not None and not is_in_tls,
            authenticator=self.authenticate,
            loop=asyncio.get_running_loop(),
        )


def closed_port() -> int:
    """A port where nobody listens."""
    with kept_port() as port:
        return port


def text_of(mail: EmailMessage) -> str:
    """The plain text of a mail."""
    return _content(mail, "plain")


def html_of(mail: EmailMessage) -> str:
    """The HTML of a mail."""
    return _content(mail, "html")


def _content(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def code_in(mail: EmailMessage) -> str:
    """The code that a mail brings."""
    found = CODE.search(text_of(mail))
    assert found is not None
    return found[1]
