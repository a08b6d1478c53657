"""What is known of each product of each store when it is to be decided whether to order it again."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    case,
    cast,
    func,
    literal_column,
    select,
    true,
    union_all,
)
from sqlmodel import col

from graphql_api.database.invoice import InvoiceLineRow, InvoiceRow
from graphql_api.database.product import ProductRow
from graphql_api.database.purchase import PurchaseLineRow, PurchaseRow
from graphql_api.database.settings import SettingsRow
from graphql_api.database.stock import StockLevelRow, StockLotRow
from graphql_api.database.store import StoreRow
from graphql_api.database.vendor import VendorRow
from graphql_api.reports.sql import IS_UNCOUNTED
from graphql_api.services import product, store, vendor
from graphql_api.services.errors import BadInput, TooComplex
from graphql_api.services.filters import FilterField, Where, condition
from graphql_api.services.policy import Viewer
from graphql_api.services.purchase_lock import today
from graphql_api.services.relations import nested_filter

DEFAULT_LOOKBACK = 28
DEFAULT_COVER = 14
ONE_DAY = dt.timedelta(days=1)
ZERO = literal_column("0", BigInteger)
Columns = Select[*tuple[Any, ...]]


@dataclass(frozen=True)
class ReorderQuestion:
    """What is to be suggested.

    Args:
        where: which products of which stores.
        lookback_days: sales of so many days count, the last of them today.
        cover_days: what there is has to last so many days.
        viewer: who asks.
        store_id: only this store, whose sales can then be looked up alone.
    """

    where: Where | None = None
    lookback_days: int = DEFAULT_LOOKBACK
    cover_days: int = DEFAULT_COVER
    viewer: Viewer | None = None
    store_id: int | None = None


FIELDS: Mapping[str, FilterField] = {
    "store": nested_filter(col(StockLevelRow.store_id), select(col(StoreRow.id)), store.FIELDS),
    "vendor": nested_filter(col(ProductRow.vendor_id), select(col(VendorRow.id)), vendor.VENDORS.fields),
}


def own_fields(viewer: Viewer | None) -> Mapping[str, FilterField]:
    """`product` knows whose products are own."""
    fields = {**product.FIELDS, **product.own_fields(viewer)}
    return {"product": nested_filter(col(StockLevelRow.product_id), select(col(ProductRow.id)), fields)}


def levels_of(question: ReorderQuestion) -> Columns:
    """What is known of each product that a store has had, as far as it may be ordered; one pass over each table."""
    level = _wanted(question).subquery("level")
    figures = _figures(question).subquery("figures")
    is_same = and_(figures.c.store_id == level.c.store_id, figures.c.product_id == level.c.product_id)
    lost = case((level.c.sells_expired, ZERO), else_=func.coalesce(figures.c.expired, ZERO))
    return select(
        level.c.store_id,
        level.c.product_id,
        level.c.vendor_id,
        level.c.on_hand,
        lost.label("expired"),
        func.coalesce(figures.c.on_order, ZERO).label("on_order"),
        func.greatest(figures.c.sold, ZERO).label("sold"),
        level.c.threshold,
        level.c.pack,
        level.c.unit_cost,
    ).select_from(level.outerjoin(figures, is_same))


def _wanted(question: ReorderQuestion) -> Columns:
    """The levels in question, with what the company and the product say of them."""
    level, settings = StockLevelRow, SettingsRow
    return (
        select(
            col(level.store_id),
            col(level.product_id),
            col(ProductRow.vendor_id),
            col(level.on_hand),
            func.coalesce(col(ProductRow.low_stock_threshold), col(settings.low_stock_threshold)).label("threshold"),
            col(settings.sells_expired),
            col(ProductRow.pack),
            col(ProductRow.unit_cost),
        )
        .join(ProductRow, and_(col(ProductRow.id) == col(level.product_id), col(ProductRow.is_active)))
        .join(StoreRow, and_(col(StoreRow.id) == col(level.store_id), col(StoreRow.is_active)))
        .join(settings, true())
        .where(_of_store(question)(col(level.store_id)), _condition(question))
        # keeps the filter in here: PostgreSQL would compare all levels with all figures first
        .offset(ZERO)
    )


def _figures(question: ReorderQuestion) -> Columns:
    """What was sold, is on order and has expired of each product of each store: one row, so one join brings all."""
    day, of_store = today(), _of_store(question)
    parts = union_all(_sold(question, day), _ordered(of_store), _expired(of_store, day)).subquery("parts")
    sums = (cast(func.sum(parts.c[name]), BigInteger).label(name) for name in ("sold", "on_order", "expired"))
    return select(parts.c.store_id, parts.c.product_id, *sums).group_by(parts.c.store_id, parts.c.product_id)


OfStore = Callable[[Any], ColumnElement[bool]]


def _of_store(question: ReorderQuestion) -> OfStore:
    """The condition that a column names the store in question; true of every one when all stores are."""
    return lambda column: true() if question.store_id is None else column == question.store_id


def _condition(question: ReorderQuestion) -> ColumnElement[bool]:
    try:
        return condition(question.where, {**FIELDS, **own_fields(question.viewer)})
    except (BadInput, TooComplex) as error:
        raise error.below("where") from None


def _sold(question: ReorderQuestion, day: dt.date) -> Columns:
    """Bottles sold in the days looked back on, without what came back and without drafts and void invoices."""
    line = InvoiceLineRow
    first = day - (question.lookback_days - 1) * ONE_DAY
    # found by an index of those few, rather than by a look at the invoice of every line
    is_uncounted = select(col(InvoiceRow.id)).where(IS_UNCOUNTED, col(InvoiceRow.id) == col(line.invoice_id)).exists()
    return select(
        col(line.store_id),
        col(line.product_id),
        cast(col(line.quantity), BigInteger).label("sold"),
        ZERO.label("on_order"),
        ZERO.label("expired"),
    ).where(col(line.date).between(first, day), _of_store(question)(col(line.store_id)), ~is_uncounted)


def _ordered(of_store: OfStore) -> Columns:
    """Bottles that are still to come."""
    line, purchase = PurchaseLineRow, PurchaseRow
    return (
        select(col(purchase.store_id), col(line.product_id), ZERO, col(line.quantity) - col(line.received), ZERO)
        .join(purchase, col(purchase.id) == col(line.purchase_id))
        .where(col(purchase.status) == literal_column("'ORDERED'"), of_store(col(purchase.store_id)))
    )


def _expired(of_store: OfStore, day: dt.date) -> Columns:
    """Bottles on hand whose last day is past."""
    lot = StockLotRow
    return select(col(lot.store_id), col(lot.product_id), ZERO, ZERO, col(lot.remaining)).where(
        col(lot.remaining) > ZERO, col(lot.expires_on) < day, of_store(col(lot.store_id))
    )
