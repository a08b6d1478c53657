"""Lots: which bottles a store has, what they cost, and until when they can be sold."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from sqlalchemy import BigInteger, column, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from graphql_api.database.base import now_utc
from graphql_api.database.product import ProductRow
from graphql_api.database.purchase import PurchaseLineRow
from graphql_api.database.stock import StockLotRow
from graphql_api.database.store import StoreRow
from graphql_api.services import product, store
from graphql_api.services.checks import to_cents
from graphql_api.services.errors import BadInput
from graphql_api.services.filters import FilterField, column_filter, related_filter
from graphql_api.services.listing import Listing, Sort
from graphql_api.services.policy import Viewer
from graphql_api.services.reading import id_array, rows_by_id
from graphql_api.services.relations import nested_filter
from graphql_api.services.stock import named

MAX_DAYS = 3_650

FIELDS: Mapping[str, FilterField] = {
    "id": column_filter(col(StockLotRow.id)),
    "store": nested_filter(col(StockLotRow.store_id), select(col(StoreRow.id)), store.FIELDS),
    "receivedOn": column_filter(col(StockLotRow.received_on)),
    "expiresOn": column_filter(col(StockLotRow.expires_on)),
    "remaining": column_filter(col(StockLotRow.remaining)),
    "unitCost": column_filter(col(StockLotRow.unit_cost), to_cents),
    "purchase": related_filter(
        col(StockLotRow.purchase_line_id),
        select(col(PurchaseLineRow.id)),
        column_filter(col(PurchaseLineRow.purchase_id)),
    ),
}


def own_fields(viewer: Viewer | None) -> Mapping[str, FilterField]:
    """`product` holds a whole filter of products, which knows whose products are own."""
    products = {**product.FIELDS, **product.own_fields(viewer)}
    return {"product": nested_filter(col(StockLotRow.product_id), select(col(ProductRow.id)), products)}


LOTS: Listing[StockLotRow] = Listing(
    statement=select(StockLotRow),
    key=col(StockLotRow.id),
    fields=FIELDS,
    sorts={
        "ADDED": col(StockLotRow.id),
        "EXPIRES_ON": col(StockLotRow.expires_on),
        "REMAINING": col(StockLotRow.remaining),
    },
    default=[Sort("ADDED", is_descending=True)],
    search=lambda text: col(StockLotRow.product_id).in_(select(col(ProductRow.id)).where(named(text))),
    own_fields=own_fields,
)


def today() -> dt.date:
    """The present day in UTC."""
    return now_utc().date()


def expiring_lots(within_days: int) -> Listing[StockLotRow]:
    """Lots with something in them that have expired or will within so many days, the first to expire first.

    Raises:
        BadInput: for less than none, or more than ten years.
    """
    if not 0 <= within_days <= MAX_DAYS:
        raise BadInput("`withinDays` goes from 0 to {limit:,}.", path=("withinDays",), limit=MAX_DAYS)
    last = today() + dt.timedelta(days=within_days)
    bounds = col(StockLotRow.remaining) > 0, col(StockLotRow.expires_on) <= last
    return replace(LOTS, statement=LOTS.statement.where(*bounds), default=[Sort("EXPIRES_ON")])


class LotsWanted(NamedTuple):
    """So many of the lots that a level has left, in the order in which they are used."""

    store_id: int
    product_id: int
    first: int


async def lots_by_id(session: AsyncSession, ids: Sequence[int]) -> list[StockLotRow | None]:
    """The lots with these ids, in the order of the ids."""
    return await rows_by_id(session, StockLotRow, ids)


async def lots_by_level(session: AsyncSession, wanted: Sequence[LotsWanted]) -> list[list[StockLotRow]]:
    """What each level has left, each by its own short index scan; one statement for all."""
    parameters = [id_array(values) for values in zip(*wanted, strict=True)]
    names = [column(name, BigInteger) for name in LotsWanted._fields]
    keys = func.unnest(*parameters).table_valued(*names, name="wanted").render_derived()
    lots = (
        select(StockLotRow)
        .where(
            col(StockLotRow.store_id) == keys.c.store_id,
            col(StockLotRow.product_id) == keys.c.product_id,
            col(StockLotRow.remaining) > 0,
        )
        .order_by(col(StockLotRow.expires_on), col(StockLotRow.received_on), col(StockLotRow.id))
        .limit(keys.c.first)
    )
    lot = aliased(StockLotRow, lots.lateral())
    statement = select(keys, lot).select_from(keys).join(lot, true())
    found: dict[LotsWanted, list[StockLotRow]] = {key: [] for key in wanted}
    for store_id, product_id, first, row in await session.execute(
        statement.order_by(col(lot.expires_on), col(lot.received_on), col(lot.id))
    ):
        found[LotsWanted(store_id, product_id, first)].append(row)
    return [found[key] for key in wanted]
