"""Invoices and their lines."""

import datetime as dt
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Annotated

import strawberry
from strawberry import UNSET

from graphql_api.database.invoice import InvoiceLineRow, InvoiceRow, InvoiceStatus
from graphql_api.schema.audit import audit_trail_field
from graphql_api.schema.context import Info
from graphql_api.schema.customer import Customer, load_customer
from graphql_api.schema.invoice_pdf import InvoicePdf
from graphql_api.schema.invoice_where import InvoiceOrder, InvoiceWhere
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
from graphql_api.schema.product import Product, load_product
from graphql_api.schema.scalars import BigInt, cents_to_decimal, millilitres_to_litres
from graphql_api.schema.settings import load_settings
from graphql_api.schema.store import Store, load_store
from graphql_api.schema.user import User, load_user
from graphql_api.services import invoice
from graphql_api.services.choices import only_one
from graphql_api.services.document_line import LinesWanted
from graphql_api.services.invoice_amounts import tax_on


@strawberry.type(description="One product on an invoice. Quantity and amounts are negative on returns.")
class InvoiceLine:
    """One product on an invoice."""

    line_number: int = strawberry.field(description="Its number on the invoice.")
    date: dt.date = strawberry.field(description="The day of the sale.")
    quantity: int = strawberry.field(description="Bottles sold; negative when they came back.")
    unit_price: Decimal = strawberry.field(description="Price of one bottle on that day.")
    discount: Decimal = strawberry.field(description="What was taken off the line.")
    revenue: Decimal = strawberry.field(description="quantity times unitPrice, less discount.")
    cost: Decimal = strawberry.field(description="What the bottles had cost to buy; 0 until the invoice is issued.")
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


@dataclass(frozen=True)
class FrozenTerms:
    """What an invoice was issued with; empty in drafts and in what was imported. Tax in cents."""

    currency: str | None
    company_name: str | None
    company_address: str | None
    company_tax_number: str | None
    tax_rate: Decimal | None
    tax: int

    @classmethod
    def from_row(cls, row: InvoiceRow) -> "FrozenTerms":
        """The terms of an invoice."""
        return cls(**{field.name: getattr(row, field.name) for field in fields(cls)})


@strawberry.type(
    description="An invoice of one store on one day, or a credit note (`creditOf`), whose lines are negative."
)
class Invoice(Node):
    """An invoice of one store on one day, or a credit note."""

    number: str | None = strawberry.field(
        description="Its number, unique among invoices and without holes in its series; null for a draft."
    )
    date: dt.date = strawberry.field(description="The day of the sale.")
    status: InvoiceStatus = strawberry.field(description="How far it has come.")
    discount: Decimal = strawberry.field(
        description="What is taken off the invoice as a whole; it is spread over the lines and part of their discounts."
    )
    note: str | None = strawberry.field(description="A text that stands on it; on a credit note the reason.")
    customer_name: str | None = strawberry.field(
        description="The customer's name as it was when the invoice was issued; null before, and without a customer."
    )
    customer_address: str | None = strawberry.field(
        description="The customer's address as it was when the invoice was issued."
    )
    issued_at: dt.datetime | None = strawberry.field(
        description="When it got its number; null for drafts and imported invoices."
    )
    paid_at: dt.datetime | None = strawberry.field(description="When it was paid; null before, and when imported.")
    voided_at: dt.datetime | None = strawberry.field(description="When it was voided.")
    void_reason: str | None = strawberry.field(description="Why it was voided.")
    version: int = strawberry.field(description="Counts its changes; pass it as `expectedVersion` to change it.")
    audit_trail = audit_trail_field()
    key: strawberry.Private[int]
    store_id: strawberry.Private[int]
    customer_id: strawberry.Private[int | None]
    created_by_id: strawberry.Private[int | None]
    credit_of_id: strawberry.Private[int | None]
    frozen: strawberry.Private[FrozenTerms]

    @classmethod
    def from_row(cls, row: InvoiceRow) -> "Invoice":
        """The invoice as clients see it."""
        return cls(
            id=global_id("Invoice", row.id),
            number=row.number,
            date=row.date,
            status=row.status,
            discount=cents_to_decimal(row.discount),
            note=row.note,
            customer_name=row.customer_name,
            customer_address=row.customer_address,
            issued_at=row.issued_at,
            paid_at=row.paid_at,
            voided_at=row.voided_at,
            void_reason=row.void_reason,
            version=row.version,
            key=row.id,
            store_id=row.store_id,
            customer_id=row.customer_id,
            created_by_id=row.created_by,
            credit_of_id=row.credit_of,
            frozen=FrozenTerms.from_row(row),
        )

    @strawberry.field(description="The store that sold.")
    async def store(self, info: Info) -> Store:
        """The store that sold."""
        return await load_store(info, self.store_id)

    @strawberry.field(description="Whom it is for; null for a sale to nobody in particular.")
    async def customer(self, info: Info) -> Customer | None:
        """Whom it is for."""
        return await load_customer(info, self.customer_id)

    @strawberry.field(description="Who wrote it; null when it was imported. Only for those who may see accounts.")
    async def created_by(self, info: Info) -> User | None:
        """Who wrote it."""
        return await load_user(info, self.created_by_id)

    @strawberry.field(description="The name of who wrote it; null when it was imported.")
    async def salesperson(self, info: Info) -> str | None:
        """The name of who wrote it."""
        user = await load_user(info, self.created_by_id)
        return user.name if user else None

    @strawberry.field(description="The printed invoice; null for a draft, which is no document yet.")
    def pdf(self) -> InvoicePdf | None:
        """The printed invoice."""
        return InvoicePdf(id=self.id, key=self.key) if self.number is not None else None

    @strawberry.field(description='What its amounts are in: the code of ISO 4217, such as "USD".')
    async def currency(self, info: Info) -> str:
        """What its amounts are in: that of the day it was issued; for drafts and imported invoices the present one."""
        return self.frozen.currency or (await load_settings(info)).currency

    @strawberry.field(
        description="The company that writes it, as it was when it was issued; before, and when imported, as it is now."
    )
    async def company(self, info: Info) -> Company:
        """The company that writes it."""
        if self.frozen.company_name is not None:
            return Company(
                name=self.frozen.company_name,
                address=self.frozen.company_address,
                tax_number=self.frozen.company_tax_number,
            )
        row = await load_settings(info)
        return Company(name=row.company_name, address=row.company_address, tax_number=row.tax_number)

    @strawberry.field(
        description=(
            "Tax in percent, as it was when the invoice was issued; for a draft the present rate, "
            "null for imported invoices."
        )
    )
    async def tax_rate(self, info: Info) -> Decimal | None:
        """Tax in percent."""
        if self.status is not InvoiceStatus.DRAFT:
            return self.frozen.tax_rate
        return (await load_settings(info)).tax_rate

    @strawberry.field(
        description=(
            "The tax on `totals.revenue`, rounded once for the whole invoice, half a cent up; "
            "for a draft what it would be today."
        )
    )
    async def tax(self, info: Info) -> Decimal:
        """The tax on the invoice."""
        return cents_to_decimal(await self._tax(info))

    @strawberry.field(description="What is to be paid: `totals.revenue` and `tax`.")
    async def total(self, info: Info) -> Decimal:
        """What is to be paid."""
        totals = await info.context.loaders.invoice_totals.load(self.key)
        return cents_to_decimal(totals.revenue + await self._tax(info))

    async def _tax(self, info: Info) -> int:
        if self.status is not InvoiceStatus.DRAFT:
            return self.frozen.tax
        totals = await info.context.loaders.invoice_totals.load(self.key)
        return tax_on(totals.revenue, (await load_settings(info)).tax_rate)

    @strawberry.field(description="The invoice that this credit note takes back; null for an invoice.")
    async def credit_of(self, info: Info) -> Annotated["Invoice", strawberry.lazy("graphql_api.schema.invoice")] | None:
        """The invoice that this credit note takes back."""
        return None if self.credit_of_id is None else await load_invoice(info, self.credit_of_id)

    @strawberry.field(description="The credit notes that take back this invoice, the first one first.")
    async def credits(self, info: Info) -> list[Annotated["Invoice", strawberry.lazy("graphql_api.schema.invoice")]]:
        """The credit notes that take back this invoice."""
        return [Invoice.from_row(row) for row in await info.context.loaders.credit_notes.load(self.key)]

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
        page = await loaders.invoice_lines.load(LinesWanted(self.key, request))

        async def count() -> int:
            return (await loaders.invoice_totals.load(self.key)).line_count

        return connect(page, InvoiceLine.from_row, count)


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
