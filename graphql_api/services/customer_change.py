"""Changing customers. Whose account sees a customer's invoices is for administrators to say."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.customer import CustomerRow
from graphql_api.database.user import Role, UserRow
from graphql_api.services.checks import one_line, optional_text, phone
from graphql_api.services.editing import Noun, Property, change_row, check_version, create_row, locked_row
from graphql_api.services.errors import BadInput, Conflict, NotFound
from graphql_api.services.policy import ADMINS, Forbidden, Viewer
from graphql_api.services.unit_of_work import UnitOfWork
from graphql_api.services.user import canonical_email

MAX_NAME = 200
MAX_ADDRESS = 500

_address = partial(canonical_email, path=())


def _email(text: str) -> str | None:
    return _address(text) if text.strip() else None


CUSTOMER = Noun(
    "Customer",
    CustomerRow,
    properties={
        "name": Property("name", one_line(MAX_NAME), is_needed=True),
        "phone": Property("phone", phone),
        "email": Property("email", _email),
        "address": Property("address", optional_text(MAX_ADDRESS)),
        "userId": Property("user_id"),
        "isActive": Property("is_active", is_needed=True),
    },
    unknown=NotFound("There is no customer with this id.", path=("id",)),
    violations={
        "uq_customer_user_id": Conflict("This account belongs to another customer.", path=("userId",)),
        "fk_customer_user_id": NotFound("There is no account with this id.", path=("userId",)),
        "ck_customer_name_given": BadInput("Write at least one character.", path=("name",)),
    },
)


async def create_customer(work: UnitOfWork, values: Mapping[str, Any], viewer: Viewer) -> CustomerRow:
    """A new customer.

    Raises:
        BadInput, NotFound, Conflict: with the path to the property.
        Forbidden: somebody else than an administrator names an account.
    """
    await _check_account(work.session, values.get("userId"), None, viewer)
    return await create_row(work, CUSTOMER, values)


async def update_customer(
    work: UnitOfWork, key: int, expected_version: int, patch: Mapping[str, Any], viewer: Viewer
) -> CustomerRow:
    """Change the properties in `patch`, and no other.

    Raises:
        NotFound: there is no such customer or account.
        Conflict: it is not in `expected_version` any more, or the account belongs to another customer.
        BadInput: with the path to the property.
        Forbidden: somebody else than an administrator names another account.
    """
    row = await locked_row(work.session, CUSTOMER, key)
    check_version(row, expected_version)
    await _check_account(work.session, patch.get("userId", row.user_id), row.user_id, viewer)
    return await change_row(work, CUSTOMER, row, patch)


async def archive_customer(work: UnitOfWork, key: int, expected_version: int, viewer: Viewer) -> CustomerRow:
    """Say that nothing is sold to a customer any more; the invoices stay.

    Raises:
        NotFound, Conflict: as `update_customer` does.
    """
    return await update_customer(work, key, expected_version, {"isActive": False}, viewer)


async def _check_account(session: AsyncSession, wanted: int | None, present: int | None, viewer: Viewer) -> None:
    """Let only administrators say which account is the customer's, and only accounts of customers be it.

    An e-mail address that somebody of the company has typed does not prove that its owner is the customer, so
    registering with it links nothing.
    """
    if wanted == present:
        return
    if viewer.role not in ADMINS:
        raise Forbidden("Only administrators say which account a customer has.", path=("userId",))
    if wanted is None:
        return
    role = await session.scalar(select(col(UserRow.role)).where(col(UserRow.id) == wanted).with_for_update(read=True))
    if role is None:
        raise NotFound("There is no account with this id.", path=("userId",))
    if role is not Role.CUSTOMER:
        raise BadInput("This is an account of the company. Choose one with the role CUSTOMER.", path=("userId",))
