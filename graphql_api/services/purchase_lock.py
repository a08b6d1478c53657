"""A purchase about to be changed: found, kept from others, and checked against what whoever asks has read."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.base import now_utc
from graphql_api.database.purchase import PurchaseLineRow, PurchaseRow, PurchaseStatus
from graphql_api.database.store import StoreRow
from graphql_api.database.vendor import VendorRow
from graphql_api.services.editing import check_version
from graphql_api.services.errors import BadInput, Conflict, NotFound
from graphql_api.services.translation import Sentence
from graphql_api.services.unit_of_work import UnitOfWork

FIRST_DAY = dt.date(1900, 1, 1)
MAX_DAYS_AHEAD = 366
STATUSES = {
    PurchaseStatus.ORDERED: Sentence("ordered"),
    PurchaseStatus.RECEIVED: Sentence("received"),
    PurchaseStatus.VOID: Sentence("void"),
}


async def locked_purchase(work: UnitOfWork, purchase_id: int, expected_version: int) -> PurchaseRow:
    """The purchase, which nobody else changes before the end of the transaction.

    Raises:
        NotFound: there is none.
        Conflict: it is not in `expected_version` any more.
    """
    statement = select(PurchaseRow).where(col(PurchaseRow.id) == purchase_id).with_for_update(key_share=True)
    row = await work.session.scalar(statement.execution_options(populate_existing=True))
    if row is None:
        raise NotFound("There is no purchase with this id.", path=("id",))
    check_version(row, expected_version)
    return row


def check_ordered(purchase: PurchaseRow) -> None:
    """Return when something of the purchase may still come.

    Raises:
        Conflict: it is received in full, or void.
    """
    if purchase.status is not PurchaseStatus.ORDERED:
        raise Conflict(
            "This purchase is {status}; that can be done while it is ordered.",
            path=("id",),
            status=STATUSES[purchase.status],
        )


def check_own(purchase: PurchaseRow) -> None:
    """Return when the purchase was written here.

    Raises:
        Conflict: it was imported.
    """
    if purchase.import_id is not None:
        raise Conflict("This purchase was imported. Revert the import and load a file that is right.", path=("id",))


def check_nothing_received(lines: Sequence[PurchaseLineRow]) -> None:
    """Return when nothing has come yet.

    Raises:
        Conflict: bottles have come at the present costs.
    """
    if any(line.received for line in lines):
        raise Conflict(
            "Some of this purchase has come already, so it cannot be changed. Receive or void it, and order anew.",
            path=("id",),
        )


async def check_store(session: AsyncSession, store_id: int, *path: str) -> None:
    """Return when bottles may come to the store.

    Raises:
        NotFound: there is none.
        Conflict: it is archived.
    """
    is_active = await session.scalar(select(col(StoreRow.is_active)).where(col(StoreRow.id) == store_id))
    if is_active is None:
        raise NotFound("There is no store with this id.", path=path)
    if not is_active:
        raise Conflict("The store is archived and receives nothing any more.", path=path)


async def check_vendor(session: AsyncSession, vendor_id: int, *path: str) -> None:
    """Return when something may be ordered from the vendor.

    Raises:
        NotFound: there is none.
        Conflict: it is archived.
    """
    is_active = await session.scalar(select(col(VendorRow.is_active)).where(col(VendorRow.id) == vendor_id))
    if is_active is None:
        raise NotFound("There is no vendor with this id.", path=path)
    if not is_active:
        raise Conflict("The vendor is archived.", path=path)


def checked_date(date: dt.date | None, *path: str) -> dt.date:
    """A day on which something can have been ordered.

    Raises:
        BadInput: it is null, lies before 1900, or more than a year ahead.
    """
    if date is None:
        raise BadInput("A purchase has a date. Leave it out to keep it as it is.", path=path)
    if not FIRST_DAY <= date <= today() + dt.timedelta(days=MAX_DAYS_AHEAD):
        raise BadInput("Give a day from 1900 on that is no more than a year ahead.", path=path)
    return date


def today() -> dt.date:
    """The present day in UTC."""
    return now_utc().date()


def facts(purchase: PurchaseRow, **others: Any) -> dict[str, Any]:
    """What the audit record keeps of a purchase."""
    return {
        "number": purchase.number,
        "status": purchase.status,
        "vendorId": purchase.vendor_id,
        "supplierName": purchase.supplier_name,
        "date": purchase.date,
        "note": purchase.note,
        **others,
    }
