"""Purchases and their lines."""

import datetime as dt
from decimal import Decimal
from enum import Enum
from typing import Annotated

import strawberry
from strawberry import UNSET

from graphql_api.database.purchase import PurchaseLineRow, PurchaseRow, PurchaseStatus
from graphql_api.schema.audit import audit_trail_field
from graphql_api.schema.context import Info
from graphql_api.schema.editing import version_field
from graphql_api.schema.enums import Direction, describe
from graphql_api.schema.filters import (
    ALL_OF,
    ANY_OF,
    EQUAL,
    NONE_OF,
    ONE_OF,
    DateFilter,
    IdFilter,
    StringFilter,
    id_filter,
    operator,
)
from graphql_api.schema.import_job import Import
from graphql_api.schema.node import Node, global_id, key_of
from graphql_api.schema.paging import After, Before, Connection, First, Last, connect, list_field, page_request
from graphql_api.schema.product import Product, ProductWhere, load_product
from graphql_api.schema.scalars import BigInt, cents_to_decimal
from graphql_api.schema.stock import StockLot
from graphql_api.schema.store import Store, StoreWhere, load_store
from graphql_api.schema.user import User, load_user
from graphql_api.schema.vendor import Vendor, VendorWhere, load_vendor
from graphql_api.services import purchase
from graphql_api.services.choices import only_one
from graphql_api.services.document_line import LinesWanted

describe(
    PurchaseStatus,
    "How far a purchase has come.",
    {
        "ORDERED": "Something is still to come; some may have come already.",
        "RECEIVED": "Everything has come.",
        "VOID": "Taken back: nothing more will come, and what had come has left the stock again.",
    },
)


@strawberry.type(description="One product of a purchase, ordered at one cost.")
class PurchaseLine:
    """One product of a purchase."""

    line_number: int = strawberry.field(description="Its number on the purchase.")
    quantity: BigInt = strawberry.field(description="Bottles ordered.")
    received: BigInt = strawberry.field(description="Bottles that have come; 0 once the purchase is void.")
    unit_cost: Decimal = strawberry.field(description="What one bottle was ordered at; lots have what it really cost.")
    expires_on: dt.date | None = strawberry.field(
        description="The last day on which the bottles are good, as far as it was known when they were ordered."
    )
    key: strawberry.Private[int]
    purchase_id: strawberry.Private[int]
    product_id: strawberry.Private[int]
    is_void: strawberry.Private[bool]
    cents: strawberry.Private[int]

    @classmethod
    def from_row(cls, row: PurchaseLineRow, *, is_void: bool = False) -> "PurchaseLine":
        """The line as clients see it."""
        return cls(
            line_number=row.line_number,
            quantity=BigInt(row.quantity),
            received=BigInt(row.received),
            unit_cost=cents_to_decimal(row.unit_cost),
            expires_on=row.expires_on,
            key=row.id,
            purchase_id=row.purchase_id,
            product_id=row.product_id,
            is_void=is_void,
            cents=row.quantity * row.unit_cost,
        )

    @strawberry.field(description="Bottles that are still to come; 0 once the purchase is void.")
    def outstanding(self) -> BigInt:
        """Bottles that are still to come."""
        return BigInt(0 if self.is_void else self.quantity - self.received)

    @strawberry.field(description="quantity times unitCost.")
    def cost(self) -> Decimal:
        """What the bottles were ordered at."""
        return cents_to_decimal(self.cents)

    @strawberry.field(description="What the bottles that have come really cost; 0 once the purchase is void.")
    async def received_cost(self, info: Info) -> Decimal:
        """What the bottles that have come really cost."""
        return cents_to_decimal(await info.context.loaders.received_costs.load(self.key))

    @strawberry.field(
        description="The lots that its bottles became, one for each receipt, the first to come first; empty ones too."
    )
    async def lots(self, info: Info) -> list[StockLot]:
        """The lots that its bottles became."""
        return [StockLot.from_row(row) for row in await info.context.loaders.purchase_lots.load(self.key)]

    @strawberry.field(description="The purchase it stands on.")
    async def purchase(self, info: Info) -> Annotated["Purchase", strawberry.lazy("graphql_api.schema.purchase")]:
        """The purchase it stands on."""
        return await load_purchase(info, self.purchase_id)

    @strawberry.field(description="What was ordered.")
    async def product(self, info: Info) -> Product:
        """What was ordered."""
        return await load_product(info, self.product_id)


@strawberry.type(description="The sums over all lines of a purchase.")
class PurchaseTotals:
    """The sums over all lines of a purchase."""

    quantity: BigInt = strawberry.field(description="Bottles ordered.")
    received: BigInt = strawberry.field(description="Bottles that have come.")
    cost: Decimal = strawberry.field(description="What was ordered, at the lines' costs.")
    received_cost: Decimal = strawberry.field(description="What came and was kept, at what it really cost.")
    line_count: int = strawberry.field(description="How many lines there are.")

    @classmethod
    def from_totals(cls, totals: purchase.Totals) -> "PurchaseTotals":
        """The sums as clients see them."""
        return cls(
            quantity=BigInt(totals.quantity),
            received=BigInt(totals.received),
            cost=cents_to_decimal(totals.cost),
            received_cost=cents_to_decimal(totals.received_cost),
            line_count=totals.line_count,
        )


@strawberry.type(description="Whom something was ordered from: a vendor, or somebody with a name alone.")
class Supplier:
    """Whom something was ordered from."""

    name: str = strawberry.field(description="The vendor's name, or the one that was written down.")
    vendor: Vendor | None = strawberry.field(description="The vendor; null when only a name was written down.")


@strawberry.type(description="An order of one store with one supplier, and what has come of it.")
class Purchase(Node):
    """An order of one store with one supplier."""

    number: str = strawberry.field(
        description='Its number, unique and without holes in the series of its store, such as "2633-P000017".'
    )
    date: dt.date = strawberry.field(description="The day it was ordered.")
    status: PurchaseStatus = strawberry.field(description="How far it has come.")
    note: str | None = strawberry.field(description="What somebody wrote about it.")
    void_reason: str | None = strawberry.field(description="Why it was voided; null when it was not.")
    version: int = version_field()
    created_at: dt.datetime = strawberry.field(description="When it was written.")
    audit_trail = audit_trail_field()
    key: strawberry.Private[int]
    store_id: strawberry.Private[int]
    vendor_id: strawberry.Private[int | None]
    supplier_name: strawberry.Private[str | None]
    created_by_id: strawberry.Private[int | None]
    import_id: strawberry.Private[int | None]

    @classmethod
    def from_row(cls, row: PurchaseRow) -> "Purchase":
        """The purchase as clients see it."""
        return cls(
            id=global_id("Purchase", row.id),
            number=row.number,
            date=row.date,
            status=row.status,
            note=row.note,
            void_reason=row.void_reason,
            version=row.version,
            created_at=row.created_at,
            key=row.id,
            store_id=row.store_id,
            vendor_id=row.vendor_id,
            supplier_name=row.supplier_name,
            created_by_id=row.created_by,
            import_id=row.import_id,
        )

    @strawberry.field(description="The store that ordered, and that the bottles come to.")
    async def store(self, info: Info) -> Store:
        """The store that ordered."""
        return await load_store(info, self.store_id)

    @strawberry.field(description="Whom it was ordered from.")
    async def supplier(self, info: Info) -> Supplier:
        """Whom it was ordered from."""
        vendor = await load_vendor(info, self.vendor_id)
        return Supplier(name=vendor.name if vendor else self.supplier_name or "", vendor=vendor)

    @strawberry.field(description="Who wrote it; null when it came with an import. Only for those who see accounts.")
    async def created_by(self, info: Info) -> User | None:
        """Who wrote it."""
        return await load_user(info, self.created_by_id)

    @strawberry.field(name="import", description="The import it came with; null when it was written here.")
    async def import_(self, info: Info) -> Import | None:
        """The import it came with."""
        row = None if self.import_id is None else await info.context.loaders.imports.load(self.import_id)
        return Import.from_row(row) if row else None

    @strawberry.field(description="The sums over all lines.")
    async def totals(self, info: Info) -> PurchaseTotals:
        """The sums over all lines."""
        return PurchaseTotals.from_totals(await info.context.loaders.purchase_totals.load(self.key))

    @strawberry.field(description="The lines by their number.")
    async def lines(
        self,
        info: Info,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Connection[PurchaseLine]:
        """The lines by their number."""
        loaders = info.context.loaders
        wanted = LinesWanted(self.key, page_request(first, after, last, before))
        page = await loaders.purchase_lines.load(wanted)

        async def count() -> int:
            return (await loaders.purchase_totals.load(self.key)).line_count

        is_void = self.status is PurchaseStatus.VOID
        return connect(page, lambda row: PurchaseLine.from_row(row, is_void=is_void), count)


@strawberry.input(description="Conditions on the status of a purchase.")
class PurchaseStatusFilter:
    """Conditions on the status of a purchase."""

    eq: PurchaseStatus | None = operator(EQUAL)
    in_: list[PurchaseStatus] | None = operator(ONE_OF, name="in")


@strawberry.input(description="Which purchases; all given conditions must hold.")
class PurchaseWhere:
    """Which purchases."""

    id: IdFilter | None = id_filter("Purchase", "The id.")
    number: StringFilter | None = operator("The purchase number.")
    date: DateFilter | None = operator("The day it was ordered.")
    status: PurchaseStatusFilter | None = operator("How far the purchase has come.")
    store: StoreWhere | None = operator("The store that ordered, at its present place: city, county, zip and more.")
    vendor: VendorWhere | None = operator("The vendor; purchases with a supplier's name alone never match.")
    supplier_name: StringFilter | None = operator("The name of a supplier that is no vendor; null where it is one.")
    product: ProductWhere | None = operator("At least one line orders such a product.")
    created_by: IdFilter | None = id_filter("User", "Who wrote it: yourself, or anybody if you may see accounts.")
    and_: list["PurchaseWhere"] | None = operator(ALL_OF, name="and")
    or_: list["PurchaseWhere"] | None = operator(ANY_OF, name="or")
    not_: "PurchaseWhere | None" = operator(NONE_OF, name="not")


@strawberry.enum(description="What purchases can be sorted by.")
class PurchaseOrderField(Enum):
    """What purchases can be sorted by."""

    DATE = strawberry.enum_value("DATE", description="The day it was ordered.")
    NUMBER = strawberry.enum_value("NUMBER", description="The purchase number, character by character.")


@strawberry.input(description="One key of the order of purchases.")
class PurchaseOrder:
    """One key of the order of purchases."""

    by: PurchaseOrderField = strawberry.field(description="What to sort by.")
    direction: Direction = strawberry.field(default=Direction.ASC, description="Which end comes first.")


async def load_purchase(info: Info, purchase_id: int) -> Purchase:
    """The purchase with this key, batched; there is always one, the tables see to it."""
    row = await info.context.loaders.purchases.load(purchase_id)
    if row is None:
        raise LookupError(f"purchase {purchase_id}")
    return Purchase.from_row(row)


@strawberry.type
class PurchaseQuery:
    """Root fields of purchases."""

    purchases: Connection[Purchase] = list_field(
        purchase.PURCHASES,
        Purchase.from_row,
        where=PurchaseWhere,
        order=PurchaseOrder,
        what="purchases",
        searched="the number, which must be the same, and in the names of vendors and suppliers",
        description="Purchases, the latest first unless `orderBy` says otherwise.",
    )

    @strawberry.field(description="One purchase, by its id or its number; null when there is none.")
    async def purchase(
        self,
        info: Info,
        id: Annotated[  # noqa: A002 - the name of the GraphQL argument
            strawberry.ID | None, strawberry.argument(description="The id of the purchase.")
        ] = None,
        number: Annotated[str | None, strawberry.argument(description="The purchase number, instead of `id`.")] = None,
    ) -> Purchase | None:
        """One purchase."""
        only_one(id=id, number=number)
        if number is None:
            row = await info.context.loaders.purchases.load(key_of(id or "", "Purchase"))
        else:
            async with info.context.database.read() as session:
                row = await purchase.purchase_by_number(session, number)
        return Purchase.from_row(row) if row else None
