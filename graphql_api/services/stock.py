"""Stock levels: what each store has of each product, found by store, place, product, category or vendor."""

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.product import ProductRow
from graphql_api.database.settings import SettingsRow
from graphql_api.database.stock import StockLevelRow
from graphql_api.database.store import StoreRow
from graphql_api.services import product, store
from graphql_api.services.checks import to_cents
from graphql_api.services.filters import FilterField, Operators, column_filter, condition
from graphql_api.services.listing import Listing, Sort
from graphql_api.services.place import resembles
from graphql_api.services.policy import Viewer
from graphql_api.services.reading import rows_by_id

STORE_FIELDS = ("city", "zip", "county", "countyNumber")
PRODUCT_FIELDS = ("category", "categoryNumber", "vendor", "vendorNumber")

_threshold = func.coalesce(
    col(ProductRow.low_stock_threshold), select(col(SettingsRow.low_stock_threshold)).scalar_subquery()
)
# As the ledger has it: what is not sold any more is never low.
IS_LOW = and_(col(ProductRow.is_active), col(StockLevelRow.on_hand) <= _threshold)


def _store(where: Operators) -> ColumnElement[bool]:
    return condition(where, store.FIELDS)


FIELDS: Mapping[str, FilterField] = {
    "id": column_filter(col(StockLevelRow.id)),
    "onHand": column_filter(col(StockLevelRow.on_hand)),
    "value": column_filter(col(StockLevelRow.value), to_cents),
    "isLow": column_filter(IS_LOW),
    "store": _store,
    **{name: store.FIELDS[name] for name in STORE_FIELDS},
    **{name: product.FIELDS[name] for name in PRODUCT_FIELDS},
}


def own_fields(viewer: Viewer | None) -> Mapping[str, FilterField]:
    """`product` holds a whole filter of products, which knows whose products are own."""
    products = {**product.FIELDS, **product.own_fields(viewer)}
    return {"product": lambda where: condition(where, products)}


def named(text: str) -> ColumnElement[bool]:
    """Whether `text` occurs in the name of the product, or is its SKU."""
    return or_(resembles(col(ProductRow.name), text), col(ProductRow.sku) == text)


LEVELS: Listing[StockLevelRow] = Listing(
    statement=select(StockLevelRow)
    .join(ProductRow, col(ProductRow.id) == col(StockLevelRow.product_id))
    .join(StoreRow, col(StoreRow.id) == col(StockLevelRow.store_id)),
    key=col(StockLevelRow.id),
    fields=FIELDS,
    sorts={
        "PRODUCT": col(ProductRow.name),
        "STORE": col(StoreRow.name),
        "ON_HAND": col(StockLevelRow.on_hand),
        "VALUE": col(StockLevelRow.value),
    },
    default=[Sort("PRODUCT")],
    search=named,
    own_fields=own_fields,
)


async def stock_levels_by_id(session: AsyncSession, ids: Sequence[int]) -> list[StockLevelRow | None]:
    """The stock levels with these ids, in the order of the ids."""
    return await rows_by_id(session, StockLevelRow, ids)
