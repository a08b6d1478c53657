"""What the tests of accounts share: acts with an entry in the record, the mails that were wished, wishes and codes."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.database.one_time_code import CodePurpose
from graphql_api.database.user import Role, UserRow
from graphql_api.services import account
from graphql_api.services.account import (
    Registration,
    prepare_password_changed_mail,
    prepare_reset_mail,
    prepare_verification_mail,
)
from graphql_api.services.audit import Act
from graphql_api.services.errors import ServiceError
from graphql_api.services.invitation import prepare_invitation_mail
from graphql_api.services.key import KeyRing
from graphql_api.services.mail.message import MAIL_JOB, Mail, MailKind, wished_mail
from graphql_api.services.one_time_code import Challenge, count_guess
from graphql_api.services.password import Passwords
from graphql_api.services.policy import Viewer
from graphql_api.services.unit_of_work import UnitOfWork, unit_of_work
from tests.client import CHEAP, TEST_KEYS
from tests.factories import create_session, create_user

Answer = TypeVar("Answer")
ADDRESS = "mona@example.com"
SECRET = "copper violin meadow"  # noqa: S105 - of accounts that exist in tests alone
WRONG = "WRONG-234"
PREPARERS: Mapping[MailKind, Callable[..., Awaitable[Mail | None]]] = {
    MailKind.VERIFY_EMAIL: prepare_verification_mail,
    MailKind.RESET_PASSWORD: prepare_reset_mail,
    MailKind.PASSWORD_CHANGED: prepare_password_changed_mail,
    MailKind.INVITATION: prepare_invitation_mail,
}


@dataclass(frozen=True)
class AccountCase:
    """The accounts of one test's database."""

    database: Database
    keys: KeyRing = TEST_KEYS
    passwords: Passwords = field(default_factory=lambda: Passwords(CHEAP))

    async def act(self, change: Callable[[UnitOfWork], Awaitable[Answer]], viewer: Viewer | None = None) -> Answer:
        """Do something in one transaction, with its entry in the audit record."""
        async with unit_of_work(self.database, Act("test", viewer)) as work:
            return await change(work)

    async def register(self, email: str = ADDRESS, name: str = "Mona", password: str = SECRET) -> Challenge:
        return await self.act(lambda work: account.register(work, self.passwords, Registration(email, name, password)))

    async def request_reset(self, email: str = ADDRESS) -> Challenge:
        return await self.act(lambda work: account.request_password_reset(work, email))

    async def verify(self, token: str, code: str, keys: KeyRing | None = None) -> int:
        """Make the registered account; its key."""

        async def verify(work: UnitOfWork) -> int:
            guess = await count_guess(self.database, CodePurpose.VERIFY_EMAIL, token, code)
            user = await account.verify_email(work, keys or self.keys, guess)
            work.record("User", user.id)
            return user.id

        return await self.act(verify)

    async def verify_reset(self, token: str, code: str) -> None:
        async def verify(work: UnitOfWork) -> None:
            guess = await count_guess(self.database, CodePurpose.RESET_PASSWORD, token, code)
            await account.verify_password_reset(work, self.keys, guess)

        await self.act(verify)

    async def reset(self, token: str, password: str = SECRET) -> None:
        await self.act(lambda work: account.reset_password(work, self.database, self.passwords, token, password))

    async def mails(self) -> list[Mail]:
        """The mails that are due, written as a worker would, each once."""
        async with self.database.transaction() as session:
            taken = "DELETE FROM jobs.pgqueuer WHERE entrypoint = :entrypoint RETURNING id, payload"
            jobs = (await session.execute(text(taken), {"entrypoint": MAIL_JOB})).all()
        written = [await self.write_mail(*wished_mail(payload)) for _, payload in sorted(jobs)]
        return [mail for mail in written if mail is not None]

    async def write_mail(self, kind: MailKind, key: int) -> Mail | None:
        async with unit_of_work(self.database) as work:
            return await PREPARERS[kind](work, key, self.keys)

    async def mailed_code(self) -> str:
        """The code in the one mail that is due."""
        (mail,) = await self.mails()
        return str(mail.values["code"])

    async def execute(self, statement: str, **values: Any) -> None:
        async with self.database.transaction() as session:
            await session.execute(text(statement), values)

    async def rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        async with self.database.read() as session:
            return [tuple(row) for row in await session.execute(text(statement), values)]


async def create_signed_in(case: AccountCase, sessions: int = 3) -> tuple[UserRow, Viewer]:
    """An account with several sessions, and a viewer of the first of them."""
    async with case.database.transaction() as session:
        user = await create_user(session, email=ADDRESS, name="Mona", role=Role.STAFF)
        first, *_ = [await create_session(session, user) for _ in range(sessions)]
        await create_session(session, await create_user(session))
    return user, Viewer(user.id, user.role, first.id)


async def refusal_of(step: Awaitable[Any]) -> ServiceError | None:
    """What a step is refused with; None when it succeeds."""
    try:
        await step
    except ServiceError as refusal:
        return refusal
    return None
