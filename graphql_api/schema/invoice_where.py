"""Filters and orders of invoices."""

from enum import Enum

import strawberry

from graphql_api.schema.customer import CustomerWhere
from graphql_api.schema.enums import Direction
from graphql_api.schema.filters import (
    ALL_OF,
    ANY_OF,
    NONE_OF,
    BooleanFilter,
    DateFilter,
    IdFilter,
    InvoiceStatusFilter,
    StringFilter,
    id_filter,
    operator,
)
from graphql_api.schema.product import ProductWhere
from graphql_api.schema.store import StoreWhere


@strawberry.input(description="Which invoices; all given conditions must hold.")
class InvoiceWhere:
    """Which invoices."""

    id: IdFilter | None = id_filter("Invoice", "The id.")
    number: StringFilter | None = operator("The invoice number.")
    date: DateFilter | None = operator("The day of the sale.")
    status: InvoiceStatusFilter | None = operator("How far the invoice has come.")
    store: StoreWhere | None = operator("The store that sold, at its present place.")
    product: ProductWhere | None = operator("At least one line sells such a product.")
    customer: CustomerWhere | None = operator("The customer it is for.")
    has_customer: BooleanFilter | None = operator("Whether it is for a certain customer rather than for nobody.")
    salesperson: StringFilter | None = operator("The name of who wrote it; `isNull: true` keeps imported invoices.")
    mine: bool | None = operator("true: only invoices that you have written; false: only those of others.")
    is_credit_note: BooleanFilter | None = operator("Whether it is a credit note.")
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
