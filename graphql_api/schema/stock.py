"""Stock: what each store has of each product, and in which lots."""

import datetime as dt
from decimal import Decimal
from enum import Enum
from typing import Annotated

import strawberry
from strawberry import UNSET

from graphql_api.database.product import ProductRow
from graphql_api.database.stock import StockLevelRow, StockLotRow
from graphql_api.schema.context import Info
from graphql_api.schema.enums import Direction
from graphql_api.schema.filters import (
    ALL_OF,
    ANY_OF,
    NONE_OF,
    BooleanFilter,
    DateFilter,
    IdFilter,
    IntFilter,
    MoneyFilter,
    StringFilter,
    id_filter,
    operator,
    to_where,
)
from graphql_api.schema.node import Node, global_id
from graphql_api.schema.paging import After, Before, Connection, First, FirstAlone, Last, list_connection, list_field
from graphql_api.schema.paging import page_request as requested_page
from graphql_api.schema.product import Product, ProductWhere, load_product
from graphql_api.schema.scalars import BigInt, cents_to_decimal
from graphql_api.schema.settings import load_settings
from graphql_api.schema.store import Store, StoreWhere, load_store
from graphql_api.services import stock, stock_lot
from graphql_api.services.listing import ListQuery


@strawberry.type(
    description="Bottles of a product that came to a store at the same time at the same cost. Lots are used in order: "
    "what expires first, then what came first."
)
class StockLot(Node):
    """Bottles that came at the same time at the same cost."""

    received_on: dt.date = strawberry.field(
        description="The day they came to the company; a transfer to another store keeps it."
    )
    expires_on: dt.date | None = strawberry.field(
        description="The last day on which they can be sold; null when they keep."
    )
    received: BigInt = strawberry.field(description="Bottles that came.")
    remaining: BigInt = strawberry.field(description="Bottles that are left.")
    unit_cost: Decimal = strawberry.field(description="What one bottle had cost.")
    value: Decimal = strawberry.field(description="What the bottles that are left had cost.")
    days_left: int | None = strawberry.field(
        description="Days from today (UTC) until `expiresOn`: 0 on the last day, negative once they have expired."
    )
    is_expired: bool = strawberry.field(description="Whether `expiresOn` is past.")
    store_id: strawberry.Private[int]
    product_id: strawberry.Private[int]

    @classmethod
    def from_row(cls, row: StockLotRow) -> "StockLot":
        """The lot as clients see it."""
        days_left = None if row.expires_on is None else (row.expires_on - stock_lot.today()).days
        return cls(
            id=global_id("StockLot", row.id),
            received_on=row.received_on,
            expires_on=row.expires_on,
            received=BigInt(row.received),
            remaining=BigInt(row.remaining),
            unit_cost=cents_to_decimal(row.unit_cost),
            value=cents_to_decimal(row.remaining * row.unit_cost),
            days_left=days_left,
            is_expired=days_left is not None and days_left < 0,
            store_id=row.store_id,
            product_id=row.product_id,
        )

    @strawberry.field(description="Where they are.")
    async def store(self, info: Info) -> Store:
        """Where they are."""
        return await load_store(info, self.store_id)

    @strawberry.field(description="What they are.")
    async def product(self, info: Info) -> Product:
        """What they are."""
        return await load_product(info, self.product_id)


@strawberry.type(description="What a store has of a product. It exists once the store has had some.")
class StockLevel(Node):
    """What a store has of a product."""

    on_hand: BigInt = strawberry.field(description="Bottles in stock; never below zero.")
    value: Decimal = strawberry.field(description="What the bottles in stock had cost.")
    version: int = strawberry.field(description="Counts its changes.")
    store_id: strawberry.Private[int]
    product_id: strawberry.Private[int]

    @classmethod
    def from_row(cls, row: StockLevelRow) -> "StockLevel":
        """The level as clients see it."""
        return cls(
            id=global_id("StockLevel", row.id),
            on_hand=BigInt(row.on_hand),
            value=cents_to_decimal(row.value),
            version=row.version,
            store_id=row.store_id,
            product_id=row.product_id,
        )

    @strawberry.field(description="Where it is.")
    async def store(self, info: Info) -> Store:
        """Where it is."""
        return await load_store(info, self.store_id)

    @strawberry.field(description="What it is.")
    async def product(self, info: Info) -> Product:
        """What it is."""
        return await load_product(info, self.product_id)

    @strawberry.field(description="At so many bottles or fewer it is low: the product's threshold, or the company's.")
    async def threshold(self, info: Info) -> int:
        """At so many bottles it is low."""
        own = (await self._product(info)).low_stock_threshold
        return (await load_settings(info)).low_stock_threshold if own is None else own

    @strawberry.field(description="Whether `onHand` is at or below `threshold`. Archived products are never low.")
    async def is_low(self, info: Info) -> bool:
        """Whether it is low."""
        return (await self._product(info)).is_active and self.on_hand <= await self.threshold(info)

    @strawberry.field(description="The lots that have bottles left, in the order in which they are used.")
    async def lots(self, info: Info, first: FirstAlone = UNSET) -> list[StockLot]:
        """The lots that have bottles left."""
        size = requested_page(first, UNSET).size
        wanted = stock_lot.LotsWanted(self.store_id, self.product_id, size)
        return [StockLot.from_row(row) for row in await info.context.loaders.stock_lots_of_level.load(wanted)]

    async def _product(self, info: Info) -> ProductRow:
        row = await info.context.loaders.products.load(self.product_id)
        if row is None:
            raise LookupError(f"product {self.product_id}")
        return row


@strawberry.input(description="Which stock; all given conditions must hold.")
class StockLevelWhere:
    """Which stock."""

    id: IdFilter | None = id_filter("StockLevel", "The id.")
    store: StoreWhere | None = operator("The store, at its present place.")
    product: ProductWhere | None = operator("The product.")
    city: StringFilter | None = operator("The city of the store, in any case.")
    zip: StringFilter | None = operator("The zip of the store.")
    county: StringFilter | None = operator("The name of the county of the store, in any case.")
    county_number: IntFilter | None = operator("The official number of the county of the store.")
    category: StringFilter | None = operator("The name of the product's category.")
    category_number: IntFilter | None = operator("The number of the product's category.")
    vendor: StringFilter | None = operator("The name of the product's vendor.")
    vendor_number: IntFilter | None = operator("The number of the product's vendor.")
    on_hand: IntFilter | None = operator("Bottles in stock.")
    value: MoneyFilter | None = operator("What the bottles in stock had cost.")
    is_low: BooleanFilter | None = operator("Whether `onHand` is at or below `threshold`.")
    and_: list["StockLevelWhere"] | None = operator(ALL_OF, name="and")
    or_: list["StockLevelWhere"] | None = operator(ANY_OF, name="or")
    not_: "StockLevelWhere | None" = operator(NONE_OF, name="not")


@strawberry.enum(description="What stock can be sorted by.")
class StockLevelOrderField(Enum):
    """What stock can be sorted by."""

    PRODUCT = strawberry.enum_value("PRODUCT", description="The name of the product.")
    STORE = strawberry.enum_value("STORE", description="The name of the store.")
    ON_HAND = strawberry.enum_value("ON_HAND", description="Bottles in stock.")
    VALUE = strawberry.enum_value("VALUE", description="What the bottles in stock had cost.")


@strawberry.input(description="One key of the order of stock.")
class StockLevelOrder:
    """One key of the order of stock."""

    by: StockLevelOrderField = strawberry.field(description="What to sort by.")
    direction: Direction = strawberry.field(default=Direction.ASC, description="Which end comes first.")


@strawberry.input(description="Which lots; all given conditions must hold.")
class StockLotWhere:
    """Which lots."""

    id: IdFilter | None = id_filter("StockLot", "The id.")
    store: StoreWhere | None = operator("The store, at its present place.")
    product: ProductWhere | None = operator("The product.")
    purchase: IdFilter | None = id_filter("Purchase", "The purchase that brought them.")
    received_on: DateFilter | None = operator("The day they came.")
    expires_on: DateFilter | None = operator("The last day on which they can be sold.")
    remaining: IntFilter | None = operator("Bottles that are left, as in {gt: 0}.")
    unit_cost: MoneyFilter | None = operator("What one bottle had cost.")
    and_: list["StockLotWhere"] | None = operator(ALL_OF, name="and")
    or_: list["StockLotWhere"] | None = operator(ANY_OF, name="or")
    not_: "StockLotWhere | None" = operator(NONE_OF, name="not")


@strawberry.enum(description="What lots can be sorted by.")
class StockLotOrderField(Enum):
    """What lots can be sorted by."""

    ADDED = strawberry.enum_value("ADDED", description="When they were added to the books.")
    EXPIRES_ON = strawberry.enum_value("EXPIRES_ON", description="The last day on which they can be sold.")
    REMAINING = strawberry.enum_value("REMAINING", description="Bottles that are left.")


@strawberry.input(description="One key of the order of lots.")
class StockLotOrder:
    """One key of the order of lots."""

    by: StockLotOrderField = strawberry.field(description="What to sort by.")
    direction: Direction = strawberry.field(default=Direction.ASC, description="Which end comes first.")


WithinDays = Annotated[
    int, strawberry.argument(description="How many days ahead, 0 to 3,650. 0 finds what has expired or does today.")
]
WhichLots = Annotated[StockLotWhere | None, strawberry.argument(description="Only lots that match this filter.")]


@strawberry.type
class StockQuery:
    """Root fields of stock."""

    stock_levels: Connection[StockLevel] = list_field(
        stock.LEVELS,
        StockLevel.from_row,
        where=StockLevelWhere,
        order=StockLevelOrder,
        what="stock levels",
        searched="names of products, and for the SKU",
        description="What stores have of products, by name of the product unless `orderBy` says otherwise.",
    )
    stock_lots: Connection[StockLot] = list_field(
        stock_lot.LOTS,
        StockLot.from_row,
        where=StockLotWhere,
        order=StockLotOrder,
        what="lots",
        searched="names of products, and for the SKU",
        description="Lots of stock, empty ones too, the newest first unless `orderBy` says otherwise.",
    )

    @strawberry.field(
        description="Lots with bottles left that expire within some days or have expired, the first to expire first. "
        "Each has its quantity (`remaining`), `value` and `daysLeft`."
    )
    async def expiring(  # noqa: PLR0913, PLR0917 - the arguments of the GraphQL field
        self,
        info: Info,
        within_days: WithinDays,
        where: WhichLots = UNSET,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Connection[StockLot]:
        """Lots that expire soon or have expired."""
        page = requested_page(first, after, last, before)
        query = ListQuery(to_where(where), page=page, viewer=info.context.viewer)
        return await list_connection(info.context, stock_lot.expiring_lots(within_days), StockLot.from_row, query)
