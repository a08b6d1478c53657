"""What to order again, and orders made from that."""

import datetime as dt
from decimal import Decimal
from typing import Annotated

import strawberry
from strawberry import UNSET

from graphql_api.database.purchase import PurchaseRow
from graphql_api.schema.context import Info
from graphql_api.schema.editing import edit_field, optional
from graphql_api.schema.enums import describe
from graphql_api.schema.filters import ALL_OF, ANY_OF, NONE_OF, operator, to_where
from graphql_api.schema.node import key_of
from graphql_api.schema.paging import After, Connection, FirstAlone, connect, page_request
from graphql_api.schema.product import Product, ProductWhere, load_product
from graphql_api.schema.purchase_mutation import PurchasePayload
from graphql_api.schema.scalars import BigInt, cents_to_decimal, optional_cents
from graphql_api.schema.store import Store, StoreWhere, load_store
from graphql_api.schema.vendor import Vendor, VendorWhere, load_vendor
from graphql_api.services import reorder
from graphql_api.services.policy import Viewer
from graphql_api.services.reorder import ReorderReason
from graphql_api.services.reorder_level import DEFAULT_COVER, DEFAULT_LOOKBACK, ReorderQuestion
from graphql_api.services.reorder_purchase import ReorderWish, order_suggested
from graphql_api.services.translation import translate
from graphql_api.services.unit_of_work import UnitOfWork

LOOKBACK = "Sales of so many days count, the last of them today in UTC: 1 to 366."
COVER = "What is ordered is to last so many days: 1 to 366."

describe(
    ReorderReason,
    "Why something is to be ordered again.",
    {
        "BELOW_THRESHOLD": "What is here or on order is low: at the threshold, or below it.",
        "COVER_RUNS_OUT": "What is here or on order does not last `coverDays` days at the present velocity.",
    },
)


@strawberry.type(
    description=(
        "A product that a store should order again. The order covers what is sold in `coverDays` days, and leaves one "
        "bottle more than the threshold; it is rounded up to whole packs where the pack is known."
    )
)
class ReorderSuggestion:
    """A product that a store should order again."""

    reason: ReorderReason = strawberry.field(description="Why; what is low already comes before what will run out.")
    velocity: Decimal = strawberry.field(
        description="Bottles a day over the days looked back on, returns taken off, to three digits; never negative."
    )
    on_hand: BigInt = strawberry.field(description="Bottles in the store.")
    expired: BigInt = strawberry.field(description="Those of them that have expired and so cannot be sold.")
    on_order: BigInt = strawberry.field(description="Bottles that are still to come of purchases.")
    days_of_cover: Decimal | None = strawberry.field(
        description="Days that what is in the store and good lasts at this velocity; null when nothing was sold."
    )
    threshold: BigInt = strawberry.field(description="Bottles from which on it counts as low.")
    quantity: BigInt = strawberry.field(description="Bottles to be ordered.")
    pack: int | None = strawberry.field(description="Bottles in a case; null when unknown.")
    unit_cost: Decimal | None = strawberry.field(description="What one bottle costs; null when unknown.")
    cost: Decimal | None = strawberry.field(description="quantity times unitCost; null when unknown.")
    store_id: strawberry.Private[int]
    product_id: strawberry.Private[int]
    vendor_id: strawberry.Private[int | None]
    suggestion: strawberry.Private[reorder.Suggestion]

    @classmethod
    def of(cls, found: reorder.Suggestion) -> "ReorderSuggestion":
        """The suggestion as clients see it."""
        return cls(
            reason=found.reason,
            velocity=found.velocity,
            on_hand=BigInt(found.on_hand),
            expired=BigInt(found.expired),
            on_order=BigInt(found.on_order),
            days_of_cover=found.days_of_cover,
            threshold=BigInt(found.threshold),
            quantity=BigInt(found.suggested),
            pack=found.pack,
            unit_cost=optional_cents(found.unit_cost),
            cost=None if found.unit_cost is None else cents_to_decimal(found.suggested * found.unit_cost),
            store_id=found.store_id,
            product_id=found.product_id,
            vendor_id=found.vendor_id,
            suggestion=found,
        )

    @strawberry.field(description="The reason in a sentence, with its numbers.")
    def explanation(self, info: Info) -> str:
        """The reason in a sentence."""
        return translate(self.suggestion.explanation, info.context.origin.language)

    @strawberry.field(description="The store.")
    async def store(self, info: Info) -> Store:
        """The store."""
        return await load_store(info, self.store_id)

    @strawberry.field(description="The product.")
    async def product(self, info: Info) -> Product:
        """The product."""
        return await load_product(info, self.product_id)

    @strawberry.field(description="Who supplies the product; null when unknown.")
    async def vendor(self, info: Info) -> Vendor | None:
        """Who supplies the product."""
        return await load_vendor(info, self.vendor_id)


@strawberry.input(description="Which products of which stores; all given conditions must hold.")
class ReorderWhere:
    """Which products of which stores."""

    store: StoreWhere | None = operator("The store, at its present place: city, county, zip and more.")
    product: ProductWhere | None = operator("The product.")
    vendor: VendorWhere | None = operator("The vendor of the product; products without one never match.")
    and_: list["ReorderWhere"] | None = operator(ALL_OF, name="and")
    or_: list["ReorderWhere"] | None = operator(ANY_OF, name="or")
    not_: "ReorderWhere | None" = operator(NONE_OF, name="not")


@strawberry.input(description="Everything that is suggested now for one store and one vendor, to be ordered.")
class OrderSuggestedInput:
    """Everything that is suggested now for one store and one vendor."""

    store_id: strawberry.ID = strawberry.field(description="The id of the store.")
    vendor_id: strawberry.ID = strawberry.field(description="The id of the vendor; only its products are ordered.")
    lookback_days: int = strawberry.field(default=DEFAULT_LOOKBACK, description=LOOKBACK)
    cover_days: int = strawberry.field(default=DEFAULT_COVER, description=COVER)
    date: dt.date | None = optional("The day it is ordered, from 1900 to a year ahead; today in UTC unless given.")
    note: str | None = optional("A text of at most 2,000 characters.")


@strawberry.type
class ReorderQuery:
    """Root field of what to order again."""

    @strawberry.field(
        description=(
            "What stores should order again, by what sells, what is there and what is on order. What runs out first "
            "comes first; what has not sold comes last. Archived products and stores, and products that a store has "
            "never had, are not suggested."
        )
    )
    async def reorder_suggestions(  # noqa: PLR0913, PLR0917 - the arguments of the GraphQL field
        self,
        info: Info,
        where: Annotated[
            ReorderWhere | None, strawberry.argument(description="Only products of stores that match this filter.")
        ] = UNSET,
        lookback_days: Annotated[int, strawberry.argument(description=LOOKBACK)] = DEFAULT_LOOKBACK,
        cover_days: Annotated[int, strawberry.argument(description=COVER)] = DEFAULT_COVER,
        first: FirstAlone = UNSET,
        after: After = UNSET,
    ) -> Connection[ReorderSuggestion]:
        """What stores should order again."""
        database = info.context.database
        question = ReorderQuestion(to_where(where), lookback_days, cover_days, info.context.viewer)
        async with database.read() as session:
            page = await reorder.reorder_suggestions(session, question, page_request(first, after))

        async def count() -> int:
            async with database.read() as session:
                return await reorder.count_suggestions(session, question)

        return connect(page, ReorderSuggestion.of, count)


async def _order(work: UnitOfWork, wish: OrderSuggestedInput, viewer: Viewer) -> PurchaseRow:
    reorder_wish = ReorderWish(
        key_of(wish.store_id, "Store", "storeId"),
        key_of(wish.vendor_id, "Vendor", "vendorId"),
        wish.lookback_days,
        wish.cover_days,
        wish.date,
        wish.note,
    )
    return await order_suggested(work, reorder_wish, viewer)


@strawberry.type
class ReorderMutation:
    """Mutation of what to order again."""

    order_suggested: PurchasePayload = edit_field(
        PurchasePayload,
        OrderSuggestedInput,
        "Whose suggestions to order.",
        _order,
        "Make a purchase of everything that `reorderSuggestions` has for a store and a vendor at this moment, at the "
        "products' costs: at most 1,000 lines, those that run out first. It can be changed until something has come.",
    )
