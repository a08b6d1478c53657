"""Sending a mail that somebody wished for: decide what it says, keep that, then send it."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from graphql_api.database.engine import Database
from graphql_api.services.account import (
    prepare_password_changed_mail,
    prepare_reset_mail,
    prepare_verification_mail,
)
from graphql_api.services.invitation import prepare_invitation_mail
from graphql_api.services.key import KeyRing
from graphql_api.services.low_stock_mail import prepare_low_stock_mail
from graphql_api.services.mail.compose import compose
from graphql_api.services.mail.delivery import Delivery, Undelivered
from graphql_api.services.mail.message import NEEDS_SERVER, Mail, MailKind, wished_mail
from graphql_api.services.settings import read_settings
from graphql_api.services.unit_of_work import UnitOfWork, unit_of_work

logger = logging.getLogger(__name__)

Preparer = Callable[[UnitOfWork, int, KeyRing], Awaitable[Mail | None]]
# Who knows what a mail of a kind says; None when there is nothing to say any more.
PREPARERS: Mapping[MailKind, Preparer] = {
    MailKind.VERIFY_EMAIL: prepare_verification_mail,
    MailKind.RESET_PASSWORD: prepare_reset_mail,
    MailKind.PASSWORD_CHANGED: prepare_password_changed_mail,
    MailKind.INVITATION: prepare_invitation_mail,
    MailKind.LOW_STOCK: prepare_low_stock_mail,
}


@dataclass(frozen=True)
class MailRunner:
    """Sends the mails that jobs ask for.

    Args:
        database: where the wishes are.
        delivery: how mails leave.
        keys: codes are made with them.
    """

    database: Database
    delivery: Delivery
    keys: KeyRing

    async def run(self, payload: bytes) -> None:
        """Prepare the mail and send it; it may arrive twice when a worker is killed, and then says the same.

        Raises:
            Undelivered: trying again later may help.
        """
        mail, company = await self._prepare(payload)
        if mail is None:
            return
        try:
            message = compose(mail, company=company, sender=self.delivery.sender)
        except ValueError as error:
            logger.error("A mail %s is given up: its address is none (%s)", mail.kind, type(error).__name__)  # noqa: TRY400 - a trace would show the address
            return
        try:
            await self.delivery.deliver(message)
        except Undelivered as failure:
            if not failure.is_final:
                raise
            logger.error("A mail %s to %s is given up: %s", mail.kind, message["To"], failure)  # noqa: TRY400 - the reason says it all

    async def _prepare(self, payload: bytes) -> tuple[Mail | None, str]:
        """What to send, in whose name; what the preparer noted is kept before anything leaves."""
        kind, key = wished_mail(payload)
        if kind in NEEDS_SERVER and not self.delivery.is_server:
            return None, ""
        async with unit_of_work(self.database) as work:
            mail = await PREPARERS[kind](work, key, self.keys)
            company = (await read_settings(work.session)).company_name
        return mail, company
