"""The ledger as it is read: every bottle that came or went, when, why and out of which lot."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, any_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.product import ProductRow
from graphql_api.database.purchase import PurchaseLineRow
from graphql_api.database.stock import LotUseRow, StockLotRow, StockMovementRow
from graphql_api.database.store import StoreRow
from graphql_api.services import product, store
from graphql_api.services.filters import FilterField, Operators, column_filter, related_filter
from graphql_api.services.listing import Listing, Sort
from graphql_api.services.policy import Action, Viewer, require
from graphql_api.services.reading import id_array, rows_by_id
from graphql_api.services.relations import nested_filter
from graphql_api.services.stock import named

FIELDS: Mapping[str, FilterField] = {
    "id": column_filter(col(StockMovementRow.id)),
    "store": nested_filter(col(StockMovementRow.store_id), select(col(StoreRow.id)), store.FIELDS),
    "cause": column_filter(col(StockMovementRow.cause)),
    "quantity": column_filter(col(StockMovementRow.quantity)),
    "at": column_filter(col(StockMovementRow.at)),
    "invoice": column_filter(col(StockMovementRow.invoice_id)),
    "purchase": related_filter(
        col(StockMovementRow.purchase_line_id),
        select(col(PurchaseLineRow.id)),
        column_filter(col(PurchaseLineRow.purchase_id)),
    ),
    "import": column_filter(col(StockMovementRow.import_id)),
    "lot": related_filter(
        col(StockMovementRow.id), select(col(LotUseRow.movement_id)), column_filter(col(LotUseRow.lot_id))
    ),
}


def own_fields(viewer: Viewer | None) -> Mapping[str, FilterField]:
    """`product` knows whose products are own; `actor` looks for others only on behalf of those who may see accounts."""
    products = {**product.FIELDS, **product.own_fields(viewer)}

    def actor(operators: Operators) -> ColumnElement[bool]:
        asked = {operators.get("eq"), *(operators.get("in") or ())} - {None}
        if viewer is None or asked - {viewer.user_id}:
            require(viewer, Action.MANAGE_USERS)
        return column_filter(col(StockMovementRow.actor_id))(operators)

    return {
        "product": nested_filter(col(StockMovementRow.product_id), select(col(ProductRow.id)), products),
        "actor": actor,
    }


MOVEMENTS: Listing[StockMovementRow] = Listing(
    statement=select(StockMovementRow),
    key=col(StockMovementRow.id),
    fields=FIELDS,
    sorts={"AT": col(StockMovementRow.at)},
    default=[Sort("AT", is_descending=True)],
    search=lambda text: col(StockMovementRow.product_id).in_(select(col(ProductRow.id)).where(named(text))),
    own_fields=own_fields,
)


async def movements_by_id(session: AsyncSession, ids: Sequence[int]) -> list[StockMovementRow | None]:
    """The movements with these ids, in the order of the ids."""
    return await rows_by_id(session, StockMovementRow, ids)


async def uses_by_movement(session: AsyncSession, ids: Sequence[int]) -> list[list[tuple[int, StockLotRow]]]:
    """The lots of each movement and how many bottles it took (negative) or brought, in the order of use."""
    statement: Any = (
        select(col(LotUseRow.movement_id), col(LotUseRow.quantity), StockLotRow)
        .join(StockLotRow, col(StockLotRow.id) == col(LotUseRow.lot_id))
        .where(col(LotUseRow.movement_id) == any_(id_array(ids)))
        .order_by(col(StockLotRow.expires_on), col(StockLotRow.received_on), col(StockLotRow.id))
    )
    found: dict[int, list[tuple[int, StockLotRow]]] = {key: [] for key in ids}
    for movement_id, quantity, lot in await session.execute(statement):
        found[movement_id].append((quantity, lot))
    return [found[key] for key in ids]


async def purchases_of_lines(session: AsyncSession, ids: Sequence[int]) -> list[int | None]:
    """The key of the purchase that each of these purchase lines belongs to."""
    lines = await rows_by_id(session, PurchaseLineRow, ids)
    return [line.purchase_id if line else None for line in lines]
