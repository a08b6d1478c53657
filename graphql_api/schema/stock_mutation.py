"""Changing stock by hand: adjust, count, transfer."""

import datetime as dt
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Annotated

import strawberry

from graphql_api.schema.context import Info
from graphql_api.schema.errors import UserError
from graphql_api.schema.mutation import attempt
from graphql_api.schema.node import key_of
from graphql_api.schema.stock import StockLevel
from graphql_api.schema.stock_movement import StockMovement
from graphql_api.services.errors import BadInput
from graphql_api.services.stock_adjustment import AdjustWish, adjust_stock
from graphql_api.services.stock_change import Moved
from graphql_api.services.stock_count import CountLine, CountWish, count_stock
from graphql_api.services.stock_transfer import TransferLine, TransferWish, transfer_stock
from graphql_api.services.unit_of_work import UnitOfWork

STORE = "The id of the store."
PRODUCT = "The id of the product."
WORDS = "Why, in your words: at most 500 characters."
COST = (
    "What one bottle had cost, with at most two digits after the point. Left out, it is the cost of the store's newest "
    "lot of the product, or the product's `unitCost`; when neither is known it is needed."
)


@strawberry.input(description="Bottles that are more or fewer than the books say.")
class AdjustStockInput:
    """Bottles that are more or fewer than the books say."""

    store_id: strawberry.ID = strawberry.field(description=STORE)
    product_id: strawberry.ID = strawberry.field(description=PRODUCT)
    quantity: int = strawberry.field(
        description="Bottles, not 0: 2 adds two, -2 takes two away, out of the lots that expire first. "
        "At most 10,000,000 either way."
    )
    reason: str = strawberry.field(description='Why, in your words, such as "broken": 1 to 500 characters.')
    unit_cost: Decimal | None = strawberry.field(default=None, description="Of bottles that are added. " + COST)
    expires_on: dt.date | None = strawberry.field(
        default=None, description="Of bottles that are added: the last day on which they can be sold."
    )


@strawberry.input(description="What was counted of one product.")
class CountLineInput:
    """What was counted of one product."""

    product_id: strawberry.ID = strawberry.field(description=PRODUCT)
    counted: int = strawberry.field(description="Bottles that are there: 0 to 10,000,000.")
    expected: int = strawberry.field(
        description="The `onHand` you have read when you counted, 0 for a product the store never had. When it is "
        "another by now, nothing is changed and the answer is CONFLICT."
    )
    unit_cost: Decimal | None = strawberry.field(default=None, description="Of bottles that the books lack. " + COST)


@strawberry.input(description="What was counted in a store.")
class CountStockInput:
    """What was counted in a store."""

    store_id: strawberry.ID = strawberry.field(description=STORE)
    lines: list[CountLineInput] = strawberry.field(description="1 to 500 lines, each product once.")
    reason: str | None = strawberry.field(default=None, description=WORDS)


@strawberry.input(description="Bottles of one product that go to another store.")
class TransferLineInput:
    """Bottles of one product that go to another store."""

    product_id: strawberry.ID = strawberry.field(description=PRODUCT)
    quantity: int = strawberry.field(description="Bottles: 1 to 10,000,000.")


@strawberry.input(description="What goes from one store to another.")
class TransferStockInput:
    """What goes from one store to another."""

    from_store_id: strawberry.ID = strawberry.field(description="The id of the store that has them.")
    to_store_id: strawberry.ID = strawberry.field(description="The id of the store that gets them.")
    lines: list[TransferLineInput] = strawberry.field(
        description="1 to 500 lines; lines of the same product are added up."
    )
    reason: str | None = strawberry.field(default=None, description=WORDS)


@strawberry.type(description="What came of it: stock as it is now, or why not.")
class StockPayload:
    """What came of it."""

    levels: list[StockLevel] = strawberry.field(
        default_factory=list, description="The stock of every store and product of the input, as it is now."
    )
    movements: list[StockMovement] = strawberry.field(
        default_factory=list, description="What was written into the ledger; empty when a count found no difference."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it could not be done, every reason at once; empty when it was."
    )


Change = Callable[[UnitOfWork], Awaitable[Moved]]


async def _change(info: Info, change: Change) -> StockPayload:
    """Move stock in one transaction."""

    async def run(work: UnitOfWork) -> StockPayload:
        moved = await change(work)
        return StockPayload(
            levels=[StockLevel.from_row(row) for row in moved.levels],
            movements=[StockMovement.from_row(row) for row in moved.movements],
        )

    return await attempt(info, lambda errors: StockPayload(user_errors=errors), run)


def _product(given: CountLineInput | TransferLineInput, position: int) -> int:
    try:
        return key_of(given.product_id, "Product", "productId")
    except BadInput as error:
        raise error.below("lines", str(position)) from None


def _count_wish(given: CountStockInput) -> CountWish:
    lines = [
        CountLine(_product(line, position), line.counted, line.expected, line.unit_cost)
        for position, line in enumerate(given.lines)
    ]
    return CountWish(key_of(given.store_id, "Store", "storeId"), lines, given.reason)


def _transfer_wish(given: TransferStockInput) -> TransferWish:
    lines = [TransferLine(_product(line, position), line.quantity) for position, line in enumerate(given.lines)]
    source = key_of(given.from_store_id, "Store", "fromStoreId")
    return TransferWish(source, key_of(given.to_store_id, "Store", "toStoreId"), lines, given.reason)


def _adjust_wish(given: AdjustStockInput) -> AdjustWish:
    return AdjustWish(
        key_of(given.store_id, "Store", "storeId"),
        key_of(given.product_id, "Product", "productId"),
        given.quantity,
        given.reason,
        given.unit_cost,
        given.expires_on,
    )


Adjustment = Annotated[AdjustStockInput, strawberry.argument(description="What is more or fewer, and why.")]
Count = Annotated[CountStockInput, strawberry.argument(description="What was counted.")]
Transfer = Annotated[TransferStockInput, strawberry.argument(description="What goes where.")]


@strawberry.type
class StockMutation:
    """Mutations of stock."""

    @strawberry.mutation(description="Bring the books of one product in one store to what is there.")
    async def adjust_stock(self, info: Info, input: Adjustment) -> StockPayload:  # noqa: A002 - the GraphQL name
        """Bring the books to what is there."""
        return await _change(info, lambda work: adjust_stock(work, _adjust_wish(input)))

    @strawberry.mutation(
        description=(
            "Post what a count has found: all lines or none. A line whose stock has moved since it was counted is a "
            "CONFLICT, so that no sale is lost. Bottles that are missing go out of the lots that expire first."
        )
    )
    async def count_stock(self, info: Info, input: Count) -> StockPayload:  # noqa: A002 - as above
        """Post what a count has found."""
        return await _change(info, lambda work: count_stock(work, _count_wish(input)))

    @strawberry.mutation(
        description=(
            "Move bottles from one store to another: all lines or none. They keep their cost, age and day of expiry."
        )
    )
    async def transfer_stock(self, info: Info, input: Transfer) -> StockPayload:  # noqa: A002 - as above
        """Move bottles to another store."""
        return await _change(info, lambda work: transfer_stock(work, _transfer_wish(input)))
