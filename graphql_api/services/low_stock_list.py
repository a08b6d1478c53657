"""Episodes of low stock as a list, and acknowledging them."""

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, any_, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.low_stock import LowStockEpisodeRow
from graphql_api.database.product import ProductRow
from graphql_api.database.stock import StockLevelRow
from graphql_api.database.store import StoreRow
from graphql_api.ledger.book import lock_levels
from graphql_api.ledger.entries import StockKey
from graphql_api.services import product, store
from graphql_api.services.errors import NotFound
from graphql_api.services.filters import FilterField, column_filter, presence_filter
from graphql_api.services.listing import Listing, Sort
from graphql_api.services.place import resembles
from graphql_api.services.policy import Viewer
from graphql_api.services.reading import id_array, rows_by_id
from graphql_api.services.relations import nested_filter
from graphql_api.services.unit_of_work import UnitOfWork

_Row = LowStockEpisodeRow
_products = select(col(ProductRow.id))
FIELDS: Mapping[str, FilterField] = {
    "id": column_filter(col(_Row.id)),
    "store": nested_filter(col(_Row.store_id), select(col(StoreRow.id)), store.FIELDS),
    "openedAt": column_filter(col(_Row.opened_at)),
    "isOpen": presence_filter(col(_Row.resolved_at), is_absent=True),
    "isAcknowledged": presence_filter(col(_Row.acknowledged_at)),
}


def own_fields(viewer: Viewer | None) -> Mapping[str, FilterField]:
    """The filter of the product, which knows whose products are own."""
    fields = {**product.FIELDS, **product.own_fields(viewer)}
    return {"product": nested_filter(col(_Row.product_id), _products, fields)}


def _found_by(text: str) -> ColumnElement[bool]:
    products = _products.where(or_(resembles(col(ProductRow.name), text), col(ProductRow.sku) == text))
    stores = select(col(StoreRow.id)).where(resembles(col(StoreRow.name), text))
    return or_(col(_Row.product_id).in_(products), col(_Row.store_id).in_(stores))


LOW_STOCK: Listing[LowStockEpisodeRow] = Listing(
    statement=select(_Row),
    key=col(_Row.id),
    fields=FIELDS,
    sorts={"OPENED_AT": col(_Row.opened_at)},
    default=[Sort("OPENED_AT", is_descending=True)],
    search=_found_by,
    own_fields=own_fields,
)


async def episodes_by_id(session: AsyncSession, ids: Sequence[int]) -> list[LowStockEpisodeRow | None]:
    """The episodes with these ids, in the order of the ids."""
    return await rows_by_id(session, _Row, ids)


async def on_hand_by_key(session: AsyncSession, keys: Sequence[StockKey]) -> list[int]:
    """Bottles that these stores have of these products now, in the order of the keys."""
    key = tuple_(col(StockLevelRow.store_id), col(StockLevelRow.product_id))
    rows = await session.execute(
        select(key.clauses[0], key.clauses[1], col(StockLevelRow.on_hand)).where(key.in_(keys))
    )
    found = {(store_id, product_id): on_hand for store_id, product_id, on_hand in rows}
    return [found.get(wanted, 0) for wanted in keys]


async def acknowledge(work: UnitOfWork, keys: Sequence[int], viewer: Viewer) -> list[LowStockEpisodeRow]:
    """Note that somebody has seen these episodes and looks after them; the first who does so is kept.

    Raises:
        NotFound: there is no such episode, with its place among the ids; nothing is changed.
    """
    rows = await _existing(work.session, keys)
    # whoever holds the levels holds their episodes
    await lock_levels(await work.driver(), [(row.store_id, row.product_id) for row in rows])
    fresh = update(_Row).where(col(_Row.id) == any_(id_array(keys)), col(_Row.acknowledged_at).is_(None))
    marked = await work.session.scalars(
        fresh.values(acknowledged_at=func.now(), acknowledged_by=viewer.user_id)
        .returning(col(_Row.id))
        .execution_options(synchronize_session=False)
    )
    count = len(marked.all())
    work.record("LowStock", keys[0] if len(keys) == 1 else None, after={"isAcknowledged": True, "count": count})
    statement = select(_Row).where(col(_Row.id) == any_(id_array(keys)))
    now = await work.session.scalars(statement.execution_options(populate_existing=True))
    found = {row.id: row for row in now}
    return [found[key] for key in keys]


async def _existing(session: AsyncSession, keys: Sequence[int]) -> list[LowStockEpisodeRow]:
    rows = []
    for position, row in enumerate(await episodes_by_id(session, keys)):
        if row is None:
            raise NotFound("There is no low stock with this id.", path=("ids", str(position)))
        rows.append(row)
    return rows
