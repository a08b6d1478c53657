"""Customers."""

import datetime as dt
from enum import Enum
from typing import Annotated, Any

import strawberry
from strawberry import UNSET
from strawberry.types.lazy_type import LazyType

from graphql_api.database.customer import CustomerRow
from graphql_api.schema.audit import audit_trail_field
from graphql_api.schema.context import Info
from graphql_api.schema.editing import version_field
from graphql_api.schema.enums import Direction
from graphql_api.schema.filters import (
    ALL_OF,
    ANY_OF,
    NONE_OF,
    BooleanFilter,
    IdFilter,
    StringFilter,
    id_filter,
    operator,
)
from graphql_api.schema.node import Node, global_id, key_of
from graphql_api.schema.paging import After, Connection, FirstAlone, connect, list_field, page_request
from graphql_api.schema.user import User, load_user
from graphql_api.services import customer
from graphql_api.services.customer import InvoicesWanted

# An invoice names its customer, so each of the two modules would have to be read first.
INVOICE: LazyType[Any, Any] = LazyType("Invoice", "graphql_api.schema.invoice")


@strawberry.type(
    description="Somebody whom invoices are written for. The company sees all, an account of a customer its own one."
)
class Customer(Node):
    """Somebody whom invoices are written for."""

    name: str = strawberry.field(description="The name, as it stands on invoices.")
    phone: str | None = strawberry.field(description="The telephone number.")
    email: str | None = strawberry.field(description="The e-mail address, in lower case.")
    address: str | None = strawberry.field(description="The address, as it stands on invoices; may have several lines.")
    has_account: bool = strawberry.field(description="Whether an account sees the invoices of this customer.")
    is_active: bool = strawberry.field(description="Whether invoices may be written for the customer.")
    created_at: dt.datetime = strawberry.field(description="When the customer was created.")
    version: int = version_field()
    audit_trail = audit_trail_field()
    row_id: strawberry.Private[int]
    user_id: strawberry.Private[int | None]

    @classmethod
    def from_row(cls, row: CustomerRow) -> "Customer":
        """The customer as clients see it."""
        return cls(
            id=global_id("Customer", row.id),
            name=row.name,
            phone=row.phone,
            email=row.email,
            address=row.address,
            has_account=row.user_id is not None,
            is_active=row.is_active,
            created_at=row.created_at,
            version=row.version,
            row_id=row.id,
            user_id=row.user_id,
        )

    @strawberry.field(description="The account that sees the customer's invoices. Only for those who may see accounts.")
    async def user(self, info: Info) -> User | None:
        """The account that sees the customer's invoices."""
        return await load_user(info, self.user_id)

    @strawberry.field(description="The customer's invoices that you may see, newest first.")
    async def invoices(
        self, info: Info, first: FirstAlone = UNSET, after: After = UNSET
    ) -> Connection[Annotated["Invoice", strawberry.lazy("graphql_api.schema.invoice")]]:  # type: ignore[name-defined]  # noqa: F821 - Strawberry finds the name
        """The customer's invoices."""
        loaders = info.context.loaders
        page = await loaders.customer_invoices.load(InvoicesWanted(self.row_id, page_request(first, after)))

        async def count() -> int:
            return await loaders.customer_invoice_counts.load(self.row_id)

        return connect(page, INVOICE.resolve_type().from_row, count)


@strawberry.input(description="Which customers; all given conditions must hold.")
class CustomerWhere:
    """Which customers."""

    id: IdFilter | None = id_filter("Customer", "The id.")
    name: StringFilter | None = operator("The name.")
    email: StringFilter | None = operator("The e-mail address, in any case.")
    phone: StringFilter | None = operator("The telephone number, as it is written.")
    address: StringFilter | None = operator("The address.")
    has_account: BooleanFilter | None = operator("Whether an account sees the customer's invoices.")
    is_active: BooleanFilter | None = operator("Whether invoices may be written for the customer.")
    and_: list["CustomerWhere"] | None = operator(ALL_OF, name="and")
    or_: list["CustomerWhere"] | None = operator(ANY_OF, name="or")
    not_: "CustomerWhere | None" = operator(NONE_OF, name="not")


@strawberry.enum(description="What customers can be sorted by.")
class CustomerOrderField(Enum):
    """What customers can be sorted by."""

    NAME = strawberry.enum_value("NAME", description="The name.")
    EMAIL = strawberry.enum_value("EMAIL", description="The e-mail address, character by character.")
    CREATED_AT = strawberry.enum_value("CREATED_AT", description="When the customer was created.")


@strawberry.input(description="One key of the order of customers.")
class CustomerOrder:
    """One key of the order of customers."""

    by: CustomerOrderField = strawberry.field(description="What to sort by.")
    direction: Direction = strawberry.field(default=Direction.ASC, description="Which end comes first.")


async def load_customer(info: Info, customer_id: int | None) -> Customer | None:
    """The customer with this key, batched; None without a key, and when the viewer may not see it."""
    row = None if customer_id is None else await info.context.loaders.customers.load(customer_id)
    return Customer.from_row(row) if row else None


@strawberry.type
class CustomerQuery:
    """Root fields of customers."""

    customers: Connection[Customer] = list_field(
        customer.CUSTOMERS,
        Customer.from_row,
        where=CustomerWhere,
        order=CustomerOrder,
        what="customers",
        searched="names, e-mail addresses and telephone numbers",
        description=(
            "Customers, by name unless `orderBy` says otherwise. The account of a customer finds the own one alone."
        ),
    )

    @strawberry.field(description="One customer; null when there is none, or it is not visible to you.")
    async def customer(
        self,
        info: Info,
        id: Annotated[  # noqa: A002 - the name of the GraphQL argument
            strawberry.ID, strawberry.argument(description="The id of the customer.")
        ],
    ) -> Customer | None:
        """One customer."""
        return await load_customer(info, key_of(id, "Customer"))
