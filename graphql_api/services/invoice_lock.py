"""An invoice about to be changed: found, kept from others, and checked against what whoever asks has read."""

import datetime as dt

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.customer import CustomerRow
from graphql_api.database.invoice import InvoiceRow, InvoiceStatus
from graphql_api.database.store import StoreRow
from graphql_api.services.errors import BadInput, Conflict, NotFound
from graphql_api.services.policy import Forbidden, Viewer
from graphql_api.services.translation import Sentence
from graphql_api.services.unit_of_work import UnitOfWork
from graphql_api.services.visibility import check_may_edit_invoice

FIRST_DAY = dt.date(1900, 1, 1)
MAX_DAYS_AHEAD = 366
STATUSES = {
    InvoiceStatus.DRAFT: Sentence("a draft"),
    InvoiceStatus.ISSUED: Sentence("issued"),
    InvoiceStatus.PAID: Sentence("paid"),
    InvoiceStatus.VOID: Sentence("void"),
}


async def locked_invoice(work: UnitOfWork, invoice_id: int, expected_version: int, viewer: Viewer) -> InvoiceRow:
    """The invoice, which nobody else changes before the end of the transaction.

    Raises:
        NotFound: there is none.
        Forbidden: somebody else has created it, and this role edits its own alone.
        Conflict: it is not in `expected_version` any more.
    """
    statement = select(InvoiceRow).where(col(InvoiceRow.id) == invoice_id).with_for_update(key_share=True)
    row = await work.session.scalar(statement.execution_options(populate_existing=True))
    if row is None:
        raise unknown_invoice()
    check_invoice(row, expected_version, viewer)
    return row


def unknown_invoice() -> NotFound:
    """There is no invoice with this id."""
    return NotFound("There is no invoice with this id.", path=("id",))


def check_invoice(row: InvoiceRow, expected_version: int, viewer: Viewer) -> None:
    """Return when `viewer` may change the invoice and knows how it stands.

    Raises:
        Forbidden, Conflict: as `locked_invoice` does.
    """
    try:
        check_may_edit_invoice(viewer, row.created_by)
    except Forbidden as error:
        raise error.below("id") from None
    if row.version != expected_version:
        raise Conflict(
            "The invoice is in version {version} by now. Read it again, then decide.",
            path=("expectedVersion",),
            version=row.version,
        )


def check_draft(invoice: InvoiceRow) -> None:
    """Return when it is a draft.

    Raises:
        Conflict: it is a document already.
    """
    if invoice.status is not InvoiceStatus.DRAFT:
        raise Conflict(
            "This invoice is {status}; that can be done with a draft alone.",
            path=("id",),
            status=STATUSES[invoice.status],
        )


def check_issued(invoice: InvoiceRow) -> None:
    """Return when it is issued and neither paid nor void.

    Raises:
        Conflict: it is not.
    """
    if invoice.status is not InvoiceStatus.ISSUED:
        raise Conflict(
            "This invoice is {status}; that can be done while it is issued and not yet paid.",
            path=("id",),
            status=STATUSES[invoice.status],
        )


def check_own(invoice: InvoiceRow) -> None:
    """Return when the invoice was written here.

    Raises:
        Conflict: it was imported.
    """
    if invoice.import_id is not None:
        raise Conflict(
            "This invoice was imported and cannot be changed. Credit it without restock, or revert the import.",
            path=("id",),
        )


async def check_not_credited(session: AsyncSession, invoice: InvoiceRow) -> None:
    """Return when it neither is a credit note nor has one; the caller holds the invoice.

    Raises:
        Conflict: its amounts are final.
    """
    if invoice.credit_of is not None:
        raise Conflict("This is a credit note, and final.", path=("id",))
    number = await session.scalar(select(col(InvoiceRow.number)).where(col(InvoiceRow.credit_of) == invoice.id))
    if number is not None:
        raise Conflict(
            "The credit note {number} takes back a part of this invoice. Credit the rest as well instead.",
            path=("id",),
            number=number,
        )


async def selling_store(session: AsyncSession, store_id: int, *path: str) -> StoreRow:
    """The store, which sells.

    Raises:
        NotFound: there is none.
        Conflict: it is archived.
    """
    row = await session.scalar(select(StoreRow).where(col(StoreRow.id) == store_id))
    if row is None:
        raise NotFound("There is no store with this id.", path=path)
    check_store(row.is_active, *path)
    return row


def check_store(is_active: bool | None, *path: str) -> None:  # noqa: FBT001 - the one thing that is looked at
    """Return when the store sells.

    Raises:
        Conflict: it is archived.
    """
    if not is_active:
        raise Conflict("The store is archived and sells nothing any more.", path=path)


async def check_customer_of(session: AsyncSession, customer_id: int | None, *path: str) -> None:
    """Return when an invoice can be written for the customer, or for nobody in particular.

    Raises:
        NotFound: there is none.
        Conflict: the customer is archived.
    """
    if customer_id is None:
        return
    is_active = await session.scalar(select(col(CustomerRow.is_active)).where(col(CustomerRow.id) == customer_id))
    if is_active is None:
        raise NotFound("There is no customer with this id.", path=path)
    check_customer(is_active, *path)


def check_customer(is_active: bool | None, *path: str) -> None:  # noqa: FBT001 - as above
    """Return when the customer can be sold to, or there is none.

    Raises:
        Conflict: the customer is archived.
    """
    if is_active is False:
        raise Conflict("The customer is archived. Choose another, or none.", path=path)


def checked_date(date: dt.date, *path: str) -> dt.date:
    """A day that an invoice can have.

    Raises:
        BadInput: it lies before 1900 or more than a year ahead.
    """
    if not FIRST_DAY <= date <= today() + dt.timedelta(days=MAX_DAYS_AHEAD):
        raise BadInput("Give a day from 1900 on that is no more than a year ahead.", path=path)
    return date


def today() -> dt.date:
    """The present day in UTC."""
    return dt.datetime.now(dt.UTC).date()


def usable_on(*, is_any: bool) -> dt.date | None:
    """The day on which lots must not have expired to be sold; None sells any, expired ones too."""
    return None if is_any else today()
