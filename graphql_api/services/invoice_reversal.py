"""Taking invoices back: voiding one that is not paid yet, crediting one in whole or in part."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, func, select
from sqlmodel import col

from graphql_api.database.base import now_utc
from graphql_api.database.invoice import InvoiceLineRow, InvoiceRow, InvoiceStatus
from graphql_api.database.number_series import SeriesKind
from graphql_api.database.stock import MovementCause
from graphql_api.ledger.entries import Return
from graphql_api.services import posting
from graphql_api.services.errors import BadInput, Conflict, NotFound
from graphql_api.services.invoice_amounts import portion_between
from graphql_api.services.invoice_issue import COMPANY
from graphql_api.services.invoice_line import SaleLine, checked_text, in_units, seen_lines
from graphql_api.services.invoice_line_table import read_lines, save_lines
from graphql_api.services.invoice_lock import (
    STATUSES,
    check_issued,
    check_not_credited,
    check_own,
    checked_date,
    locked_invoice,
    today,
)
from graphql_api.services.number_series import number_kept, take_number
from graphql_api.services.pdf.invoice_facts import freeze_names
from graphql_api.services.policy import Viewer
from graphql_api.services.settings import read_settings
from graphql_api.services.unit_of_work import UnitOfWork

MAX_REASON = 500


@dataclass(frozen=True)
class CreditWish:
    """What is to be taken back of an invoice.

    Args:
        reason: why, for people.
        restock: whether the bottles go back to where they were.
        lines: bottles by line number, each more than 0; None takes back all that is left.
        date: the day of the credit note; today unless given.
    """

    reason: str
    restock: bool
    lines: Sequence[tuple[int, int]] | None = None
    date: dt.date | None = None


@dataclass(frozen=True)
class Credit:
    """A credit note just written, and the invoice that it takes back from."""

    note: InvoiceRow
    invoice: InvoiceRow


class Earlier(NamedTuple):
    """What credit notes have taken back of a line: bottles, and cents without tax."""

    quantity: int
    revenue: int


NOTHING = Earlier(0, 0)


async def void_invoice(
    work: UnitOfWork, invoice_id: int, expected_version: int, reason: str, viewer: Viewer
) -> InvoiceRow:
    """Say that an issued invoice is to count no more; its bottles go back to the lots they came from.

    The number stays taken, and the lines stay readable.

    Raises:
        BadInput, NotFound, Forbidden, Conflict: with the path to what is in the way.
    """
    invoice = await locked_invoice(work, invoice_id, expected_version, viewer)
    check_own(invoice)
    check_issued(invoice)
    await check_not_credited(work.session, invoice)
    invoice.void_reason = _needed(reason)
    lines = await read_lines(work, invoice.id)
    returns = [_return(invoice, line, line.quantity, invoice.id) for line in lines]
    await posting.give_back(work, returns, MovementCause.SALE_VOID, reason=invoice.void_reason)
    invoice.status, invoice.voided_at = InvoiceStatus.VOID, now_utc()
    invoice.version += 1
    await work.session.flush()
    after = {"status": invoice.status, "reason": invoice.void_reason}
    work.record("Invoice", invoice.id, before={"status": InvoiceStatus.ISSUED}, after=after)
    return invoice


async def credit_invoice(
    work: UnitOfWork, invoice_id: int, expected_version: int, wish: CreditWish, viewer: Viewer
) -> Credit:
    """Take back an invoice, or a part of it, by a document of its own with negative lines.

    Credit notes that take back all of an invoice together are exactly its negative, in each line and in tax.

    Raises:
        BadInput, NotFound, Forbidden, Conflict: with the path to what is in the way.
    """
    invoice = await locked_invoice(work, invoice_id, expected_version, viewer)
    _check_creditable(invoice, wish)
    reason = _needed(wish.reason)
    lines = await read_lines(work, invoice.id)
    earlier = await _earlier(work, invoice)
    quantities = _quantities(lines, earlier, wish)
    note = await _begun_note(work, invoice, wish, reason, viewer)
    taken_back = [
        negative_line(line, earlier.get(line.number, NOTHING).quantity, quantities[line.number])
        for line in lines
        if line.number in quantities
    ]
    if wish.restock:
        taken_back = await _restocked(work, invoice, note, taken_back)
    await save_lines(work, note, taken_back)
    await freeze_names(work, note.id)
    note.number = await take_number(work, note.store_id, SeriesKind.CREDIT_NOTE)
    note.tax = tax_taken_back(invoice, lines, earlier, taken_back)
    note.status = InvoiceStatus.ISSUED
    invoice.version += 1
    with number_kept():
        await work.session.flush()
    work.record("Invoice", invoice.id, after=_facts(note, wish, taken_back))
    return Credit(note, invoice)


def _check_creditable(invoice: InvoiceRow, wish: CreditWish) -> None:
    if invoice.credit_of is not None:
        raise Conflict("This is a credit note, and final.", path=("id",))
    if invoice.status not in {InvoiceStatus.ISSUED, InvoiceStatus.PAID}:
        raise Conflict(
            "This invoice is {status}; only an issued or paid one can be credited.",
            path=("id",),
            status=STATUSES[invoice.status],
        )
    if invoice.import_id is not None and wish.restock:
        raise Conflict("This invoice was imported and took no stock. Credit it without restock.", path=("restock",))


async def _earlier(work: UnitOfWork, invoice: InvoiceRow) -> dict[int, Earlier]:
    """What credit notes have taken back already, by line number."""
    sums = (func.sum(func.abs(col(InvoiceLineRow.quantity))), func.sum(col(InvoiceLineRow.revenue)))
    number = col(InvoiceLineRow.line_number)
    notes = select(col(InvoiceRow.id)).where(col(InvoiceRow.credit_of) == invoice.id)
    statement = select(number, *(total.cast(BigInteger) for total in sums)).group_by(number)
    rows = await work.session.execute(statement.where(col(InvoiceLineRow.invoice_id).in_(notes)))
    return {row[0]: Earlier(row[1], -row[2]) for row in rows}


def _quantities(lines: Sequence[SaleLine], earlier: Mapping[int, Earlier], wish: CreditWish) -> dict[int, int]:
    """Bottles to be taken back, by line number.

    Raises:
        BadInput, Conflict: with the path to the line that has not so many left.
    """
    left = {line.number: abs(line.quantity) - earlier.get(line.number, NOTHING).quantity for line in lines}
    if not any(left.values()):
        raise Conflict("All of this invoice has been taken back already.", path=("id",))
    if wish.lines is None:
        return {number: quantity for number, quantity in left.items() if quantity}
    if not wish.lines:
        raise BadInput("Name at least one line, or leave `lines` out to take back all.", path=("lines",))
    wanted: dict[int, int] = {}
    for position, (number, quantity) in enumerate(wish.lines):
        path = ("lines", str(position))
        if number not in left:
            raise NotFound("There is no line with this number on the invoice.", path=(*path, "lineNumber"))
        if number in wanted:
            raise BadInput("This line is named twice. Put both quantities into one.", path=(*path, "lineNumber"))
        if quantity < 1:
            raise BadInput("Take back at least one bottle.", path=(*path, "quantity"))
        if quantity > left[number]:
            raise Conflict("Of this line {left:,} can be taken back.", path=(*path, "quantity"), left=left[number])
        wanted[number] = quantity
    return wanted


def negative_line(line: SaleLine, before: int, quantity: int) -> SaleLine:
    """The line of a credit note: `quantity` bottles of `line`, of which `before` were taken back earlier."""
    whole, sign = abs(line.quantity), 1 if line.quantity > 0 else -1
    revenue = -portion_between(line.revenue, before, before + quantity, whole)
    volume = None if line.volume_ml is None else -portion_between(line.volume_ml, before, before + quantity, whole)
    negative = -sign * quantity
    return replace(line, quantity=negative, discount=negative * line.unit_price - revenue, cost=0, volume_ml=volume)


def tax_taken_back(
    invoice: InvoiceRow, lines: Sequence[SaleLine], earlier: Mapping[int, Earlier], taken_back: Sequence[SaleLine]
) -> int:
    """The tax that goes with what is taken back; the last credit note takes what is left."""
    whole = sum(line.revenue for line in lines)
    before = sum(part.revenue for part in earlier.values())
    now = -sum(line.revenue for line in taken_back)
    return -portion_between(invoice.tax, before, before + now, whole)


async def _begun_note(
    work: UnitOfWork, invoice: InvoiceRow, wish: CreditWish, reason: str, viewer: Viewer
) -> InvoiceRow:
    """The head of a credit note; a draft until it gets its number."""
    note = InvoiceRow(
        store_id=invoice.store_id,
        customer_id=invoice.customer_id,
        date=checked_date(wish.date, "date") if wish.date else today(),
        status=InvoiceStatus.DRAFT,
        credit_of=invoice.id,
        tax_rate=invoice.tax_rate,
        customer_name=invoice.customer_name,
        customer_address=invoice.customer_address,
        note=reason,
        issued_at=now_utc(),
        created_by=viewer.user_id,
        **{name: getattr(invoice, name) for name in COMPANY},
    )
    if note.currency is None:
        settings = await read_settings(work.session)
        note.currency, note.company_name = settings.currency, settings.company_name
        note.company_address, note.company_tax_number = settings.company_address, settings.tax_number
    work.session.add(note)
    await work.session.flush()
    return note


async def _restocked(
    work: UnitOfWork, invoice: InvoiceRow, note: InvoiceRow, lines: Sequence[SaleLine]
) -> list[SaleLine]:
    """The lines at the cost of the bottles that have gone back to their lots."""
    returns = [_return(invoice, line, -line.quantity, note.id) for line in lines]
    back = await posting.give_back(work, returns, MovementCause.CREDIT, reason=note.note)
    return [replace(line, cost=-cost) for line, cost in zip(lines, back.costs, strict=True)]


def _return(invoice: InvoiceRow, line: SaleLine, quantity: int, document_id: int) -> Return:
    return Return(invoice.store_id, line.product_id, invoice.id, line.number, quantity, document_id)


def _needed(reason: str) -> str:
    text = checked_text(reason, MAX_REASON, "reason")
    if text is None:
        raise BadInput("Say why.", path=("reason",))
    return text


def _facts(note: InvoiceRow, wish: CreditWish, lines: Sequence[SaleLine]) -> dict[str, Any]:
    return {
        "creditNote": note.number,
        "creditNoteId": note.id,
        "revenue": in_units(sum(line.revenue for line in lines)),
        "tax": in_units(note.tax),
        "restock": wish.restock,
        "reason": note.note,
        "lines": seen_lines(lines),
    }
