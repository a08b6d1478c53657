"""Invoices, their lines and their totals."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, any_, column, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from graphql_api.database.invoice import InvoiceLineRow, InvoiceRow
from graphql_api.database.product import ProductRow
from graphql_api.database.store import StoreRow
from graphql_api.services import cursors, product, store
from graphql_api.services.errors import BadInput
from graphql_api.services.filters import FilterField, column_filter
from graphql_api.services.listing import Listing, Sort
from graphql_api.services.paging import Page, PageRequest
from graphql_api.services.policy import Viewer
from graphql_api.services.reading import id_array
from graphql_api.services.relations import nested_filter
from graphql_api.services.visibility import visible_invoices, visible_lines

LINE_ORDER = "invoice_line.line_number"

FIELDS: Mapping[str, FilterField] = {
    "id": column_filter(col(InvoiceRow.id)),
    "number": column_filter(col(InvoiceRow.number)),
    "date": column_filter(col(InvoiceRow.date)),
    "status": column_filter(col(InvoiceRow.status)),
    "store": nested_filter(col(InvoiceRow.store_id), select(col(StoreRow.id)), store.FIELDS),
}


def own_fields(viewer: Viewer | None) -> Mapping[str, FilterField]:
    """`product` keeps invoices with at least one line of such a product; its filter knows whose products are own."""
    lines = select(col(InvoiceLineRow.invoice_id)).join(ProductRow, col(ProductRow.id) == InvoiceLineRow.product_id)
    products = {**product.FIELDS, **product.own_fields(viewer)}
    return {"product": nested_filter(col(InvoiceRow.id), lines, products)}


INVOICES: Listing[InvoiceRow] = Listing(
    statement=select(InvoiceRow),
    key=col(InvoiceRow.id),
    fields=FIELDS,
    sorts={"DATE": col(InvoiceRow.date), "NUMBER": col(InvoiceRow.number)},
    default=[Sort("DATE", is_descending=True)],
    search=lambda text: col(InvoiceRow.number) == text,
    visible=visible_invoices,
    own_fields=own_fields,
)


class Totals(NamedTuple):
    """Sums over the lines of one invoice: cents, bottles, and how many lines."""

    revenue: int = 0
    cost: int = 0
    quantity: int = 0
    line_count: int = 0


class LinesWanted(NamedTuple):
    """A page of the lines of one invoice."""

    invoice_id: int
    request: PageRequest


async def invoices_by_id(
    session: AsyncSession, ids: Sequence[int], *, viewer: Viewer | None
) -> list[InvoiceRow | None]:
    """The invoices with these ids, in the order of the ids; None where `viewer` sees none."""
    statement = select(InvoiceRow).where(col(InvoiceRow.id) == any_(id_array(ids)), visible_invoices(viewer))
    found = {row.id: row for row in await session.scalars(statement)}
    return [found.get(key) for key in ids]


async def invoice_by_number(session: AsyncSession, number: str, *, viewer: Viewer | None) -> InvoiceRow | None:
    """The invoice with this number, if `viewer` sees it."""
    statement = select(InvoiceRow).where(col(InvoiceRow.number) == number, visible_invoices(viewer))
    return await session.scalar(statement)


async def totals_by_invoice(session: AsyncSession, ids: Sequence[int], *, viewer: Viewer | None) -> list[Totals]:
    """The totals of each of these invoices; zeros where `viewer` sees no lines."""
    invoice_id = col(InvoiceLineRow.invoice_id)
    amounts = (InvoiceLineRow.revenue, InvoiceLineRow.cost, InvoiceLineRow.quantity)
    sums = [func.sum(col(amount)).cast(BigInteger) for amount in amounts]
    statement = select(invoice_id, *sums, func.count()).where(invoice_id == any_(id_array(ids)), visible_lines(viewer))
    found = await session.execute(statement.group_by(invoice_id))
    totals = {row[0]: Totals._make(row[1:]) for row in found}
    return [totals.get(key, Totals()) for key in ids]


async def lines_by_invoice(
    session: AsyncSession, wanted: Sequence[LinesWanted], *, viewer: Viewer | None
) -> list[Page[InvoiceLineRow] | BaseException]:
    """A page of the lines that `viewer` sees of each wanted invoice: one statement for each distinct page request."""
    pages: dict[LinesWanted, Page[InvoiceLineRow] | BaseException] = {}
    for request in {item.request for item in wanted}:
        ids = [item.invoice_id for item in wanted if item.request == request]
        try:
            found = await _lines(session, ids, request, viewer)
        except BadInput as error:
            pages.update({LinesWanted(key, request): error for key in ids})
        else:
            pages.update({LinesWanted(key, request): _page(found[key], request) for key in ids})
    return [pages[item] for item in wanted]


async def _lines(
    session: AsyncSession, ids: Sequence[int], request: PageRequest, viewer: Viewer | None
) -> dict[int, list[InvoiceLineRow]]:
    """Up to one line more than asked of each invoice, each invoice by its own short index scan."""
    keys = func.unnest(id_array(ids)).table_valued(column("id", BigInteger), name="wanted")
    wanted = keys.render_derived()
    number = col(InvoiceLineRow.line_number)
    lines = select(InvoiceLineRow).where(col(InvoiceLineRow.invoice_id) == wanted.c.id, visible_lines(viewer))
    if request.after is not None:
        lines = lines.where(number > _line_number(request.after, "after"))
    if request.before is not None:
        lines = lines.where(number < _line_number(request.before, "before"))
    lines = lines.order_by(number.desc() if request.is_backward else number).limit(request.size + 1)
    line = aliased(InvoiceLineRow, lines.lateral())
    found: dict[int, list[InvoiceLineRow]] = {key: [] for key in ids}
    for row in await session.scalars(select(line).select_from(wanted).join(line, true())):
        found[row.invoice_id].append(row)
    return found


def _line_number(cursor: str, argument: str) -> int:
    try:
        numbers = cursors.decode(cursor, LINE_ORDER, [InvoiceLineRow.__table__.c.line_number.type])  # type: ignore[attr-defined]  # set by SQLModel
    except cursors.BadCursor as error:
        raise error.below(argument) from None
    if numbers[0] is None:
        raise cursors.damaged().below(argument)
    return int(numbers[0])


def _page(found: Sequence[InvoiceLineRow], request: PageRequest) -> Page[InvoiceLineRow]:
    rows = sorted(found, key=lambda line: line.line_number, reverse=request.is_backward)
    has_more = len(rows) > request.size
    rows = sorted(rows[: request.size], key=lambda line: line.line_number)
    return Page(
        rows=rows,
        cursors=cursors.Cursors(LINE_ORDER, [[line.line_number] for line in rows]),
        has_next=request.before is not None if request.is_backward else has_more,
        has_previous=has_more if request.is_backward else request.after is not None,
    )
