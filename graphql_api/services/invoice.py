"""Invoices, their lines and their totals."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, any_, false, func, not_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.customer import CustomerRow
from graphql_api.database.invoice import InvoiceLineRow, InvoiceRow
from graphql_api.database.product import ProductRow
from graphql_api.database.store import StoreRow
from graphql_api.database.user import UserRow
from graphql_api.services import customer, product, store
from graphql_api.services.document_line import DocumentLines, LinesWanted
from graphql_api.services.filters import FilterField, column_filter
from graphql_api.services.listing import Listing, Sort
from graphql_api.services.paging import Page
from graphql_api.services.policy import Viewer
from graphql_api.services.reading import id_array
from graphql_api.services.relations import nested_filter, optional_related_filter
from graphql_api.services.visibility import visible_invoices, visible_lines

LINES = DocumentLines(InvoiceLineRow, col(InvoiceLineRow.invoice_id), col(InvoiceLineRow.line_number))

FIELDS: Mapping[str, FilterField] = {
    "id": column_filter(col(InvoiceRow.id)),
    "number": column_filter(col(InvoiceRow.number)),
    "date": column_filter(col(InvoiceRow.date)),
    "status": column_filter(col(InvoiceRow.status)),
    "store": nested_filter(col(InvoiceRow.store_id), select(col(StoreRow.id)), store.FIELDS),
    "customer": nested_filter(col(InvoiceRow.customer_id), select(col(CustomerRow.id)), customer.FIELDS),
    "hasCustomer": column_filter(col(InvoiceRow.customer_id).is_not(None)),
    "salesperson": optional_related_filter(
        col(InvoiceRow.created_by), select(col(UserRow.id)), column_filter(col(UserRow.name))
    ),
    "isCreditNote": column_filter(col(InvoiceRow.credit_of).is_not(None)),
}


def own_fields(viewer: Viewer | None) -> Mapping[str, FilterField]:
    """`product` keeps invoices with at least one line of such a product; its filter knows whose products are own.

    `mine` keeps the invoices that whoever asks has written, or with false all others.
    """

    def mine(is_mine: Any) -> ColumnElement[bool]:
        created = col(InvoiceRow.created_by) == viewer.user_id if viewer else false()
        return created if is_mine else not_(created.is_(True))

    lines = select(col(InvoiceLineRow.invoice_id)).join(ProductRow, col(ProductRow.id) == InvoiceLineRow.product_id)
    products = {**product.FIELDS, **product.own_fields(viewer)}
    return {"product": nested_filter(col(InvoiceRow.id), lines, products), "mine": mine}


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


async def credits_by_invoice(
    session: AsyncSession, ids: Sequence[int], *, viewer: Viewer | None
) -> list[list[InvoiceRow]]:
    """The credit notes of each of these invoices that `viewer` sees, the first one first."""
    statement = select(InvoiceRow).where(col(InvoiceRow.credit_of) == any_(id_array(ids)), visible_invoices(viewer))
    notes: dict[int | None, list[InvoiceRow]] = {}
    for row in await session.scalars(statement.order_by(col(InvoiceRow.id))):
        notes.setdefault(row.credit_of, []).append(row)
    return [notes.get(key, []) for key in ids]


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
    return await LINES.pages(session, wanted, visible_lines(viewer))
