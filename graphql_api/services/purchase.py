"""Purchases, their lines and their totals: listed, filtered and read in batches."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, ColumnElement, any_, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.product import ProductRow
from graphql_api.database.purchase import PurchaseLineRow, PurchaseRow
from graphql_api.database.stock import StockLotRow, StockMovementRow
from graphql_api.database.store import StoreRow
from graphql_api.database.vendor import VendorRow
from graphql_api.services import product, store, vendor
from graphql_api.services.document_line import DocumentLines, LinesWanted
from graphql_api.services.filters import FilterField, Operators, column_filter
from graphql_api.services.listing import Listing, Sort
from graphql_api.services.paging import Page
from graphql_api.services.place import resembles
from graphql_api.services.policy import Action, Viewer, require
from graphql_api.services.reading import id_array, rows_by_id
from graphql_api.services.relations import nested_filter

LINES = DocumentLines(PurchaseLineRow, col(PurchaseLineRow.purchase_id), col(PurchaseLineRow.line_number))

FIELDS: Mapping[str, FilterField] = {
    "id": column_filter(col(PurchaseRow.id)),
    "number": column_filter(col(PurchaseRow.number)),
    "date": column_filter(col(PurchaseRow.date)),
    "status": column_filter(col(PurchaseRow.status)),
    "supplierName": column_filter(col(PurchaseRow.supplier_name)),
    "store": nested_filter(col(PurchaseRow.store_id), select(col(StoreRow.id)), store.FIELDS),
    "vendor": nested_filter(col(PurchaseRow.vendor_id), select(col(VendorRow.id)), vendor.VENDORS.fields),
}


def own_fields(viewer: Viewer | None) -> Mapping[str, FilterField]:
    """`product` keeps purchases with at least one line of such a product; its filter knows whose products are own.

    `createdBy` looks for others only on behalf of those who may see accounts.
    """
    lines = select(col(PurchaseLineRow.purchase_id)).join(
        ProductRow, col(ProductRow.id) == col(PurchaseLineRow.product_id)
    )
    products = {**product.FIELDS, **product.own_fields(viewer)}

    def created_by(operators: Operators) -> ColumnElement[bool]:
        asked = {operators.get("eq"), *(operators.get("in") or ())} - {None}
        if viewer is None or asked - {viewer.user_id}:
            require(viewer, Action.MANAGE_USERS)
        return column_filter(col(PurchaseRow.created_by))(operators)

    return {"product": nested_filter(col(PurchaseRow.id), lines, products), "createdBy": created_by}


def is_found(text: str) -> ColumnElement[bool]:
    """Whether `text` is the number of a purchase, or occurs in the name of its supplier."""
    # as an array, because each of the three can then be looked up in an index of its own
    vendors = func.array(select(col(VendorRow.id)).where(resembles(col(VendorRow.name), text)).scalar_subquery())
    return or_(
        col(PurchaseRow.number) == text,
        col(PurchaseRow.vendor_id) == any_(vendors),
        resembles(col(PurchaseRow.supplier_name), text),
    )


PURCHASES: Listing[PurchaseRow] = Listing(
    statement=select(PurchaseRow),
    key=col(PurchaseRow.id),
    fields=FIELDS,
    sorts={"DATE": col(PurchaseRow.date), "NUMBER": col(PurchaseRow.number)},
    default=[Sort("DATE", is_descending=True)],
    search=is_found,
    own_fields=own_fields,
)


class Totals(NamedTuple):
    """Sums over the lines of one purchase: bottles, cents, and how many lines."""

    quantity: int = 0
    received: int = 0
    cost: int = 0
    received_cost: int = 0
    line_count: int = 0


async def purchases_by_id(session: AsyncSession, ids: Sequence[int]) -> list[PurchaseRow | None]:
    """The purchases with these ids, in the order of the ids."""
    return await rows_by_id(session, PurchaseRow, ids)


async def purchase_by_number(session: AsyncSession, number: str) -> PurchaseRow | None:
    """The purchase with this number."""
    return await session.scalar(select(PurchaseRow).where(col(PurchaseRow.number) == number))


async def purchase_lines_by_id(session: AsyncSession, ids: Sequence[int]) -> list[PurchaseLineRow | None]:
    """The purchase lines with these ids, in the order of the ids."""
    return await rows_by_id(session, PurchaseLineRow, ids)


async def totals_by_purchase(session: AsyncSession, ids: Sequence[int]) -> list[Totals]:
    """The totals of each of these purchases; what came is worth what the ledger says it has cost."""
    line, movement = PurchaseLineRow, StockMovementRow
    came = select(func.sum(col(movement.cost)).label("cost")).where(col(movement.purchase_line_id) == col(line.id))
    received = came.lateral("received")
    amounts = (col(line.quantity), col(line.received), col(line.quantity) * col(line.unit_cost), received.c.cost)
    sums = [func.coalesce(func.sum(amount), 0).cast(BigInteger) for amount in amounts]
    statement = (
        select(col(line.purchase_id), *sums, func.count())
        .join(received, true())
        .where(col(line.purchase_id) == any_(id_array(ids)))
        .group_by(col(line.purchase_id))
    )
    totals = {row[0]: Totals._make(row[1:]) for row in await session.execute(statement)}
    return [totals.get(key, Totals()) for key in ids]


async def received_costs(session: AsyncSession, line_ids: Sequence[int]) -> list[int]:
    """What the bottles that have come of each of these lines, and were kept, had cost in cents."""
    line = col(StockMovementRow.purchase_line_id)
    cost = func.sum(col(StockMovementRow.cost)).cast(BigInteger)
    found = await session.execute(select(line, cost).where(line == any_(id_array(line_ids))).group_by(line))
    costs = {row[0]: row[1] for row in found}
    return [costs.get(key, 0) for key in line_ids]


async def lots_by_line(session: AsyncSession, line_ids: Sequence[int]) -> list[list[StockLotRow]]:
    """The lots that the bottles of each of these lines became, the first to come first."""
    line = col(StockLotRow.purchase_line_id)
    statement = select(StockLotRow).where(line == any_(id_array(line_ids))).order_by(col(StockLotRow.id))
    found: dict[int, list[StockLotRow]] = {key: [] for key in line_ids}
    for lot in await session.scalars(statement):
        found[lot.purchase_line_id or 0].append(lot)
    return [found[key] for key in line_ids]


async def lines_by_purchase(
    session: AsyncSession, wanted: Sequence[LinesWanted]
) -> list[Page[PurchaseLineRow] | BaseException]:
    """A page of the lines of each wanted purchase: one statement for each distinct page request."""
    return await LINES.pages(session, wanted)
