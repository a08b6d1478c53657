"""What can be done with customers: create, update, archive."""

import strawberry
from strawberry import UNSET

from graphql_api.database.customer import CustomerRow
from graphql_api.schema.customer import Customer
from graphql_api.schema.editing import (
    NODE,
    VERSION,
    edit_field,
    given_values,
    is_active_field,
    needed,
    optional,
    patched,
    user_errors_field,
)
from graphql_api.schema.errors import UserError
from graphql_api.schema.named import Archive
from graphql_api.schema.node import key_of
from graphql_api.services.customer_change import archive_customer, create_customer, update_customer
from graphql_api.services.policy import Viewer
from graphql_api.services.unit_of_work import UnitOfWork

NAME = "The name: 1 to 200 characters."
PHONE = 'The telephone number, such as "+1 515 555 0100": 3 to 15 digits, at most 40 characters.'
EMAIL = "The e-mail address; it is kept in lower case."
ADDRESS = "The address: at most 500 characters; may have several lines."
USER = (
    "The id of the account that sees the customer's invoices: one with the role CUSTOMER that no other customer has. "
    "Only administrators set it. An account is never linked by its e-mail address alone."
)


@strawberry.input(description="A new customer.")
class CreateCustomerInput:
    """A new customer."""

    name: str = strawberry.field(description=NAME)
    phone: str | None = optional(PHONE)
    email: str | None = optional(EMAIL)
    address: str | None = optional(ADDRESS)
    user_id: strawberry.ID | None = optional(USER, node="User")


@strawberry.input(description="What to change of a customer; what is left out stays as it is.")
class UpdateCustomerInput:
    """What to change of a customer."""

    id: strawberry.ID = strawberry.field(description="The id of the customer.")
    expected_version: int = strawberry.field(description=VERSION)
    name: str | None = needed(NAME)
    phone: str | None = patched(PHONE)
    email: str | None = patched(EMAIL)
    address: str | None = patched(ADDRESS)
    user_id: strawberry.ID | None = strawberry.field(
        default=UNSET,
        description=f"{USER} Leave it out to keep it as it is; null takes the account away.",
        metadata={NODE: "User"},
    )
    is_active: bool | None = is_active_field("Whether invoices may be written for the customer.")


@strawberry.input(description="A customer for whom no invoices are written any more.")
class ArchiveCustomerInput(Archive):
    """A customer for whom no invoices are written any more."""


@strawberry.type(description="What came of it: the customer, or why not.")
class CustomerPayload:
    """What came of it."""

    customer: Customer | None = strawberry.field(
        default=None, description="The customer as it stands now; null when there are `userErrors`."
    )
    user_errors: list[UserError] = user_errors_field()

    @classmethod
    def of(cls, row: CustomerRow) -> "CustomerPayload":
        """The answer when it was done."""
        return cls(customer=Customer.from_row(row))


async def _create(work: UnitOfWork, wish: CreateCustomerInput, viewer: Viewer) -> CustomerRow:
    return await create_customer(work, given_values(wish), viewer)


async def _update(work: UnitOfWork, wish: UpdateCustomerInput, viewer: Viewer) -> CustomerRow:
    return await update_customer(work, key_of(wish.id, "Customer"), wish.expected_version, given_values(wish), viewer)


async def _archive(work: UnitOfWork, wish: ArchiveCustomerInput, viewer: Viewer) -> CustomerRow:
    return await archive_customer(work, key_of(wish.id, "Customer"), wish.expected_version, viewer)


@strawberry.type
class CustomerMutation:
    """Mutations of customers."""

    create_customer: CustomerPayload = edit_field(
        CustomerPayload, CreateCustomerInput, "The new customer.", _create, "Create a customer."
    )
    update_customer: CustomerPayload = edit_field(
        CustomerPayload,
        UpdateCustomerInput,
        "Which customer, and what to change.",
        _update,
        "Change a customer. Invoices that were issued keep the name and address of their day.",
    )
    archive_customer: CustomerPayload = edit_field(
        CustomerPayload,
        ArchiveCustomerInput,
        "Which customer.",
        _archive,
        (
            "Say that no invoices are written for a customer any more. The customer stays readable with "
            "`isActive: false`, and so do the invoices. `updateCustomer` brings the customer back."
        ),
    )
