"""Issuing: a draft becomes a document with a number, takes its stock, and keeps the terms of that moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal

from sqlalchemy import BigInteger, any_, bindparam, select, text
from sqlmodel import col

from graphql_api.database.base import now_utc
from graphql_api.database.invoice import InvoiceRow, InvoiceStatus
from graphql_api.database.number_series import SeriesKind
from graphql_api.database.stock import MovementCause, StockLevelRow
from graphql_api.ledger.entries import Demand
from graphql_api.services import posting
from graphql_api.services.errors import Conflict
from graphql_api.services.invoice_amounts import tax_on
from graphql_api.services.invoice_line import SaleLine, in_units
from graphql_api.services.invoice_line_table import read_lines, save_lines
from graphql_api.services.invoice_lock import (
    check_customer,
    check_draft,
    check_invoice,
    check_issued,
    check_store,
    locked_invoice,
    unknown_invoice,
    usable_on,
)
from graphql_api.services.number_series import number_kept, take_number
from graphql_api.services.pdf.invoice_facts import PRINTED, PRINTED_FROM
from graphql_api.services.policy import Viewer
from graphql_api.services.reading import id_array, plain_row
from graphql_api.services.unit_of_work import UnitOfWork

# What an invoice is issued with: columns of the invoice, and where they are taken from.
COMPANY = ("currency", "company_name", "company_address", "company_tax_number")
TERMS_KEPT = (*COMPANY, "tax_rate", "customer_name", "customer_address")
WRITTEN = (*TERMS_KEPT, "tax", "issued_at", "number", "status", "version")
PLACES = ", ".join(f"${number}" for number in range(2, len(WRITTEN) + 2))
WRITE = f"UPDATE invoice i SET ({', '.join(WRITTEN)}) = ({PLACES}), printed = {PRINTED} {PRINTED_FROM}"  # noqa: S608 - the columns above
HELD = text("""
SELECT i.*, s.is_active AS terms_store_is_active, s.place_id AS terms_place_id, c.is_active AS terms_customer_is_active,
       c.name AS terms_customer_name, c.address AS terms_customer_address, t.currency AS terms_currency,
       t.company_name AS terms_company_name, t.company_address AS terms_company_address,
       t.tax_number AS terms_company_tax_number, t.tax_rate AS terms_tax_rate, t.sells_expired AS terms_sells_expired,
       (SELECT min(p.sku) FROM invoice_line l JOIN product p ON p.id = l.product_id
        WHERE l.invoice_id = i.id AND NOT p.is_active) AS terms_archived_sku
FROM invoice i JOIN store s ON s.id = i.store_id CROSS JOIN settings t LEFT JOIN customer c ON c.id = i.customer_id
WHERE i.id = :id FOR NO KEY UPDATE OF i
""").bindparams(bindparam("id", type_=BigInteger))


@dataclass(frozen=True)
class Terms:
    """What an invoice is issued with, as it is at this moment; of an archived product the SKU."""

    store_is_active: bool
    place_id: int
    customer_is_active: bool | None
    customer_name: str | None
    customer_address: str | None
    currency: str
    company_name: str
    company_address: str | None
    company_tax_number: str | None
    tax_rate: Decimal
    sells_expired: bool
    archived_sku: str | None


TERMS = tuple(field.name for field in fields(Terms))


@dataclass(frozen=True)
class Issued:
    """An invoice just issued, with its lines at their cost."""

    invoice: InvoiceRow
    lines: Sequence[SaleLine]

    @property
    def revenue(self) -> int:
        """What is to be paid without tax, in cents."""
        return sum(line.revenue for line in self.lines)

    @property
    def cost(self) -> int:
        """What the bottles had cost, in cents."""
        return sum(line.cost for line in self.lines)


@dataclass(frozen=True)
class Rehearsal:
    """What issuing an invoice would make of it; nothing of it is kept.

    Args:
        lines: at the cost they would have.
        currency: what it would be in.
        tax_rate: percent.
        tax: cents.
        stock_left: bottles that its store would have left of each product on it.
    """

    lines: Sequence[SaleLine]
    currency: str
    tax_rate: Decimal
    tax: int
    stock_left: Mapping[int, int]


class Rehearsed(Exception):  # noqa: N818 - reads as what happened
    """Issuing was tried out in full; raised so that the transaction is taken back."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        super().__init__("nothing of it is kept")
        self.rehearsal = rehearsal


async def issue_invoice(work: UnitOfWork, invoice_id: int, expected_version: int, viewer: Viewer) -> Issued:
    """Make a draft a document: it takes its stock, gets its number, and keeps company, currency, tax and customer.

    Raises:
        NotFound, Forbidden, Conflict: with the path to what is in the way.
        InsufficientStock: with everything that is short; the draft stays as it was.
    """
    invoice, terms = await _held(work, invoice_id, expected_version, viewer)
    lines = await read_lines(work, invoice.id)
    if not lines:
        raise Conflict("There is nothing on this invoice yet. Add a line first.", path=("id",))
    demands = [Demand(invoice.store_id, line.product_id, line.quantity, invoice.id, line.number) for line in lines]
    taken = await posting.take(work, demands, MovementCause.SALE, usable_on=usable_on(is_any=terms.sells_expired))
    lines = [replace(line, cost=cost, place_id=terms.place_id) for line, cost in zip(lines, taken.costs, strict=True)]
    await save_lines(work, invoice, lines)
    number = await take_number(work, invoice.store_id, SeriesKind.INVOICE)
    issued = Issued(_frozen(invoice, terms, number, sum(line.revenue for line in lines)), lines)
    await _write(work, issued.invoice)
    _record_issue(work, issued)
    return issued


async def rehearse_issue(work: UnitOfWork, invoice_id: int, expected_version: int, viewer: Viewer) -> None:
    """Issue a draft, then take everything back: stock, number, low stock, and the entry in the audit record.

    Raises:
        Rehearsed: always, unless it could not be issued; brings what it would be.
        NotFound, Forbidden, Conflict, InsufficientStock: as `issue_invoice` does.
    """
    issued = await issue_invoice(work, invoice_id, expected_version, viewer)
    level = select(col(StockLevelRow.product_id), col(StockLevelRow.on_hand)).where(
        col(StockLevelRow.store_id) == issued.invoice.store_id,
        col(StockLevelRow.product_id) == any_(id_array([line.product_id for line in issued.lines])),
    )
    left = {row.product_id: row.on_hand for row in await work.session.execute(level)}
    invoice = issued.invoice
    currency, rate = invoice.currency or "", invoice.tax_rate or Decimal(0)
    raise Rehearsed(Rehearsal(issued.lines, currency, rate, invoice.tax, left))


async def pay_invoice(work: UnitOfWork, invoice_id: int, expected_version: int, viewer: Viewer) -> InvoiceRow:
    """Say that an issued invoice is paid in full; of a credit note, that the customer has the money back.

    Raises:
        NotFound, Forbidden, Conflict: with the path to what is in the way.
    """
    invoice = await locked_invoice(work, invoice_id, expected_version, viewer)
    check_issued(invoice)
    invoice.status, invoice.paid_at = InvoiceStatus.PAID, now_utc()
    invoice.version += 1
    work.record("Invoice", invoice.id, before={"status": InvoiceStatus.ISSUED}, after={"status": invoice.status})
    await work.session.flush()
    return invoice


async def _held(work: UnitOfWork, invoice_id: int, expected_version: int, viewer: Viewer) -> tuple[InvoiceRow, Terms]:
    """The draft, held by this transaction, and the terms of the moment, in one statement.

    The row is none of the session's.

    Raises:
        NotFound, Forbidden, Conflict: it cannot be issued.
    """
    found = (await work.session.execute(HELD, {"id": invoice_id})).one_or_none()
    if found is None:
        raise unknown_invoice()
    row = found._mapping  # noqa: SLF001 - the public name of it in SQLAlchemy
    values = {name: row[name] for name in InvoiceRow.model_fields}
    invoice = plain_row(InvoiceRow, {**values, "status": InvoiceStatus(row["status"])})
    terms = Terms(**{name: row[f"terms_{name}"] for name in TERMS})
    check_invoice(invoice, expected_version, viewer)
    check_draft(invoice)
    check_store(terms.store_is_active, "id")
    check_customer(terms.customer_is_active, "id")
    if terms.archived_sku is not None:
        raise Conflict("The product {sku} is archived and sold no more.", path=("id",), sku=terms.archived_sku)
    return invoice, terms


async def _write(work: UnitOfWork, invoice: InvoiceRow) -> None:
    """Write what issuing has set of the row, and the names that are to be printed."""
    values = [getattr(invoice, name) for name in WRITTEN]
    with number_kept():
        await (await work.driver()).execute(WRITE, invoice.id, *values)


def _frozen(draft: InvoiceRow, terms: Terms, number: str, revenue: int) -> InvoiceRow:
    """The draft as the document that it becomes, with the terms of this moment; `revenue` is in cents."""
    changes = {
        **{name: getattr(terms, name) for name in TERMS_KEPT},
        "tax": tax_on(revenue, terms.tax_rate),
        "issued_at": now_utc(),
        "number": number,
        "status": InvoiceStatus.ISSUED,
        "version": draft.version + 1,
    }
    return plain_row(InvoiceRow, {**vars(draft), **changes})


def _record_issue(work: UnitOfWork, issued: Issued) -> None:
    invoice = issued.invoice
    after = {
        "status": invoice.status,
        "number": invoice.number,
        "revenue": in_units(issued.revenue),
        "tax": in_units(invoice.tax),
        "cost": in_units(issued.cost),
    }
    work.record("Invoice", invoice.id, before={"status": InvoiceStatus.DRAFT}, after=after)
