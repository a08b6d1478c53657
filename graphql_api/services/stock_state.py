"""What stores have at one place of the event log, to be kept up to date with the events that follow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.event import EventHeadRow
from graphql_api.database.product import ProductRow
from graphql_api.database.stock import StockLevelRow
from graphql_api.database.store import StoreRow
from graphql_api.ledger.entries import StockKey
from graphql_api.services import product, store
from graphql_api.services.errors import BadInput, TooComplex
from graphql_api.services.filters import FilterField, Where, column_filter, condition
from graphql_api.services.stock import PRODUCT_FIELDS, STORE_FIELDS

MAX_LEVELS = 20_000
CHOSEN_BY = (*STORE_FIELDS, *(name for name in PRODUCT_FIELDS if name.startswith("category")))
_fields = {**store.FIELDS, **product.FIELDS}
FIELDS: Mapping[str, FilterField] = {
    "product": column_filter(col(StockLevelRow.product_id)),
    "sku": product.FIELDS["sku"],
    "store": column_filter(col(StockLevelRow.store_id)),
    "storeNumber": store.FIELDS["number"],
    **{name: _fields[name] for name in CHOSEN_BY},
}
"""What `event_filter.STOCK_FACTS` chooses events by, as conditions on stock levels."""

LEVELS = (
    select(col(StockLevelRow.store_id), col(StockLevelRow.product_id), col(StockLevelRow.on_hand))
    .join(ProductRow, col(ProductRow.id) == col(StockLevelRow.product_id))
    .join(StoreRow, col(StoreRow.id) == col(StockLevelRow.store_id))
    .order_by(col(StockLevelRow.store_id), col(StockLevelRow.product_id))
)
# What has been committed and has no number yet: the levels know of it, the log does not.
UNNUMBERED = text("""
SELECT (payload ->> 'store')::bigint, (payload ->> 'product')::bigint, sum((payload ->> 'delta')::bigint)::bigint
FROM outbox WHERE topic = 'STOCK' GROUP BY 1, 2
""")


class Level(NamedTuple):
    """Bottles that a store has of a product."""

    store_id: int
    product_id: int
    on_hand: int


@dataclass(frozen=True)
class StockState:
    """What stores had right after event `number`; 0 is before the first."""

    number: int
    levels: Sequence[Level]


async def read_stock_state(session: AsyncSession, where: Where | None) -> StockState:
    """What the levels that match `where` were after the newest event that has a number.

    Args:
        session: one snapshot, so that levels, log and outbox speak of the same moment.
        where: which levels.

    Raises:
        BadInput: for an impossible filter, with the path to it.
        TooComplex: the filter is too large, or too many levels match.
    """
    number = (await session.execute(select(col(EventHeadRow.last)))).scalar_one()
    try:
        matching = LEVELS.where(condition(where, FIELDS))
    except (BadInput, TooComplex) as error:
        raise error.below("where") from None
    rows = (await session.execute(matching.limit(MAX_LEVELS + 1))).all()
    if len(rows) > MAX_LEVELS:
        raise TooComplex(
            "More than {limit:,} stock levels match. Narrow `where`, for instance to a store or a category.",
            path=("where",),
            limit=MAX_LEVELS,
        )
    deltas = await _unnumbered(session)
    levels = [Level(*row) for row in rows]
    return StockState(number, [level._replace(on_hand=level.on_hand - deltas.get(level[:2], 0)) for level in levels])


async def _unnumbered(session: AsyncSession) -> Mapping[StockKey, int]:
    """Bottles that came or went in changes that have no number yet."""
    return {(store_id, product_id): delta for store_id, product_id, delta in await session.execute(UNNUMBERED)}
