"""How mails leave the house: through a mail server, or into a folder when there is none."""

import asyncio
import logging
import os
import re
import secrets
import time
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib

logger = logging.getLogger(__name__)

SMTP_SECONDS = 20.0
# Mail servers limit how many connections one client may have.
MAX_CONNECTIONS = 4
PERMANENT = 500
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
ENHANCED_CODE = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\b")


class Undelivered(Exception):  # noqa: N818 - reads as what happened
    """A mail that has not left; what happened, without addresses, for what a server says goes into logs.

    Args:
        reason: what happened.
        is_final: whether trying again is of no use.
    """

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final


class Delivery(Protocol):
    """A way for mails to leave."""

    @property
    def sender(self) -> str:
        """The address that mails come from."""
        ...

    @property
    def is_server(self) -> bool:
        """Whether mails get to their readers by themselves."""
        ...

    async def deliver(self, message: EmailMessage) -> None:
        """Hand a mail over.

        Raises:
            Undelivered: it could not be handed over.
        """
        ...


class SmtpDelivery:
    """Hands mails to a mail server, in TLS when the server offers it.

    Args:
        url: `smtp://user:password@host:587`, or `smtps://…` for servers that speak TLS from the first byte. A
            password is sent in TLS alone, unless the server is on this machine.
        sender: the address that mails come from.
        timeout: seconds that the server may take for one answer.
    """

    is_server = True

    def __init__(self, url: str, sender: str, *, timeout: float = SMTP_SECONDS) -> None:
        self.sender = sender
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._is_tls = parts.scheme == "smtps"
        self._timeout = timeout
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)

    async def deliver(self, message: EmailMessage) -> None:
        """Hand a mail to the server.

        Raises:
            Undelivered: the server cannot be reached, or does not take it.
        """
        try:
            async with self._free, self._client() as client:
                await client.send_message(message)
        except aiosmtplib.SMTPRecipientsRefused as error:
            refused = error.recipients[0]
            raise _refusal(refused.code, refused.message) from None
        except aiosmtplib.SMTPDataError as error:
            raise _refusal(error.code, error.message) from None
        except aiosmtplib.SMTPResponseException as error:
            # what the server has against us rather than the mail is for its operator to mend
            raise Undelivered(_described(type(error).__name__, error.code, error.message)) from None
        except aiosmtplib.SMTPNotSupported:
            raise Undelivered("the server does not take addresses beyond ASCII", is_final=True) from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise Undelivered(type(error).__name__) from None
        logger.info("A mail to %s was handed to the mail server: %s", message["To"], message["Subject"])

    def _client(self) -> aiosmtplib.SMTP:
        must_upgrade = self._user is not None and self._host not in LOOPBACK
        # None upgrades when the server offers it
        upgrade = False if self._is_tls else must_upgrade or None
        return aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password,
            local_hostname=self.sender.rpartition("@")[2],
            use_tls=self._is_tls,
            start_tls=upgrade,
            timeout=self._timeout,
        )


def _refusal(code: int, text: str) -> Undelivered:
    return Undelivered(_described("refused", code, text), is_final=code >= PERMANENT)


def _described(what: str, code: int, text: str) -> str:
    """What a server said, by its numbers: its words may quote anything."""
    enhanced = ENHANCED_CODE.match(text)
    return f"{what} with {code} {enhanced[0] if enhanced else ''}".strip()


class FolderDelivery:
    """Keeps each mail as a file that mail programs open, for whoever has no mail server yet.

    Args:
        folder: where the files go; only its owner may look into it.
        sender: the address that mails come from.
    """

    is_server = False

    def __init__(self, folder: Path, sender: str) -> None:
        self.folder = folder
        self.sender = sender

    async def deliver(self, message: EmailMessage) -> None:
        """Write a mail into the folder, whole or not at all.

        Raises:
            Undelivered: the disk does not take it.
        """
        try:
            file = await asyncio.to_thread(self._write, message.as_bytes())
        except OSError as error:
            raise Undelivered(type(error).__name__) from None
        logger.info('A mail to %s, "%s", lies in %s', message["To"], message["Subject"], file)

    def _write(self, content: bytes) -> Path:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        name = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"
        unfinished = self.folder / f".{name}.part"
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        return unfinished.rename(self.folder / f"{name}.eml")


def create_delivery(smtp_url: str | None, folder: Path, sender: str) -> Delivery:
    """The way the settings ask for: the mail server, or the folder when there is none."""
    return SmtpDelivery(smtp_url, sender) if smtp_url else FolderDelivery(folder, sender)
