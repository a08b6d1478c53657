"""Orders: written with a number of their store's series, and changed as long as nothing has come of them."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete
from sqlmodel import col

from graphql_api.database.number_series import SeriesKind
from graphql_api.database.purchase import PurchaseLineRow, PurchaseRow, PurchaseStatus
from graphql_api.services.checks import one_line, optional_text
from graphql_api.services.choices import only_one
from graphql_api.services.number_series import number_kept, take_number
from graphql_api.services.policy import Viewer
from graphql_api.services.purchase_line import LineWish, check_expiry, checked, lines_of, new_lines, seen_lines
from graphql_api.services.purchase_lock import (
    check_nothing_received,
    check_ordered,
    check_own,
    check_store,
    check_vendor,
    checked_date,
    facts,
    locked_purchase,
    today,
)
from graphql_api.services.unit_of_work import UnitOfWork

MAX_SUPPLIER = 200
MAX_NOTE = 2_000
check_supplier = one_line(MAX_SUPPLIER)
check_note = optional_text(MAX_NOTE)


@dataclass(frozen=True)
class PurchaseWish:
    """What is to be ordered for which store, from a vendor or somebody with a name; the date is today unless given."""

    store_id: int
    lines: Sequence[LineWish]
    vendor_id: int | None = None
    supplier_name: str | None = None
    date: dt.date | None = None
    note: str | None = None


async def create_purchase(work: UnitOfWork, wish: PurchaseWish, viewer: Viewer) -> PurchaseRow:
    """A new purchase, ordered and not yet received.

    Raises:
        BadInput, NotFound, Conflict: with the path to the part of the wish that cannot be.
    """
    await check_store(work.session, wish.store_id, "storeId")
    supplier = await _supplier(work, {"vendorId": wish.vendor_id, "supplierName": wish.supplier_name})
    date = checked_date(wish.date, "date") if wish.date else today()
    note = checked(wish.note or "", check_note, "note")
    lines = await new_lines(work, wish.lines, date)
    purchase = PurchaseRow(
        number=await take_number(work, wish.store_id, SeriesKind.PURCHASE),
        store_id=wish.store_id,
        date=date,
        status=PurchaseStatus.ORDERED,
        note=note,
        created_by=viewer.user_id,
        **supplier,
    )
    work.session.add(purchase)
    with number_kept():
        await work.session.flush()
    await _add_lines(work, purchase, lines)
    work.record("Purchase", purchase.id, after=facts(purchase, storeId=purchase.store_id, lines=seen_lines(lines)))
    return purchase


async def update_purchase(
    work: UnitOfWork, purchase_id: int, expected_version: int, patch: Mapping[str, Any]
) -> PurchaseRow:
    """Change an order of which nothing has come; what changes nothing makes no new version.

    Args:
        work: the transaction.
        purchase_id: its key.
        expected_version: the version that whoever asks has read.
        patch: `vendorId`, `supplierName`, `date`, `note` and `lines` (all of them, as `LineWish`), as far as they are
            to change.

    Raises:
        BadInput, NotFound, Conflict: with the path to the part of the patch that cannot be.
    """
    purchase = await locked_purchase(work, purchase_id, expected_version)
    check_ordered(purchase)
    check_own(purchase)
    old = await lines_of(work.session, purchase_id)
    check_nothing_received(old)
    before = facts(purchase, lines=seen_lines(old))
    await _change_header(work, purchase, patch)
    if "lines" in patch:
        lines = await new_lines(work, patch["lines"] or (), purchase.date)
    else:
        lines = old
        for line in old:
            check_expiry(line.expires_on, purchase.date, "date")
    after = facts(purchase, lines=seen_lines(lines))
    changed = [name for name in after if after[name] != before[name]]
    if "lines" in changed:
        await work.session.execute(delete(PurchaseLineRow).where(col(PurchaseLineRow.purchase_id) == purchase_id))
        await _add_lines(work, purchase, lines)
    if changed:
        purchase.version += 1
        await work.session.flush()
    work.record("Purchase", purchase.id, before={n: before[n] for n in changed}, after={n: after[n] for n in changed})
    return purchase


async def _change_header(work: UnitOfWork, purchase: PurchaseRow, patch: Mapping[str, Any]) -> None:
    if "vendorId" in patch or "supplierName" in patch:
        for column, value in (await _supplier(work, patch, purchase.vendor_id)).items():
            setattr(purchase, column, value)
    if "date" in patch:
        purchase.date = checked_date(patch["date"], "date")
    if "note" in patch:
        purchase.note = checked(patch["note"] or "", check_note, "note")


async def _supplier(work: UnitOfWork, given: Mapping[str, Any], present: int | None = None) -> dict[str, Any]:
    """The columns of the supplier: a vendor, which need not be asked for again when it is `present`, or a name."""
    vendor_id, name = given.get("vendorId"), given.get("supplierName")
    only_one(vendorId=vendor_id, supplierName=name)
    if vendor_id is not None and vendor_id != present:
        await check_vendor(work.session, vendor_id, "vendorId")
    return {
        "vendor_id": vendor_id,
        "supplier_name": None if name is None else checked(name, check_supplier, "supplierName"),
    }


async def _add_lines(work: UnitOfWork, purchase: PurchaseRow, lines: Sequence[PurchaseLineRow]) -> None:
    for line in lines:
        line.purchase_id = purchase.id
    work.session.add_all(lines)
    await work.session.flush()
