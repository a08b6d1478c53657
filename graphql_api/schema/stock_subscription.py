"""Changes of stock as clients listen to them, alone or on top of the state they change."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterator, Sequence
from typing import Annotated, TypeAlias, TypeVar

import strawberry
from strawberry import UNSET

from graphql_api.database.event import Topic
from graphql_api.events.catalogue import StockChanged
from graphql_api.schema.context import Context, Info
from graphql_api.schema.event_cursor import event_cursor
from graphql_api.schema.event_stream import AfterEvent, LoggedFields, MatchingEvents, event_stream
from graphql_api.schema.filters import ALL_OF, ANY_OF, NONE_OF, operator, to_where
from graphql_api.schema.live import Opening
from graphql_api.schema.product import Product, load_product
from graphql_api.schema.scalars import BigInt, Cursor
from graphql_api.schema.stock_event import StockChange, StockChangeWhere, StockFactsWhere
from graphql_api.schema.store import Store, load_store
from graphql_api.services.event_filter import STOCK_CHANGE_FACTS, STOCK_FACTS
from graphql_api.services.filters import Where
from graphql_api.services.stock_state import Level, read_stock_state

# A page is made in one go, during which nobody else is served; 500 are promised at most.
LEVELS_OF_PAGE = 200
Found = TypeVar("Found")


@strawberry.type(description="What a store had of a product at the cursor of the state.")
class StockStateLevel:
    """What a store had of a product."""

    store: Store = strawberry.field(description="Where they are.")
    product: Product = strawberry.field(description="What they are.")
    on_hand: BigInt = strawberry.field(
        description="Bottles in stock at the cursor; `before` of the next change of this level is the same."
    )


@strawberry.type(
    description=(
        "A page of the state that a watch begins with. All pages speak of the same moment; what matches then and is "
        "not on any of them was never in stock, so its first change has `before: 0`."
    )
)
class StockState:
    """A page of the state that a watch begins with."""

    cursor: Cursor = strawberry.field(
        description="The moment of the state. With the last page in hand, `stockChanged(after:)` goes on behind it."
    )
    is_complete: bool = strawberry.field(description="Whether this is the last page; changes follow it.")
    page: strawberry.Private[Sequence[Level]]

    @strawberry.field(description="At most 500 levels, by store and product in a fixed order. Empty when none match.")
    async def levels(self, info: Info) -> list[StockStateLevel]:
        """The levels; stores and products are looked up once for all of them, which is many times faster."""
        stores = await _by_key(load_store, info, {level.store_id for level in self.page})
        products = await _by_key(load_product, info, {level.product_id for level in self.page})
        return [
            StockStateLevel(
                store=stores[level.store_id], product=products[level.product_id], on_hand=BigInt(level.on_hand)
            )
            for level in self.page
        ]


async def _by_key(load: Callable[[Info, int], Awaitable[Found]], info: Info, keys: Collection[int]) -> dict[int, Found]:
    """What is found under each key, in one batch."""
    return dict(zip(keys, await asyncio.gather(*(load(info, key) for key in keys)), strict=True))


StockWatchEvent: TypeAlias = Annotated[
    StockState | StockChange,
    strawberry.union("StockWatchEvent", description="A page of the state, or a change that came after all of it."),
]


@strawberry.input(
    description=(
        "Which stock to watch; all given conditions must hold. Every change is judged by its store and product as "
        'they are then. As in {storeNumber: {in: [2633, 4829]}, category: {contains: "vodka"}}.'
    )
)
class StockWatchWhere(StockFactsWhere):
    """Which stock to watch."""

    and_: list["StockWatchWhere"] | None = operator(ALL_OF, name="and")
    or_: list["StockWatchWhere"] | None = operator(ANY_OF, name="or")
    not_: "StockWatchWhere | None" = operator(NONE_OF, name="not")


async def _present(fact: StockChanged, logged: LoggedFields, _context: Context) -> StockChange:
    return StockChange.from_fact(fact, logged)


async def _open(context: Context, where: Where) -> Opening[StockState | StockChange]:
    async with context.database.read() as session:
        state = await read_stock_state(session, where)
    cursor = await event_cursor(context, state.number)
    return Opening(list(_pages(state.levels, cursor)), state.number)


def _pages(levels: Sequence[Level], cursor: Cursor) -> Iterator[StockState]:
    """The state in pages; one that is empty when there are no levels."""
    for start in range(0, max(len(levels), 1), LEVELS_OF_PAGE):
        end = start + LEVELS_OF_PAGE
        yield StockState(cursor=cursor, is_complete=end >= len(levels), page=levels[start:end])


@strawberry.type
class StockSubscription:
    """Root fields that tell of stock."""

    @strawberry.subscription(
        description=(
            "Every change of stock, each once and in order, whatever caused it: sales, voids, receipts, adjustments, "
            "counts, transfers, imports. As in `subscription { stockChanged(where: {storeNumber: {eq: 2633}}) { cursor "
            "before after delta cause product { sku } } }`; later go on with `after` and the last `cursor`."
        )
    )
    async def stock_changed(
        self, info: Info, where: MatchingEvents[StockChangeWhere] = UNSET, after: AfterEvent = UNSET
    ) -> AsyncGenerator[StockChange, None]:
        """Every change of stock."""
        return await event_stream(
            info.context, Topic.STOCK, _present, where=to_where(where), facts=STOCK_CHANGE_FACTS, after=after
        )

    @strawberry.subscription(
        description=(
            "First the state, in pages of at most 500 levels until `isComplete`, then exactly the changes after it: "
            "the state plus every `delta` is what is in stock. At most 20,000 levels; more are refused with "
            "QUERY_TOO_COMPLEX. Where a store moves to another place, or a product to another category, its level "
            "comes into the watch, or leaves it, with the next change; `before` and `after` tell all of it. "
            "Whoever subscribes again gets the state again."
        )
    )
    async def stock_watch(
        self,
        info: Info,
        where: Annotated[
            StockWatchWhere | None, strawberry.argument(description="Only stock that matches this filter.")
        ] = UNSET,
    ) -> AsyncGenerator[StockWatchEvent, None]:
        """The state of stock, then its changes."""
        wanted = to_where(where)
        return await event_stream(
            info.context,
            Topic.STOCK,
            _present,
            where=wanted,
            facts=STOCK_FACTS,
            opening=lambda context: _open(context, wanted),
        )
