"""Changes of stock as clients hear of them, and what they are chosen by."""

from typing import Annotated, TypeAlias, TypeVar

import strawberry
from strawberry.dataloader import DataLoader

from graphql_api.database.stock import MovementCause
from graphql_api.events.catalogue import StockChanged, StockFacts
from graphql_api.schema.context import Context, Info
from graphql_api.schema.event_stream import LoggedEvent, LoggedFields
from graphql_api.schema.filters import (
    ALL_OF,
    ANY_OF,
    NONE_OF,
    IdFilter,
    IntFilter,
    StringFilter,
    id_filter,
    operator,
)
from graphql_api.schema.import_job import Import
from graphql_api.schema.invoice import Invoice
from graphql_api.schema.product import Product, load_product
from graphql_api.schema.purchase import Purchase
from graphql_api.schema.scalars import BigInt
from graphql_api.schema.stock_movement import MovementCauseFilter, StockMovement
from graphql_api.schema.store import Store, load_store
from graphql_api.schema.user import User, load_user
from graphql_api.services.policy import Action

Row = TypeVar("Row")
StockDocument: TypeAlias = Annotated[
    Invoice | Purchase | Import,
    strawberry.union("StockDocument", description="What bottles came or went with."),
]


@strawberry.type(description="Where a store was when something happened; it may have moved since.")
class EventPlace:
    """Where a store was when something happened."""

    city: str | None = strawberry.field(description="Its city in upper case; null when unknown.")
    zip: str | None = strawberry.field(description="Its zip; null when unknown.")
    county: str | None = strawberry.field(description="The name of its county in upper case; null when unknown.")
    county_number: int | None = strawberry.field(description="The official number of the county; null when unknown.")

    @classmethod
    def from_facts(cls, facts: StockFacts) -> "EventPlace":
        """The place as the event has it."""
        return cls(city=facts.city, zip=facts.zip_code, county=facts.county, county_number=facts.county_number)


@strawberry.type(description="Bottles came or went: one entry of the ledger of stock.")
class StockChange(LoggedEvent):
    """Bottles came or went."""

    place: EventPlace = strawberry.field(description="Where the store was at that moment.")
    before: BigInt = strawberry.field(description="Bottles that the store had of the product before.")
    after: BigInt = strawberry.field(description="Bottles it had then: `before` plus `delta`.")
    delta: BigInt = strawberry.field(description="Bottles; negative when they went.")
    cause: MovementCause = strawberry.field(description="Why they came or went.")
    reason: str | None = strawberry.field(description="Why, in the words of whoever did it.")
    fact: strawberry.Private[StockChanged]

    @classmethod
    def from_fact(cls, fact: StockChanged, logged: LoggedFields) -> "StockChange":
        """The change as clients see it."""
        return cls(
            **logged,
            place=EventPlace.from_facts(fact),
            before=BigInt(fact.before),
            after=BigInt(fact.after),
            delta=BigInt(fact.delta),
            cause=fact.cause,
            reason=fact.reason,
            fact=fact,
        )

    @strawberry.field(description="Where they came or went, at its present place.")
    async def store(self, info: Info) -> Store:
        """Where they came or went."""
        return await load_store(info, self.fact.store)

    @strawberry.field(description="What came or went, as it is now.")
    async def product(self, info: Info) -> Product:
        """What came or went."""
        return await load_product(info, self.fact.product)

    @strawberry.field(description="The entry of the ledger, with its costs and lots.")
    async def movement(self, info: Info) -> StockMovement | None:
        """The entry of the ledger."""
        row = await info.context.loaders.stock_movements.load(self.fact.movement)
        return StockMovement.from_row(row) if row else None

    @strawberry.field(
        description=(
            "What caused it: the invoice or credit note, the purchase, or else the import. Null when none did, when it "
            "was deleted since, and when you may not see it."
        )
    )
    async def document(self, info: Info) -> StockDocument | None:
        """What caused it."""
        return await _document(self.fact, info.context)

    @strawberry.field(
        description="Who did it; null for imports and the program itself. Only for those who may see accounts."
    )
    async def actor(self, info: Info) -> User | None:
        """Who did it."""
        return await load_user(info, self.fact.actor)


async def _document(fact: StockChanged, context: Context) -> Invoice | Purchase | Import | None:
    loaders = context.loaders
    actions = context.viewer.actions if context.viewer else frozenset()
    if invoice := await _found(loaders.invoices, fact.invoice):
        return Invoice.from_row(invoice)
    if Action.READ_PURCHASES in actions and (purchase := await _found(loaders.purchases, fact.purchase)):
        return Purchase.from_row(purchase)
    if Action.READ_IMPORTS in actions and (job := await _found(loaders.imports, fact.import_)):
        return Import.from_row(job)
    return None


async def _found(loader: DataLoader[int, Row | None], key: int | None) -> Row | None:
    return None if key is None else await loader.load(key)


@strawberry.input(description="Which stock, by what it and its store are at the moment of the change.")
class StockFactsWhere:
    """Which stock; the base of filters of events about stock."""

    product: IdFilter | None = id_filter("Product", "The id of the product.")
    sku: StringFilter | None = operator("The stock keeping unit; `eq` and `in` look at upper and lower case.")
    category: StringFilter | None = operator("The name of the product's category.")
    category_number: IntFilter | None = operator("The number of the product's category.")
    store: IdFilter | None = id_filter("Store", "The id of the store.")
    store_number: IntFilter | None = operator("The number of the store.")
    city: StringFilter | None = operator("The city of the store, in any case.")
    zip: StringFilter | None = operator("The zip of the store.")
    county: StringFilter | None = operator("The name of the county of the store, in any case.")
    county_number: IntFilter | None = operator("The official number of the county of the store.")


@strawberry.input(
    description=(
        "Which changes of stock; all given conditions must hold, for store and product as they were at the change. "
        'As in {county: {eq: "Polk"}, delta: {lt: 0}, not: {cause: {eq: TRANSFER_OUT}}}.'
    )
)
class StockChangeWhere(StockFactsWhere):
    """Which changes of stock."""

    cause: MovementCauseFilter | None = operator("Why bottles came or went.")
    delta: IntFilter | None = operator("Bottles; negative when they went.")
    and_: list["StockChangeWhere"] | None = operator(ALL_OF, name="and")
    or_: list["StockChangeWhere"] | None = operator(ANY_OF, name="or")
    not_: "StockChangeWhere | None" = operator(NONE_OF, name="not")
