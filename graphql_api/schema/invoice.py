"""Invoices and their lines."""

import datetime as dt
from decimal import Decimal
from enum import Enum
from typing import Annotated

import strawberry
from strawberry import UNSET

from graphql_api.database.invoice import InvoiceLineRow, InvoiceRow, InvoiceStatus
from graphql_api.schema.audit import audit_trail_field
from graphql_api.schema.context import Info
from graphql_api.schema.enums import Direction
from graphql_api.schema.filters import (
    ALL_OF,
    ANY_OF,
    NONE_OF,
    DateFilter,
    IdFilter,
    InvoiceStatusFilter,
    StringFilter,
    id_filter,
    operator,
)
from graphql_api.schema.node import Node, global_id, key_of
from graphql_api.schema.paging import (
    After,
    Before,
    Connection,
    First,
    Last,
    connect,
    list_field,
    page_request,
)
from graphql_api.schema.place import County, load_county
from graphql_api.schema.product import Product, ProductWhere, load_product
from graphql_api.schema.scalars import BigInt, cents_to_decimal, millilitres_to_litres
from graphql_api.schema.settings import load_settings
from graphql_api.schema.store import Store, StoreWhere, load_store
from graphql_api.services import invoice
from graphql_api.services.choices import only_one


@strawberry.type(description="One product on an invoice. Quantity and amounts are negative on returns.")
class InvoiceLine:
    """One product on an invoice."""

    line_number: int = strawberry.field(description="Its number on the invoice.")
    date: dt.date = strawberry.field(description="The day of the sale.")
    quantity: int = strawberry.field(description="Bottles sold; negative when they came back.")
    unit_price: Decimal = strawberry.field(description="Price of one bottle on that day.")
    discount: Decimal = strawberry.field(description="What was taken off the line.")
    revenue: Decimal = strawberry.field(description="quantity times unitPrice, less discount.")
    cost: Decimal = strawberry.field(description="What the bottles had cost to buy.")
    profit: Decimal = strawberry.field(description="revenue less cost.")
    volume_liters: Decimal | None = strawberry.field(description="Volume of the line in litres.")
    invoice_id: strawberry.Private[int]
    store_id: strawberry.Private[int]
    product_id: strawberry.Private[int]
    place_id: strawberry.Private[int]

    @classmethod
    def from_row(cls, row: InvoiceLineRow) -> "InvoiceLine":
        """The line as clients see it."""
        return cls(
            line_number=row.line_number,
            date=row.date,
            quantity=row.quantity,
            unit_price=cents_to_decimal(row.unit_price),
            discount=cents_to_decimal(row.discount),
            revenue=cents_to_decimal(row.revenue),
            cost=cents_to_decimal(row.cost),
            profit=cents_to_decimal(row.revenue - row.cost),
            volume_liters=None if row.volume_ml is None else millilitres_to_litres(row.volume_ml),
            invoice_id=row.invoice_id,
            store_id=row.store_id,
            product_id=row.product_id,
            place_id=row.place_id,
        )

    @strawberry.field(description="The invoice it stands on.")
    async def invoice(self, info: Info) -> Annotated["Invoice", strawberry.lazy("graphql_api.schema.invoice")]:
        """The invoice it stands on."""
        return await load_invoice(info, self.invoice_id)

    @strawberry.field(description="The store that sold.")
    async def store(self, info: Info) -> Store:
        """The store that sold."""
        return await load_store(info, self.store_id)

    @strawberry.field(description="What was sold.")
    async def product(self, info: Info) -> Product:
        """What was sold."""
        return await load_product(info, self.product_id)

    @strawberry.field(description="The city the store was in on that day; null when unknown.")
    async def city(self, info: Info) -> str | None:
        """The city the store was in on that day."""
        place = await info.context.loaders.places.load(self.place_id)
        return place.city if place else None

    @strawberry.field(description="The zip the store had on that day; null when unknown.")
    async def zip(self, info: Info) -> str | None:
        """The zip the store had on that day."""
        place = await info.context.loaders.places.load(self.place_id)
        return place.zip_code if place else None

    @strawberry.field(description="The county the store was in on that day; null when unknown.")
    async def county(self, info: Info) -> County | None:
        """The county the store was in on that day."""
        place = await info.context.loaders.places.load(self.place_id)
        return await load_county(info, place.county_id if place else None)


@strawberry.type(description="The sums over all lines of an invoice.")
class InvoiceTotals:
    """The sums over all lines of an invoice."""

    revenue: Decimal = strawberry.field(description="Sum of the lines' revenue.")
    cost: Decimal = strawberry.field(description="Sum of the lines' cost.")
    profit: Decimal = strawberry.field(description="revenue less cost.")
    quantity: BigInt = strawberry.field(description="Bottles, returns taken off.")
    line_count: int = strawberry.field(description="How many lines there are.")

    @classmethod
    def from_totals(cls, totals: invoice.Totals) -> "InvoiceTotals":
        """The sums as clients see them."""
        return cls(
            revenue=cents_to_decimal(totals.revenue),
            cost=cents_to_decimal(totals.cost),
            profit=cents_to_decimal(totals.revenue - totals.cost),
            quantity=BigInt(totals.quantity),
            line_count=totals.line_count,
        )


@strawberry.type(description="The company that writes invoices, as it stands on them.")
class Company:
    """The company that writes invoices."""

    name: str = strawberry.field(description="Its name.")
    address: str | None = strawberry.field(description="Its address, on one or more lines.")
    tax_number: str | None = strawberry.field(description="The number the tax office knows it by.")


@strawberry.type(description="An invoice of one store on one day.")
class Invoice(Node):
    """An invoice of one store on one day."""

    number: str | None = strawberry.field(
        description="Its number, unique among invoices and without holes in its series; null for a draft."
    )
    date: dt.date = strawberry.field(description="The day of the sale.")
    status: InvoiceStatus = strawberry.field(description="How far it has come.")
    audit_trail = audit_trail_field()
    key: strawberry.Private[int]
    store_id: strawberry.Private[int]

    @classmethod
    def from_row(cls, row: InvoiceRow) -> "Invoice":
        """The invoice as clients see it."""
        return cls(
            id=global_id("Invoice", row.id),
            number=row.number,
            date=row.date,
            status=row.status,
            key=row.id,
            store_id=row.store_id,
        )

    @strawberry.field(description="The store that sold.")
    async def store(self, info: Info) -> Store:
        """The store that sold."""
        return await load_store(info, self.store_id)

    @strawberry.field(description='What its amounts are in: the code of ISO 4217, such as "USD".')
    async def currency(self, info: Info) -> str:
        """What its amounts are in."""
        return (await load_settings(info)).currency

    @strawberry.field(description="The company that writes it.")
    async def company(self, info: Info) -> Company:
        """The company that writes it."""
        row = await load_settings(info)
        return Company(name=row.company_name, address=row.company_address, tax_number=row.tax_number)

    @strawberry.field(description="The sums over all lines.")
    async def totals(self, info: Info) -> InvoiceTotals:
        """The sums over all lines."""
        return InvoiceTotals.from_totals(await info.context.loaders.invoice_totals.load(self.key))

    @strawberry.field(description="The lines by their number.")
    async def lines(
        self,
        info: Info,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Connection[InvoiceLine]:
        """The lines by their number."""
        loaders = info.context.loaders
        request = page_request(first, after, last, before)
        page = await loaders.invoice_lines.load(invoice.LinesWanted(self.key, request))

        async def count() -> int:
            return (await loaders.invoice_totals.load(self.key)).line_count

        return connect(page, InvoiceLine.from_row, count)


@strawberry.input(description="Which invoices; all given conditions must hold.")
class InvoiceWhere:
    """Which invoices."""

    id: IdFilter | None = id_filter("Invoice", "The id.")
    number: StringFilter | None = operator("The invoice number.")
    date: DateFilter | None = operator("The day of the sale.")
    status: InvoiceStatusFilter | None = operator("How far the invoice has come.")
    store: StoreWhere | None = operator("The store that sold, at its present place.")
    product: ProductWhere | None = operator("At least one line sells such a product.")
    and_: list["InvoiceWhere"] | None = operator(ALL_OF, name="and")
    or_: list["InvoiceWhere"] | None = operator(ANY_OF, name="or")
    not_: "InvoiceWhere | None" = operator(NONE_OF, name="not")


@strawberry.enum(description="What invoices can be sorted by.")
class InvoiceOrderField(Enum):
    """What invoices can be sorted by."""

    DATE = strawberry.enum_value("DATE", description="The day of the sale.")
    NUMBER = strawberry.enum_value("NUMBER", description="The invoice number, character by character.")


@strawberry.input(description="One key of the order of invoices.")
class InvoiceOrder:
    """One key of the order of invoices."""

    by: InvoiceOrderField = strawberry.field(description="What to sort by.")
    direction: Direction = strawberry.field(default=Direction.ASC, description="Which end comes first.")


async def load_invoice(info: Info, invoice_id: int) -> Invoice:
    """The invoice with this key, batched; there is always one, the tables see to it."""
    row = await info.context.loaders.invoices.load(invoice_id)
    if row is None:
        raise LookupError(f"invoice {invoice_id}")
    return Invoice.from_row(row)


@strawberry.type
class InvoiceQuery:
    """Root fields of invoices."""

    invoices: Connection[Invoice] = list_field(
        invoice.INVOICES,
        Invoice.from_row,
        where=InvoiceWhere,
        order=InvoiceOrder,
        what="invoices",
        searched="the number, which must be the same",
        description="Invoices, the latest first unless `orderBy` says otherwise.",
    )

    @strawberry.field(description="One invoice, by its id or its number; null when there is none.")
    async def invoice(
        self,
        info: Info,
        id: Annotated[  # noqa: A002 - the name of the GraphQL argument
            strawberry.ID | None, strawberry.argument(description="The id of the invoice.")
        ] = None,
        number: Annotated[str | None, strawberry.argument(description="The invoice number, instead of `id`.")] = None,
    ) -> Invoice | None:
        """One invoice."""
        only_one(id=id, number=number)
        if number is None:
            row = await info.context.loaders.invoices.load(key_of(id or "", "Invoice"))
        else:
            async with info.context.database.read() as session:
                row = await invoice.invoice_by_number(session, number, viewer=info.context.viewer)
        return Invoice.from_row(row) if row else None
