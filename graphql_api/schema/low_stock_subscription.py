"""Times of low stock as clients listen to them."""

from collections.abc import AsyncGenerator

import strawberry
from strawberry import UNSET

from graphql_api.database.event import Topic
from graphql_api.events.catalogue import LowStockChange, LowStockChanged
from graphql_api.schema.context import Context, Info
from graphql_api.schema.enums import describe
from graphql_api.schema.event_stream import (
    AfterEvent,
    ChangeFilter,
    LoggedEvent,
    LoggedFields,
    MatchingEvents,
    event_stream,
)
from graphql_api.schema.filters import ALL_OF, ANY_OF, NONE_OF, operator, to_where
from graphql_api.schema.low_stock import LowStock
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
class LowStockEvent(LoggedEvent):
    """A store has little of a product, somebody looks after it, or it is over."""

    change: LowStockChange = strawberry.field(description="What has become of it.")
    place: EventPlace = strawberry.field(description="Where the store was at that moment.")
    low_stock: LowStock = strawberry.field(description="All of it, as it is now, which may be after later changes.")


@strawberry.input(description="Conditions on what has become of a time of low stock.")
class LowStockChangeFilter(ChangeFilter[LowStockChange]):
    """Conditions on what has become of a time of low stock."""


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


async def _present(fact: LowStockChanged, logged: LoggedFields, context: Context) -> LowStockEvent | None:
    row = await context.loaders.low_stock.load(fact.episode)
    if row is None:
        return None
    return LowStockEvent(
        **logged, change=fact.change, place=EventPlace.from_facts(fact), low_stock=LowStock.from_row(row)
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
        self, info: Info, where: MatchingEvents[LowStockEventWhere] = UNSET, after: AfterEvent = UNSET
    ) -> AsyncGenerator[LowStockEvent, None]:
        """Every change of low stock."""
        return await event_stream(
            info.context, Topic.LOW_STOCK, _present, where=to_where(where), facts=LOW_STOCK_FACTS, after=after
        )
