"""Customers: finding them by name, e-mail or phone, and their invoices."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Date, column, func, or_, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlalchemy.types import TypeEngine
from sqlmodel import col

from graphql_api.database.customer import CustomerRow
from graphql_api.database.invoice import InvoiceRow
from graphql_api.services import cursors
from graphql_api.services.errors import BadInput
from graphql_api.services.filters import FilterField, Operators, column_filter
from graphql_api.services.listing import Listing, Sort
from graphql_api.services.paging import Page, PageRequest
from graphql_api.services.place import resembles
from graphql_api.services.policy import Viewer
from graphql_api.services.reading import id_array
from graphql_api.services.user import folded_email
from graphql_api.services.visibility import visible_customers, visible_invoices

INVOICE_ORDER = "invoices of a customer"
INVOICE_PLACE: list[TypeEngine[Any]] = [Date(), BigInteger()]


def _has_account(operators: Operators) -> ColumnElement[bool]:
    return column_filter(col(CustomerRow.user_id).is_not(None))(operators)


FIELDS: Mapping[str, FilterField] = {
    "id": column_filter(col(CustomerRow.id)),
    "name": column_filter(col(CustomerRow.name)),
    "email": column_filter(col(CustomerRow.email), folded_email),
    "phone": column_filter(col(CustomerRow.phone)),
    "address": column_filter(col(CustomerRow.address)),
    "hasAccount": _has_account,
    "isActive": column_filter(col(CustomerRow.is_active)),
}
CUSTOMERS: Listing[CustomerRow] = Listing(
    statement=select(CustomerRow),
    key=col(CustomerRow.id),
    fields=FIELDS,
    sorts={
        "NAME": col(CustomerRow.name),
        "EMAIL": col(CustomerRow.email),
        "CREATED_AT": col(CustomerRow.created_at),
    },
    default=[Sort("NAME")],
    search=lambda text: or_(
        resembles(col(CustomerRow.name), text),
        resembles(col(CustomerRow.email), text),
        resembles(col(CustomerRow.phone), text),
    ),
    visible=visible_customers,
)


class InvoicesWanted(NamedTuple):
    """A page of the invoices of one customer."""

    customer_id: int
    request: PageRequest


async def customers_by_id(
    session: AsyncSession, ids: Sequence[int], *, viewer: Viewer | None
) -> list[CustomerRow | None]:
    """The customers with these ids, in the order of the ids; None where `viewer` sees none."""
    statement = select(CustomerRow).where(col(CustomerRow.id).in_(ids), visible_customers(viewer))
    found = {row.id: row for row in await session.scalars(statement)}
    return [found.get(key) for key in ids]


async def invoices_by_customer(
    session: AsyncSession, wanted: Sequence[InvoicesWanted], *, viewer: Viewer | None
) -> list[Page[InvoiceRow] | BaseException]:
    """The invoices of each customer that `viewer` sees, newest first: one statement for each distinct page request."""
    pages: dict[InvoicesWanted, Page[InvoiceRow] | BaseException] = {}
    for request in {item.request for item in wanted}:
        items = [item for item in wanted if item.request == request]
        try:
            found = await _invoices(session, [item.customer_id for item in items], request, viewer)
        except BadInput as error:
            pages.update(dict.fromkeys(items, error))
        else:
            pages.update({item: _page(found[item.customer_id], request) for item in items})
    return [pages[item] for item in wanted]


async def invoice_counts(session: AsyncSession, ids: Sequence[int], *, viewer: Viewer | None) -> list[int]:
    """How many invoices of each of these customers `viewer` sees."""
    key = col(InvoiceRow.customer_id)
    statement = select(key, func.count()).where(key.in_(ids), visible_invoices(viewer)).group_by(key)
    counts: dict[Any, int] = {row[0]: row[1] for row in await session.execute(statement)}
    return [counts.get(customer_id, 0) for customer_id in ids]


async def _invoices(
    session: AsyncSession, ids: Sequence[int], request: PageRequest, viewer: Viewer | None
) -> dict[int, list[InvoiceRow]]:
    """Up to one invoice more than asked of each customer, each by its own short index scan."""
    wanted = func.unnest(id_array(ids)).table_valued(column("id", BigInteger), name="wanted").render_derived()
    date, key = col(InvoiceRow.date), col(InvoiceRow.id)
    invoices = select(InvoiceRow).where(col(InvoiceRow.customer_id) == wanted.c.id, visible_invoices(viewer))
    if request.after is not None:
        invoices = invoices.where(tuple_(date, key) < tuple_(*_place(request.after), types=INVOICE_PLACE))
    invoices = invoices.order_by(date.desc(), key.desc()).limit(request.size + 1)
    invoice = aliased(InvoiceRow, invoices.lateral())
    found: dict[int, list[InvoiceRow]] = {customer_id: [] for customer_id in ids}
    for row in await session.scalars(select(invoice).select_from(wanted).join(invoice, true())):
        found[row.customer_id or 0].append(row)
    return found


def _place(cursor: str) -> list[Any]:
    try:
        place = cursors.decode(cursor, INVOICE_ORDER, INVOICE_PLACE)
    except cursors.BadCursor as error:
        raise error.below("after") from None
    if None in place:
        raise cursors.damaged().below("after")
    return place


def _page(found: Sequence[InvoiceRow], request: PageRequest) -> Page[InvoiceRow]:
    rows = sorted(found, key=lambda row: (row.date, row.id), reverse=True)
    shown = rows[: request.size]
    return Page(
        rows=shown,
        cursors=cursors.Cursors(INVOICE_ORDER, [[row.date, row.id] for row in shown]),
        has_next=len(rows) > request.size,
        has_previous=request.after is not None,
    )
