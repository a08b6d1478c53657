"""Changes of products as clients listen to them."""

from collections.abc import AsyncGenerator

import strawberry
from strawberry import UNSET

from graphql_api.database.event import Topic
from graphql_api.events.catalogue import ProductChange, ProductChanged
from graphql_api.schema.context import Context, Info
from graphql_api.schema.enums import describe
from graphql_api.schema.event_stream import (
    AS_IT_IS_NOW,
    AfterEvent,
    ChangeFilter,
    LoggedEvent,
    LoggedFields,
    MatchingEvents,
    event_stream,
)
from graphql_api.schema.filters import ALL_OF, ANY_OF, NONE_OF, IdFilter, StringFilter, id_filter, operator, to_where
from graphql_api.schema.node import global_id
from graphql_api.schema.product import Product
from graphql_api.services.event_filter import PRODUCT_FACTS

describe(
    ProductChange,
    "What has become of a product.",
    {
        "CREATED": "It is new, by hand or with an import.",
        "UPDATED": "Something about it was changed, its picture included.",
        "ARCHIVED": "It is not sold any more.",
        "RESTORED": "It was archived and is sold again.",
        "DELETED": "It is gone, because the import that brought it was taken back.",
    },
)


@strawberry.type(description="A product was made or changed.")
class ProductEvent(LoggedEvent):
    """A product was made or changed."""

    change: ProductChange = strawberry.field(description="What has become of it.")
    product_id: strawberry.ID = strawberry.field(description="Its id.")
    sku: str = strawberry.field(description="Its stock keeping unit after the change.")
    version: int = strawberry.field(description="Its version after the change.")
    key: strawberry.Private[int]

    @strawberry.field(description=AS_IT_IS_NOW)
    async def product(self, info: Info) -> Product | None:
        """All of it, as it is now."""
        row = await info.context.loaders.products.load(self.key)
        return Product.from_row(row) if row else None


@strawberry.input(description="Conditions on what has become of a product.")
class ProductChangeFilter(ChangeFilter[ProductChange]):
    """Conditions on what has become of a product."""


@strawberry.input(description="Which changes of products; all given conditions must hold.")
class ProductEventWhere:
    """Which changes of products."""

    id: IdFilter | None = id_filter("Product", "The id of the product.")
    sku: StringFilter | None = operator("The stock keeping unit; `eq` and `in` look at upper and lower case.")
    change: ProductChangeFilter | None = operator("What has become of it.")
    and_: list["ProductEventWhere"] | None = operator(ALL_OF, name="and")
    or_: list["ProductEventWhere"] | None = operator(ANY_OF, name="or")
    not_: "ProductEventWhere | None" = operator(NONE_OF, name="not")


async def _present(fact: ProductChanged, logged: LoggedFields, _context: Context) -> ProductEvent:
    return ProductEvent(
        **logged,
        change=fact.change,
        product_id=global_id("Product", fact.product),
        sku=fact.sku,
        version=fact.version,
        key=fact.product,
    )


@strawberry.type
class ProductSubscription:
    """Root field that tells of products."""

    @strawberry.subscription(
        description=(
            "Every product that is made, changed, archived, restored or deleted, by hand or by an import, each change "
            "once and in order. As in `subscription { productChanged(where: {change: {in: [CREATED, ARCHIVED]}}) "
            "{ cursor change product { sku name } } }`."
        )
    )
    async def product_changed(
        self, info: Info, where: MatchingEvents[ProductEventWhere] = UNSET, after: AfterEvent = UNSET
    ) -> AsyncGenerator[ProductEvent, None]:
        """Every change of a product."""
        return await event_stream(
            info.context, Topic.PRODUCT, _present, where=to_where(where), facts=PRODUCT_FACTS, after=after
        )
