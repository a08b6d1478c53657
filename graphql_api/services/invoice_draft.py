"""Drafts: invoices that are being written. They have no number and move no stock."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from graphql_api.database.invoice import InvoiceRow, InvoiceStatus
from graphql_api.services.errors import BadInput
from graphql_api.services.invoice_line import (
    LineWish,
    SaleLine,
    amount_of,
    check_lines,
    check_may_set_prices,
    checked_text,
    in_units,
    new_line,
    seen_lines,
    wanted_products,
    with_discount,
)
from graphql_api.services.invoice_line_table import delete_lines, read_lines, save_lines
from graphql_api.services.invoice_lock import (
    check_customer_of,
    check_draft,
    checked_date,
    locked_invoice,
    selling_store,
    today,
)
from graphql_api.services.policy import Viewer
from graphql_api.services.unit_of_work import UnitOfWork

MAX_NOTE = 2_000


@dataclass(frozen=True)
class DraftWish:
    """An invoice to be begun; the date is today unless given, the discount one on the invoice as a whole."""

    store_id: int
    customer_id: int | None = None
    date: dt.date | None = None
    note: str | None = None
    discount: Decimal | None = None
    lines: Sequence[LineWish] = ()


async def create_invoice(work: UnitOfWork, wish: DraftWish, viewer: Viewer) -> InvoiceRow:
    """A new draft that belongs to `viewer`; a product may stand on several lines, as at different prices.

    Raises:
        BadInput, NotFound, Conflict, Forbidden: with the path to the part of the wish that cannot be.
    """
    store = await selling_store(work.session, wish.store_id, "storeId")
    await check_customer_of(work.session, wish.customer_id, "customerId")
    products = await wanted_products(work, wish.lines)
    lines = [
        new_line(position + 1, store.place_id, line, products[line.product_id], viewer, position)
        for position, line in enumerate(wish.lines)
    ]
    invoice = InvoiceRow(
        store_id=store.id,
        customer_id=wish.customer_id,
        date=checked_date(wish.date, "date") if wish.date else today(),
        status=InvoiceStatus.DRAFT,
        note=checked_text(wish.note, MAX_NOTE, "note"),
        discount=_discount(wish.discount, 0, lines, viewer),
        created_by=viewer.user_id,
    )
    check_lines(lines, {line.number: line.number - 1 for line in lines})
    lines = with_discount(lines, invoice.discount) if invoice.discount else lines
    work.session.add(invoice)
    await save_lines(work, invoice, lines)
    work.record("Invoice", invoice.id, after={**_header(invoice), "storeId": store.id, "lines": seen_lines(lines)})
    return invoice


async def update_invoice(
    work: UnitOfWork, invoice_id: int, expected_version: int, patch: Mapping[str, Any], viewer: Viewer
) -> InvoiceRow:
    """Change the head of a draft.

    Args:
        work: the transaction.
        invoice_id: the key of the draft.
        expected_version: the version that whoever asks has read.
        patch: `customerId`, `date`, `note` and `discount`, as far as they are to change.
        viewer: who asks.

    Raises:
        BadInput, NotFound, Conflict, Forbidden: with the path to the part that cannot be.
    """
    invoice = await locked_invoice(work, invoice_id, expected_version, viewer)
    check_draft(invoice)
    before = _header(invoice)
    lines = old = await read_lines(work, invoice_id)
    if "customerId" in patch and patch["customerId"] != invoice.customer_id:
        await check_customer_of(work.session, patch["customerId"], "customerId")
        invoice.customer_id = patch["customerId"]
    if "note" in patch:
        invoice.note = checked_text(patch["note"], MAX_NOTE, "note")
    if "discount" in patch:
        discount = _discount(patch["discount"], invoice.discount, old, viewer)
        if discount or invoice.discount:
            lines = with_discount(old, discount)
        invoice.discount = discount
    if "date" in patch and patch["date"] != invoice.date:
        # lines repeat the date, and the database holds them to it
        await delete_lines(work, invoice, [line.number for line in old])
        invoice.date, old = _needed_date(patch["date"]), []
    await save_lines(work, invoice, [line for line in lines if line not in old])
    after = _header(invoice)
    if after != before:
        invoice.version += 1
        await work.session.flush()
    changed = [name for name in after if after[name] != before[name]]
    work.record(
        "Invoice", invoice.id, before={name: before[name] for name in changed}, after={n: after[n] for n in changed}
    )
    return invoice


async def delete_draft_invoice(work: UnitOfWork, invoice_id: int, expected_version: int, viewer: Viewer) -> None:
    """Throw a draft away; nothing of it stays but the audit record.

    Raises:
        NotFound, Conflict, Forbidden: with the path to what is in the way.
    """
    invoice = await locked_invoice(work, invoice_id, expected_version, viewer)
    check_draft(invoice)
    lines = await read_lines(work, invoice_id)
    await delete_lines(work, invoice, [line.number for line in lines])
    await work.session.delete(invoice)
    work.record("Invoice", invoice_id, before={**_header(invoice), "lines": seen_lines(lines)}, after={"deleted": True})


def _needed_date(date: dt.date | None) -> dt.date:
    if date is None:
        raise BadInput("An invoice has a date. Leave it out to keep it as it is.", path=("date",))
    return checked_date(date, "date")


def _discount(wish: Decimal | None, present: int, lines: Sequence[SaleLine], viewer: Viewer) -> int:
    """The discount on the invoice as a whole, in cents.

    Raises:
        BadInput, Forbidden: with the path to the discount.
    """
    cents = amount_of(wish or Decimal(0), "discount")
    if cents and cents != present:
        check_may_set_prices(viewer, ("discount",))
    if cents and not present and any(line.discount for line in lines):
        raise BadInput(
            "There are discounts on the lines already. Give one on the invoice or those on lines, not both.",
            path=("discount",),
        )
    return cents


def _header(invoice: InvoiceRow) -> dict[str, Any]:
    return {
        "status": invoice.status,
        "customerId": invoice.customer_id,
        "date": invoice.date,
        "note": invoice.note,
        "discount": in_units(invoice.discount),
    }
