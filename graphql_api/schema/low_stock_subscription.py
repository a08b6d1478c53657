"""Times of low stock as clients listen to them."""

import datetime as dt
from collections.abc import AsyncGenerator
from typing import Annotated, cast

import strawberry
from strawberry import UNSET

from graphql_api.database.event import Topic
from graphql_api.events.catalogue import Event, LowStockChange, LowStockChanged
from graphql_api.schema.context import Context, Info
from graphql_api.schema.enums import describe
from graphql_api.schema.event_cursor import event_cursor
from graphql_api.schema.event_stream import AT, CURSOR, AfterEvent, event_stream
from graphql_api.schema.filters import ALL_OF, ANY_OF, EQUAL, NONE_OF, ONE_OF, operator
from graphql_api.schema.low_stock import LowStock
from graphql_api.schema.scalars import Cursor
from graphql_api.schema.stock_event import EventPlace, StockFactsWhere
from graphql_api.services.event_filter import LOW_STOCK_FACTS

describe(
    LowStockChange,
    "What has become of a time of low stock.",
    {
        "OPENED": "Stock has fallen to the threshold.",
        "ACKNOWLEDGED": "Somebody looks after it.",
        "RESOLVED": "It is over: stock rose, the threshold changed or the product was archived.",
    },
)


@strawberry.type(description="A store has little of a product, somebody looks after it, or it is over.")
class LowStockEvent:
    """A store has little of a product, somebody looks after it, or it is over."""

    cursor: Cursor = strawberry.field(description=CURSOR)
    at: dt.datetime = strawberry.field(description=AT)
    change: LowStockChange = strawberry.field(description="What has become of it.")
    place: EventPlace = strawberry.field(description="Where the store was at that moment.")
    low_stock: LowStock = strawberry.field(description="All of it, as it is now, which may be after later changes.")


@strawberry.input(description="Conditions on what has become of a time of low stock.")
class LowStockChangeFilter:
    """Conditions on what has become of a time of low stock."""

    eq: LowStockChange | None = operator(EQUAL)
    in_: list[LowStockChange] | None = operator(ONE_OF, name="in")


@strawberry.input(
    description=(
        "Which changes of low stock; all given conditions must hold, for store and product as they were then. "
        'As in {change: {eq: OPENED}, county: {eq: "Polk"}}.'
    )
)
class LowStockEventWhere(StockFactsWhere):
    """Which changes of low stock."""

    change: LowStockChangeFilter | None = operator("What has become of it.")
    and_: list["LowStockEventWhere"] | None = operator(ALL_OF, name="and")
    or_: list["LowStockEventWhere"] | None = operator(ANY_OF, name="or")
    not_: "LowStockEventWhere | None" = operator(NONE_OF, name="not")


async def _present(event: Event, context: Context) -> LowStockEvent | None:
    fact = cast("LowStockChanged", event.fact)
    row = await context.loaders.low_stock.load(fact.episode)
    if row is None:
        return None
    return LowStockEvent(
        cursor=await event_cursor(context, event.number),
        at=event.recorded_at,
        change=fact.change,
        place=EventPlace.from_facts(fact),
        low_stock=LowStock.from_row(row),
    )


@strawberry.type
class LowStockSubscription:
    """Root field that tells of low stock."""

    @strawberry.subscription(
        description=(
            "Every time that a store falls to the threshold of a product, that somebody looks after it and that it is "
            "over, each once and in order. Read what is low now with the query `lowStock`. As in `subscription { "
            "lowStock(where: {change: {eq: OPENED}}) { cursor lowStock { onHand product { name } } } }`."
        )
    )
    async def low_stock(
        self,
        info: Info,
        where: Annotated[
            LowStockEventWhere | None, strawberry.argument(description="Only changes that match this filter.")
        ] = UNSET,
        after: AfterEvent = UNSET,
    ) -> AsyncGenerator[LowStockEvent, None]:
        """Every change of low stock."""
        stream = await event_stream(
            info.context, Topic.LOW_STOCK, _present, where=where, facts=LOW_STOCK_FACTS, after=after
        )
        return cast("AsyncGenerator[LowStockEvent, None]", stream)
