"""Low stock: what has fallen to its threshold."""

import datetime as dt
from enum import Enum
from typing import Annotated

import strawberry

from graphql_api.database.low_stock import LowStockEpisodeRow
from graphql_api.schema.audit import InstantFilter
from graphql_api.schema.context import Info
from graphql_api.schema.enums import Direction
from graphql_api.schema.errors import UserError
from graphql_api.schema.filters import ALL_OF, ANY_OF, NONE_OF, BooleanFilter, IdFilter, id_filter, operator
from graphql_api.schema.mutation import attempt
from graphql_api.schema.node import Node, global_id, keys_of
from graphql_api.schema.paging import Connection, list_field
from graphql_api.schema.product import Product, ProductWhere, load_product
from graphql_api.schema.scalars import BigInt
from graphql_api.schema.store import Store, StoreWhere, load_store
from graphql_api.schema.ticket import ticket_url
from graphql_api.schema.user import User, load_user
from graphql_api.services.low_stock_list import LOW_STOCK, acknowledge
from graphql_api.services.low_stock_report import DEFAULT_DAYS, checked_days
from graphql_api.services.policy import signed_in
from graphql_api.services.unit_of_work import UnitOfWork

TEXT_PATH = "/reports/low-stock.txt"
CSV_PATH = "/reports/low-stock.csv"


@strawberry.type(
    description=(
        "One time that a store had little left of a product: from the fall to the threshold until the rise above it. "
        "The next fall is another one, with another notification."
    )
)
class LowStock(Node):
    """One time that a store had little left of a product."""

    threshold: BigInt = strawberry.field(description="Bottles from which on it counted as low when it began.")
    on_hand_at_start: BigInt = strawberry.field(description="Bottles that were left when it began.")
    opened_at: dt.datetime = strawberry.field(description="When it began.")
    acknowledged_at: dt.datetime | None = strawberry.field(
        description="When somebody first said that they look after it; null until then."
    )
    resolved_at: dt.datetime | None = strawberry.field(
        description="When it was over: stock rose, the threshold changed or the product was archived. Null: it is low."
    )
    is_open: bool = strawberry.field(description="Whether it is still low.")
    store_id: strawberry.Private[int]
    product_id: strawberry.Private[int]
    acknowledged_by_id: strawberry.Private[int | None]

    @classmethod
    def from_row(cls, row: LowStockEpisodeRow) -> "LowStock":
        """The episode as clients see it."""
        return cls(
            id=global_id("LowStock", row.id),
            threshold=BigInt(row.threshold),
            on_hand_at_start=BigInt(row.on_hand),
            opened_at=row.opened_at,
            acknowledged_at=row.acknowledged_at,
            resolved_at=row.resolved_at,
            is_open=row.resolved_at is None,
            store_id=row.store_id,
            product_id=row.product_id,
            acknowledged_by_id=row.acknowledged_by,
        )

    @strawberry.field(description="Where it was low.")
    async def store(self, info: Info) -> Store:
        """Where it was low."""
        return await load_store(info, self.store_id)

    @strawberry.field(description="What was low.")
    async def product(self, info: Info) -> Product:
        """What was low."""
        return await load_product(info, self.product_id)

    @strawberry.field(description="Bottles that the store has now.")
    async def on_hand(self, info: Info) -> BigInt:
        """Bottles that the store has now."""
        return BigInt(await info.context.loaders.on_hand.load((self.store_id, self.product_id)))

    @strawberry.field(
        description="Who first said that they look after it; null until then. Only for those who may see accounts."
    )
    async def acknowledged_by(self, info: Info) -> User | None:
        """Who looks after it."""
        return await load_user(info, self.acknowledged_by_id)


@strawberry.input(description="Which times of low stock; all given conditions must hold.")
class LowStockWhere:
    """Which times of low stock."""

    id: IdFilter | None = id_filter("LowStock", "The id.")
    store: StoreWhere | None = operator("The store and its present place: number, name, city, zip, county, distance.")
    product: ProductWhere | None = operator("The product, its category and its vendor.")
    is_open: BooleanFilter | None = operator("true: only what is low now; false: only what is over.")
    is_acknowledged: BooleanFilter | None = operator("Whether somebody looks after it.")
    opened_at: InstantFilter | None = operator("When it began.")
    and_: list["LowStockWhere"] | None = operator(ALL_OF, name="and")
    or_: list["LowStockWhere"] | None = operator(ANY_OF, name="or")
    not_: "LowStockWhere | None" = operator(NONE_OF, name="not")


@strawberry.enum(description="What times of low stock can be sorted by.")
class LowStockOrderField(Enum):
    """What times of low stock can be sorted by."""

    OPENED_AT = strawberry.enum_value("OPENED_AT", description="When it began.")


@strawberry.input(description="One key of the order of times of low stock.")
class LowStockOrder:
    """One key of the order of times of low stock."""

    by: LowStockOrderField = strawberry.field(description="What to sort by.")
    direction: Direction = strawberry.field(default=Direction.ASC, description="Which end comes first.")


@strawberry.type(
    description=(
        "The report of all that is low now, by store, with suggested vendors, and of lots that have expired or soon "
        "will. The links are yours alone and open without a header for 10 minutes."
    )
)
class LowStockReport:
    """Where the report of low stock is."""

    text_url: str = strawberry.field(description="Plain text for people, in columns.")
    csv_url: str = strawberry.field(description="CSV in UTF-8 for spreadsheets and programs.")


@strawberry.input(description="What is looked after.")
class AcknowledgeLowStockInput:
    """What is looked after."""

    ids: list[strawberry.ID] = strawberry.field(
        description="Ids of 1 to 100 times of low stock. When one does not exist, none is acknowledged."
    )


@strawberry.type(description="What came of it: what is looked after now, or why not.")
class AcknowledgeLowStockPayload:
    """What came of it."""

    low_stock: list[LowStock] = strawberry.field(
        default_factory=list, description="The times of low stock in the order of the ids, as they are now."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it could not be done; empty when it was."
    )


AcknowledgeArgument = Annotated[AcknowledgeLowStockInput, strawberry.argument(description="Which ones.")]


@strawberry.type
class LowStockQuery:
    """Root fields of low stock."""

    low_stock: Connection[LowStock] = list_field(
        LOW_STOCK,
        LowStock.from_row,
        where=LowStockWhere,
        order=LowStockOrder,
        what="times of low stock",
        searched="names of products and stores, and for the SKU",
        description=(
            "Times of low stock, those that are over included unless `where: {isOpen: {eq: true}}` leaves them out; "
            "the newest first unless `orderBy` says otherwise."
        ),
    )

    @strawberry.field(description="Where to get the report of all that is low now, and of what expires.")
    def low_stock_report(
        self,
        info: Info,
        within_days: Annotated[
            int, strawberry.argument(description="How many days ahead lots that expire are named, 0 to 3,650.")
        ] = DEFAULT_DAYS,
    ) -> LowStockReport:
        """Where to get the report."""
        days = checked_days(within_days)
        text, csv = (f"{ticket_url(info, path)}&withinDays={days}" for path in (TEXT_PATH, CSV_PATH))
        return LowStockReport(text_url=text, csv_url=csv)


@strawberry.type
class LowStockMutation:
    """Mutation of low stock."""

    @strawberry.mutation(
        description="Say that you look after products that are low. Who did so first stays named; nothing is ordered."
    )
    async def acknowledge_low_stock(
        self,
        info: Info,
        input: AcknowledgeArgument,  # noqa: A002 - the GraphQL name
    ) -> AcknowledgeLowStockPayload:
        """Say that somebody looks after products that are low."""

        async def run(work: UnitOfWork) -> AcknowledgeLowStockPayload:
            keys = keys_of(input.ids, "LowStock")
            rows = await acknowledge(work, keys, signed_in(info.context.viewer))
            return AcknowledgeLowStockPayload(low_stock=[LowStock.from_row(row) for row in rows])

        return await attempt(info, lambda errors: AcknowledgeLowStockPayload(user_errors=errors), run)
