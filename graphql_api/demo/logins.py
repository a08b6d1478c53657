"""One login for each role, so that the demonstration data can be seen from every side.

The passwords are derived from the key of the installation: they differ everywhere, and nobody keeps them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.database.customer import CustomerRow
from graphql_api.database.engine import Database
from graphql_api.database.session import SessionEnd
from graphql_api.database.user import Role, UserRow
from graphql_api.demo.load import FILE_NAME, alone
from graphql_api.services.account import Registration, create_account
from graphql_api.services.audit import Act
from graphql_api.services.key import KeyRing
from graphql_api.services.noticeboard import NoticeKind
from graphql_api.services.password import Passwords
from graphql_api.services.secret import code_from
from graphql_api.services.session import end_sessions
from graphql_api.services.unit_of_work import unit_of_work
from graphql_api.services.user import locked_user, user_at

DOMAIN = "demo.example"
PASSWORD_LENGTH = 12
NAMES: Mapping[Role, tuple[str, str]] = {
    Role.ADMIN: ("admin", "Ada Lindqvist"),
    Role.STAFF: ("staff", "Sam Okafor"),
    Role.SALESPERSON: ("sales", "Lena Marsh"),
    Role.CUSTOMER: ("customer", "Omar Haddad"),
}
# What staff created may be edited by them; the demonstration has the gins as theirs.
OWN_CATEGORY = 1041
# One in so many invoices is the customer's: a few hundred.
INVOICES_EACH = 40

DEMO_IMPORT = "SELECT id FROM import_job WHERE file_name = :file AND status = 'COMPLETED' ORDER BY id LIMIT 1"
GIVE_PRODUCTS = text(
    "UPDATE product SET created_by = :user_id FROM category WHERE category.id = product.category_id "
    "AND category.number = :category AND product.created_by IS NULL"
)
GIVE_INVOICES = text(
    "UPDATE invoice SET customer_id = :customer_id WHERE import_id = :import_id AND id % :each = 0 "
    "AND customer_id IS NULL"
)


@dataclass(frozen=True)
class DemoLogin:
    """An account of the demonstration; `password` is None when it is another one than the program gave."""

    user_id: int
    role: Role
    email: str
    password: str | None = field(repr=False)


async def create_demo_logins(database: Database, keys: KeyRing, passwords: Passwords) -> None:
    """Make the logins that are missing beside demonstration data; where there is none, nothing is made.

    Safe to call at every start and from several processes at once.
    """
    async with alone(database):
        async with database.read() as session:
            import_id = await session.scalar(text(DEMO_IMPORT), {"file": FILE_NAME})
            missing = [role for role in Role if await user_at(session, demo_email(role)) is None]
        if import_id is not None:
            await asyncio.gather(*(_create(database, keys, passwords, role, import_id) for role in missing))


async def read_demo_logins(database: Database, keys: KeyRing, passwords: Passwords) -> list[DemoLogin]:
    """The active logins of the demonstration, each with its password where that was not changed."""
    async with database.read() as session:
        users = [await user_at(session, demo_email(role)) for role in Role]
    active = [user for user in users if user is not None and user.is_active]
    return list(await asyncio.gather(*(_login(user, keys, passwords) for user in active)))


async def reset_demo_logins(database: Database, keys: KeyRing, passwords: Passwords) -> None:
    """Give the logins whose password is another one that of the present key, and end their sessions."""
    for login in await read_demo_logins(database, keys, passwords):
        if login.password is None:
            password_hash = await passwords.hash(demo_password(keys, login.email))
            await _reset(database, login.user_id, password_hash)


def demo_email(role: Role) -> str:
    """The address of the login of this role."""
    return f"{NAMES[role][0]}@{DOMAIN}"


def demo_password(keys: KeyRing, email: str) -> str:
    """The password that a login gets in this installation: twelve letters and digits that are easily told apart."""
    return code_from(keys.current.derive("password of a demonstration", email.encode()), PASSWORD_LENGTH)


async def _login(user: UserRow, keys: KeyRing, passwords: Passwords) -> DemoLogin:
    password = demo_password(keys, user.email)
    is_valid = await passwords.verify(password, user.password_hash)
    return DemoLogin(user.id, user.role, user.email, password if is_valid else None)


async def _create(database: Database, keys: KeyRing, passwords: Passwords, role: Role, import_id: int) -> None:
    email = demo_email(role)
    wish = Registration(email, NAMES[role][1], demo_password(keys, email))
    async with unit_of_work(database, Act("cli demo")) as work:
        user = await create_account(work, passwords, wish, role)
        if role in SHARES:
            await SHARES[role](work.session, user, import_id)


async def _reset(database: Database, user_id: int, password_hash: str) -> None:
    async with unit_of_work(database, Act("cli demo")) as work:
        user = await locked_user(work.session, user_id)
        user.password_hash = password_hash
        await end_sessions(work, user.id, SessionEnd.PASSWORD_CHANGED)
        await work.announce(NoticeKind.USER, user.id)
        work.record("User", user.id, before={"password": "old"}, after={"password": "new"})


async def _give_products(session: AsyncSession, user: UserRow, _import_id: int) -> None:
    await session.execute(GIVE_PRODUCTS, {"user_id": user.id, "category": OWN_CATEGORY})


async def _give_invoices(session: AsyncSession, user: UserRow, import_id: int) -> None:
    customer = CustomerRow(name="Haddad's Kitchen", phone="+1 555 0142", email=user.email, user_id=user.id)
    session.add(customer)
    await session.flush()
    await session.execute(GIVE_INVOICES, {"customer_id": customer.id, "import_id": import_id, "each": INVOICES_EACH})


# What belongs to whom, so that each role finds something of its own.
SHARES: Mapping[Role, Callable[[AsyncSession, UserRow, int], Awaitable[None]]] = {
    Role.STAFF: _give_products,
    Role.CUSTOMER: _give_invoices,
}
