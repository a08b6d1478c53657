"""Changes of stock as clients listen to them."""

from collections.abc import AsyncGenerator
from typing import cast

import strawberry
from strawberry import UNSET

from graphql_api.database.event import Topic
from graphql_api.database.stock import MovementCause
from graphql_api.events.catalogue import Event, StockChanged
from graphql_api.schema.context import Context, Info
from graphql_api.schema.event_cursor import event_cursor, event_number
from graphql_api.schema.live import EventStream
from graphql_api.schema.product import Product, load_product
from graphql_api.schema.scalars import BigInt, Cursor
from graphql_api.schema.store import Store, load_store


@strawberry.type(description="Bottles came or went.")
class StockChange:
    """Bottles came or went."""

    cursor: Cursor = strawberry.field(description="Hand it in as `after` to go on behind this change.")
    before: BigInt = strawberry.field(description="Bottles in stock before.")
    after: BigInt = strawberry.field(description="Bottles in stock since: `before` + `delta`.")
    delta: BigInt = strawberry.field(description="Bottles; negative when they went.")
    cause: MovementCause = strawberry.field(description="Why.")
    store_id: strawberry.Private[int]
    product_id: strawberry.Private[int]

    @classmethod
    def from_fact(cls, fact: StockChanged, cursor: Cursor) -> "StockChange":
        """The change as clients see it."""
        return cls(
            cursor=cursor,
            before=BigInt(fact.before),
            after=BigInt(fact.after),
            delta=BigInt(fact.delta),
            cause=fact.cause,
            store_id=fact.store,
            product_id=fact.product,
        )

    @strawberry.field(description="Where it is.")
    async def store(self, info: Info) -> Store:
        """Where it is."""
        return await load_store(info, self.store_id)

    @strawberry.field(description="What it is.")
    async def product(self, info: Info) -> Product:
        """What it is."""
        return await load_product(info, self.product_id)


async def _present(event: Event, context: Context) -> StockChange:
    return StockChange.from_fact(cast("StockChanged", event.fact), await event_cursor(context, event.number))


@strawberry.type
class StockSubscription:
    """Root fields that tell of stock."""

    @strawberry.subscription(description="Every change of stock, once and in order.")
    async def stock_changed(self, info: Info, after: Cursor | None = UNSET) -> AsyncGenerator[StockChange, None]:
        """Every change of stock."""
        number = await event_number(info.context, after) if after else None
        stream = EventStream(
            topics=frozenset({Topic.STOCK}), matches=lambda _event: True, present=_present, after=number
        )
        return cast("AsyncGenerator[StockChange, None]", stream)
