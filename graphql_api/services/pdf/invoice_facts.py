"""What stands on a printed invoice: frozen when it was issued, every number as text."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.invoice import InvoiceLineRow, InvoiceRow, InvoiceStatus
from graphql_api.database.place import PlaceRow
from graphql_api.database.product import ProductRow
from graphql_api.database.settings import SettingsRow
from graphql_api.database.store import StoreRow
from graphql_api.services.errors import Conflict, NotFound
from graphql_api.services.policy import Viewer
from graphql_api.services.settings import read_settings
from graphql_api.services.unit_of_work import UnitOfWork
from graphql_api.services.visibility import visible_invoices

HEADINGS = ("No.", "Item", "Description", "Quantity", "Price", "Discount", "Amount")
# A line on a PDF is wrapped, a page is not: what has no end is cut.
MAX_TEXT = 500
# What is written here has fewer lines; a file can bring any number under one invoice number, and each takes 100 kB.
MAX_LINES = 2_000
# Letters after which a word without spaces may go on in the next line.
SKU_WIDTH = 12
WORD_WIDTH = 24
BREAK = "\u200b"
# What is frozen stays; a credit note has the names of the invoice that it takes back.
PRINTED = """jsonb_build_object(
  'store', coalesce(i.printed->'store', (SELECT o.printed->'store' FROM invoice o WHERE o.id = i.credit_of),
                    jsonb_build_array(s.number::text, s.name, s.address, p.city, p.zip_code)),
  'lines', (SELECT coalesce(jsonb_object_agg(l.line_number, jsonb_build_array(q.sku, q.name)), '{}')
            FROM invoice_line l JOIN product q ON q.id = l.product_id WHERE l.invoice_id = i.id)
           || coalesce((SELECT o.printed->'lines' FROM invoice o WHERE o.id = i.credit_of), '{}')
           || coalesce(i.printed->'lines', '{}'))"""
# Of an invoice `i`, whose id is the first parameter, as the end of an UPDATE that sets something to `PRINTED`.
PRINTED_FROM = "FROM store s JOIN place p ON p.id = s.place_id WHERE i.id = $1 AND s.id = i.store_id"
FREEZE = f"UPDATE invoice i SET printed = {PRINTED} {PRINTED_FROM}"  # noqa: S608 - the constants above


async def freeze_names(work: UnitOfWork, invoice_id: int) -> None:
    """Keep the names of the store and the products with an invoice, as they are to be printed from now on.

    What has been frozen before stays, here or on the invoice that a credit note takes back; new lines are added.
    """
    await work.session.flush()
    await (await work.driver()).execute(FREEZE, invoice_id)


async def invoice_facts(session: AsyncSession, invoice_id: int, viewer: Viewer | None) -> dict[str, Any]:
    """What the template sets for an invoice.

    Raises:
        NotFound: `viewer` sees no such invoice.
        Conflict: it is a draft, which is no document yet, or has too many lines.
    """
    statement = select(InvoiceRow).where(col(InvoiceRow.id) == invoice_id, visible_invoices(viewer))
    invoice = await session.scalar(statement)
    if invoice is None:
        raise NotFound("There is no invoice of this id.", path=("id",))
    if invoice.number is None:
        raise Conflict("A draft has no PDF. Issue the invoice first.", path=("id",))
    lines = await _lines(session, invoice)
    settings = await read_settings(session)
    original = await _number_of(session, invoice.credit_of)
    return {
        "title": "Invoice" if invoice.credit_of is None else "Credit note",
        "number": invoice.number,
        "company": _company(invoice, settings),
        "details": _details(invoice, original),
        "stamp": _stamp(invoice),
        "customer-label": "Customer" if invoice.customer_name else "",
        "customer": _texts(invoice.customer_name, invoice.customer_address),
        "store-label": "Store",
        "store": await _store(session, invoice),
        "currency-note": f"All amounts in {invoice.currency or settings.currency}",
        "headings": list(HEADINGS),
        "lines": [_line(line, sku, name) for line, sku, name in lines],
        **_totals(invoice, [line for line, _, _ in lines]),
        "notes": _texts(invoice.note),
    }


async def _lines(session: AsyncSession, invoice: InvoiceRow) -> list[tuple[InvoiceLineRow, str, str]]:
    names = (invoice.printed or {}).get("lines", {})
    statement = (
        select(InvoiceLineRow, col(ProductRow.sku), col(ProductRow.name))
        .join(ProductRow, col(ProductRow.id) == InvoiceLineRow.product_id)
        .where(col(InvoiceLineRow.invoice_id) == invoice.id)
        .order_by(col(InvoiceLineRow.line_number))
        .limit(MAX_LINES + 1)
    )
    rows = (await session.execute(statement)).all()
    if len(rows) > MAX_LINES:
        raise Conflict("This invoice has more than {most:,} lines, too many for a PDF.", path=("id",), most=MAX_LINES)
    return [(line, *names.get(str(line.line_number), (sku, name))) for line, sku, name in rows]


async def _number_of(session: AsyncSession, invoice_id: int | None) -> str | None:
    if invoice_id is None:
        return None
    return await session.scalar(select(col(InvoiceRow.number)).where(col(InvoiceRow.id) == invoice_id))


async def _store(session: AsyncSession, invoice: InvoiceRow) -> list[str]:
    frozen = (invoice.printed or {}).get("store")
    if frozen is None:
        statement = (
            select(col(StoreRow.number), col(StoreRow.name), col(StoreRow.address), PlaceRow.city, PlaceRow.zip_code)  # type: ignore[call-overload]  # five columns and more are not typed
            .join(PlaceRow, col(PlaceRow.id) == StoreRow.place_id)
            .where(col(StoreRow.id) == invoice.store_id)
        )
        frozen = (await session.execute(statement)).one()
    number, name, address, city, zip_code = frozen
    return _texts(f"{name} ({number})", address, " ".join(part for part in (zip_code, city) if part))


def _company(invoice: InvoiceRow, settings: SettingsRow) -> list[str]:
    """Name, address and tax number; those of today on what was issued without."""
    if invoice.company_name:
        parts = invoice.company_name, invoice.company_address, invoice.company_tax_number
    else:
        parts = settings.company_name, settings.company_address, settings.tax_number
    name, address, tax_number = parts
    return _texts(name, address, f"Tax number {tax_number}" if tax_number else None)


def _details(invoice: InvoiceRow, original: str | None) -> list[list[str]]:
    rows = [("Number", invoice.number), ("Date", invoice.date.isoformat())]
    if original is not None:
        rows.append(("Credits invoice", original))
    return [[label, value] for label, value in rows if value]


def _stamp(invoice: InvoiceRow) -> str | None:
    if invoice.status is InvoiceStatus.VOID:
        return "VOID"
    if invoice.status is InvoiceStatus.PAID and invoice.paid_at is not None:
        return f"PAID {invoice.paid_at.date().isoformat()}"
    return None


def _line(line: InvoiceLineRow, sku: str, name: str) -> list[str]:
    return [
        str(line.line_number),
        _breakable(_cut(sku), SKU_WIDTH),
        _breakable(_cut(name), WORD_WIDTH),
        f"{line.quantity:,}",
        amount(line.unit_price),
        amount(line.discount) if line.discount else "",
        amount(line.revenue),
    ]


def _totals(invoice: InvoiceRow, lines: Sequence[InvoiceLineRow]) -> dict[str, Any]:
    net = sum(line.revenue for line in lines)
    discount = sum(line.discount for line in lines)
    rows = []
    if discount:
        rows += [["Before discount", amount(net + discount)], ["Discount", amount(-discount)]]
    if invoice.tax_rate:
        rows += [["Net", amount(net)], [f"Tax {invoice.tax_rate.normalize():f} %", amount(invoice.tax)]]
    return {"totals": rows, "total": ["Total", amount(net + invoice.tax)]}


def amount(cents: int) -> str:
    """Cents as people write them: 123456 is "1,234.56"."""
    return f"{Decimal(cents).scaleb(-2):,.2f}"


def _texts(*parts: str | None) -> list[str]:
    """The lines of the parts that are there."""
    return [_cut(line) for part in parts if part for line in part.splitlines() if line.strip()]


def _cut(line: str) -> str:
    plain = "".join(character if character.isprintable() else " " for character in line)
    return plain if len(plain) <= MAX_TEXT else plain[: MAX_TEXT - 1] + "…"


def _breakable(text: str, width: int) -> str:
    """The same text, with places where a word that is too long for its column may be broken."""
    pattern = re.compile(rf"\S{{{width}}}(?=\S)")
    return pattern.sub(lambda found: found[0] + BREAK, text)
