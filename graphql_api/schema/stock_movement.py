"""The ledger of stock as clients read it."""

import datetime as dt
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any

import strawberry
from strawberry.types.lazy_type import LazyType

from graphql_api.database.stock import MovementCause, StockLotRow, StockMovementRow
from graphql_api.schema.audit import InstantFilter
from graphql_api.schema.context import Info
from graphql_api.schema.enums import Direction, describe
from graphql_api.schema.filters import (
    ALL_OF,
    ANY_OF,
    EQUAL,
    NODE,
    NONE_OF,
    ONE_OF,
    IdFilter,
    IntFilter,
    id_filter,
    operator,
)
from graphql_api.schema.node import Node, global_id
from graphql_api.schema.paging import Connection, list_field
from graphql_api.schema.product import Product, ProductWhere, load_product
from graphql_api.schema.scalars import BigInt, cents_to_decimal
from graphql_api.schema.stock import StockLot
from graphql_api.schema.store import Store, StoreWhere, load_store
from graphql_api.schema.user import User, load_user
from graphql_api.services import stock_movement

# Documents speak of stock as stock speaks of documents.
INVOICE: LazyType[Any, Any] = LazyType("Invoice", "graphql_api.schema.invoice")
PURCHASE: LazyType[Any, Any] = LazyType("Purchase", "graphql_api.schema.purchase")

describe(
    MovementCause,
    "Why bottles came or went.",
    {
        "RECEIPT": "A purchase was received.",
        "RECEIPT_VOID": "A received purchase was taken back.",
        "SALE": "An invoice was issued, or a line of it raised.",
        "SALE_LOWERED": "A line of an issued invoice was lowered or removed.",
        "SALE_VOID": "An invoice was voided.",
        "CREDIT": "A credit note took the bottles back.",
        "ADJUSTMENT": "Somebody brought the books to what is there.",
        "COUNT": "A count found more or fewer.",
        "TRANSFER_OUT": "They went to another store.",
        "TRANSFER_IN": "They came from another store.",
        "IMPORT_REVERT": "An import was taken back.",
    },
)


@strawberry.type(description="Bottles of one lot that a movement took or brought.")
class LotUse:
    """Bottles of one lot that a movement took or brought."""

    lot: StockLot = strawberry.field(description="The lot, as it is now.")
    quantity: BigInt = strawberry.field(description="Bottles; negative when they went.")
    cost: Decimal = strawberry.field(description="What they had cost; negative when they went.")

    @classmethod
    def from_row(cls, quantity: int, row: StockLotRow) -> "LotUse":
        """The use as clients see it."""
        return cls(
            lot=StockLot.from_row(row), quantity=BigInt(quantity), cost=cents_to_decimal(quantity * row.unit_cost)
        )


@strawberry.type(description="One entry of the ledger of stock. Entries are only ever added, never changed.")
class StockMovement(Node):
    """One entry of the ledger of stock."""

    quantity: BigInt = strawberry.field(description="Bottles; negative when they went.")
    cost: Decimal = strawberry.field(description="What they had cost, lot by lot; negative when they went.")
    cause: MovementCause = strawberry.field(description="Why they came or went.")
    reason: str | None = strawberry.field(description="Why, in the words of whoever did it.")
    at: dt.datetime = strawberry.field(description="When.")
    line_number: int | None = strawberry.field(description="The line of `invoice` that it belongs to.")
    key: strawberry.Private[int]
    store_id: strawberry.Private[int]
    product_id: strawberry.Private[int]
    actor_id: strawberry.Private[int | None]
    invoice_id: strawberry.Private[int | None]
    purchase_line_id: strawberry.Private[int | None]

    @classmethod
    def from_row(cls, row: StockMovementRow) -> "StockMovement":
        """The movement as clients see it."""
        return cls(
            id=global_id("StockMovement", row.id),
            quantity=BigInt(row.quantity),
            cost=cents_to_decimal(row.cost),
            cause=row.cause,
            reason=row.reason,
            at=row.at,
            line_number=row.line_number,
            key=row.id,
            store_id=row.store_id,
            product_id=row.product_id,
            actor_id=row.actor_id,
            invoice_id=row.invoice_id,
            purchase_line_id=row.purchase_line_id,
        )

    @strawberry.field(description="Where it was.")
    async def store(self, info: Info) -> Store:
        """Where it was."""
        return await load_store(info, self.store_id)

    @strawberry.field(description="What it was.")
    async def product(self, info: Info) -> Product:
        """What it was."""
        return await load_product(info, self.product_id)

    @strawberry.field(
        description="Who did it; null for imports and the program itself. Only for those who may see accounts."
    )
    async def actor(self, info: Info) -> User | None:
        """Who did it."""
        return await load_user(info, self.actor_id)

    @strawberry.field(description="The invoice or credit note that moved it; null when none did.")
    async def invoice(self, info: Info) -> Annotated["Invoice", strawberry.lazy("graphql_api.schema.invoice")] | None:  # type: ignore[name-defined]  # noqa: F821 - Strawberry finds the name
        """The invoice that moved it."""
        row = None if self.invoice_id is None else await info.context.loaders.invoices.load(self.invoice_id)
        return INVOICE.resolve_type().from_row(row) if row else None

    @strawberry.field(
        description="The purchase that it received, or took back; null when it was none. Only for those who may see "
        "purchases."
    )
    async def purchase(
        self, info: Info
    ) -> Annotated["Purchase", strawberry.lazy("graphql_api.schema.purchase")] | None:  # type: ignore[name-defined]  # noqa: F821 - Strawberry finds the name
        """The purchase that it received."""
        if self.purchase_line_id is None:
            return None
        loaders = info.context.loaders
        key = await loaders.purchases_of_lines.load(self.purchase_line_id)
        row = None if key is None else await loaders.purchases.load(key)
        return PURCHASE.resolve_type().from_row(row) if row else None

    @strawberry.field(description="The lots it took bottles from or brought bottles to, in the order of use.")
    async def lots(self, info: Info) -> list[LotUse]:
        """The lots it used."""
        uses = await info.context.loaders.lot_uses.load(self.key)
        return [LotUse.from_row(quantity, row) for quantity, row in uses]


@strawberry.input(description="Conditions on why bottles moved.")
class MovementCauseFilter:
    """Conditions on why bottles moved."""

    eq: MovementCause | None = operator(EQUAL)
    in_: list[MovementCause] | None = operator(ONE_OF, name="in")


@strawberry.input(description="Which movements; all given conditions must hold.")
class StockMovementWhere:
    """Which movements."""

    id: IdFilter | None = id_filter("StockMovement", "The id.")
    store: StoreWhere | None = operator("The store, at its present place.")
    product: ProductWhere | None = operator("The product.")
    cause: MovementCauseFilter | None = operator("Why they came or went.")
    quantity: IntFilter | None = operator("Bottles; negative when they went.")
    at: InstantFilter | None = operator("When.")
    invoice: IdFilter | None = id_filter("Invoice", "The invoice or credit note that moved them.")
    purchase: IdFilter | None = id_filter("Purchase", "The purchase that brought them.")
    import_: IdFilter | None = strawberry.field(
        default=strawberry.UNSET,
        name="import",
        description="The import that moved them.",
        metadata={NODE: "Import"},
    )
    lot: IdFilter | None = id_filter("StockLot", "A lot that they took from or brought to.")
    actor: IdFilter | None = id_filter("User", "Who did it: yourself, or anybody if you may see accounts.")
    and_: list["StockMovementWhere"] | None = operator(ALL_OF, name="and")
    or_: list["StockMovementWhere"] | None = operator(ANY_OF, name="or")
    not_: "StockMovementWhere | None" = operator(NONE_OF, name="not")


@strawberry.enum(description="What movements can be sorted by.")
class StockMovementOrderField(Enum):
    """What movements can be sorted by."""

    AT = strawberry.enum_value("AT", description="When it was.")


@strawberry.input(description="One key of the order of movements.")
class StockMovementOrder:
    """One key of the order of movements."""

    by: StockMovementOrderField = strawberry.field(description="What to sort by.")
    direction: Direction = strawberry.field(default=Direction.ASC, description="Which end comes first.")


@strawberry.type
class StockMovementQuery:
    """Root field of the ledger."""

    stock_movements: Connection[StockMovement] = list_field(
        stock_movement.MOVEMENTS,
        StockMovement.from_row,
        where=StockMovementWhere,
        order=StockMovementOrder,
        what="movements",
        searched="names of products, and for the SKU",
        description="Every bottle that came or went, the latest first unless `orderBy` says otherwise.",
    )
