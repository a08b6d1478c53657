"""An order made from what is suggested."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlmodel import col

from graphql_api.database.product import ProductRow
from graphql_api.database.purchase import PurchaseRow
from graphql_api.database.store import StoreRow
from graphql_api.services.errors import BadInput, Conflict
from graphql_api.services.policy import Viewer
from graphql_api.services.purchase_change import PurchaseWish, create_purchase
from graphql_api.services.purchase_line import MAX_LINES, MAX_QUANTITY, LineWish
from graphql_api.services.purchase_lock import check_store, check_vendor
from graphql_api.services.reorder import Suggestion, most_urgent
from graphql_api.services.reorder_level import DEFAULT_COVER, DEFAULT_LOOKBACK, ReorderQuestion
from graphql_api.services.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class ReorderWish:
    """Whose suggestions are to be ordered: those of one store that one vendor supplies."""

    store_id: int
    vendor_id: int
    lookback_days: int = DEFAULT_LOOKBACK
    cover_days: int = DEFAULT_COVER
    date: dt.date | None = None
    note: str | None = None


async def order_suggested(work: UnitOfWork, wish: ReorderWish, viewer: Viewer) -> PurchaseRow:
    """A new purchase of all that is suggested now, the 1,000 that run out first if there are more.

    What is on order is not suggested again, and two such orders of a store are made one after the other.

    Raises:
        BadInput, NotFound, Conflict: with the path to what cannot be, also when there is nothing to order.
    """
    await check_store(work.session, wish.store_id, "storeId")
    await check_vendor(work.session, wish.vendor_id, "vendorId")
    await _wait_turn(work, wish.store_id)
    where = {"vendor": {"id": {"eq": wish.vendor_id}}}
    question = ReorderQuestion(where, wish.lookback_days, wish.cover_days, viewer, wish.store_id)
    suggestions = await most_urgent(work.session, question, MAX_LINES)
    if not suggestions:
        raise Conflict("Nothing of this vendor needs to be ordered for this store now.", path=("vendorId",))
    await _check_costs(work, suggestions)
    lines = [LineWish(found.product_id, min(found.suggested, MAX_QUANTITY)) for found in suggestions]
    purchase = PurchaseWish(wish.store_id, lines, vendor_id=wish.vendor_id, date=wish.date, note=wish.note)
    return await create_purchase(work, purchase, viewer)


async def _wait_turn(work: UnitOfWork, store_id: int) -> None:
    """Let an order of the same store that has begun come to its end, so that its purchase is seen."""
    statement = select(col(StoreRow.id)).where(col(StoreRow.id) == store_id)
    await work.session.execute(statement.with_for_update(key_share=True))


async def _check_costs(work: UnitOfWork, suggestions: Sequence[Suggestion]) -> None:
    unknown = [found.product_id for found in suggestions if found.unit_cost is None]
    if unknown:
        skus = await work.session.scalars(select(col(ProductRow.sku)).where(col(ProductRow.id).in_(unknown[:10])))
        raise BadInput(
            "There is no cost of {products}. Set it, or order these by hand.",
            path=("vendorId",),
            products=", ".join(sorted(skus)),
        )
