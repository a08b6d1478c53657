"""What can be said of invoices that are written, changed, issued and taken back."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal

import strawberry
from strawberry import UNSET

from graphql_api.schema.editing import VERSION, needed, optional, patched
from graphql_api.schema.node import key_of
from graphql_api.services.errors import BadInput
from graphql_api.services.invoice_draft import DraftWish
from graphql_api.services.invoice_line import LineWish
from graphql_api.services.invoice_reversal import CreditWish

INVOICE = "The id of the invoice."
DRAFT = "The id of the draft."
PRODUCT = "The id of the product."
PRICE = (
    "What one bottle is sold for, such as \"9.99\"; the product's price unless given. Another price than the product's "
    "takes the right SET_PRICES."
)
LINE_DISCOUNT = (
    'What is taken off the line, such as "1.50". Takes the right SET_PRICES, and that there is no discount on the '
    "invoice as a whole."
)
DISCOUNT = (
    'What is taken off the invoice as a whole, such as "10.00"; it is spread over the lines in proportion. '
    "Takes the right SET_PRICES, and that there are no discounts on lines."
)
DATE = "The day of the sale, from 1900 to a year ahead."
NOTE = "A text that stands on the invoice: at most 2,000 characters."
CUSTOMER = "The id of the customer."
REASON = "Why: 1 to 500 characters."


@strawberry.input(description="A product to be put on an invoice.")
class InvoiceLineInput:
    """A product to be put on an invoice."""

    product_id: strawberry.ID = strawberry.field(description=PRODUCT)
    quantity: int = strawberry.field(description="Bottles: 1 to 1,000,000.")
    unit_price: Decimal | None = strawberry.field(default=None, description=PRICE)
    discount: Decimal | None = strawberry.field(default=None, description=LINE_DISCOUNT)


@strawberry.input(description="How many bottles of a product are to be on an invoice.")
class SetInvoiceLineInput:
    """How many bottles of a product are to be on an invoice."""

    product_id: strawberry.ID = strawberry.field(description=PRODUCT)
    quantity: int = strawberry.field(
        description=(
            "Bottles, up to 1,000,000; 0 takes the product off. When it stands on several lines, of all together."
        )
    )
    unit_price: Decimal | None = strawberry.field(
        default=None, description=PRICE + " Leave it out to keep that of the line."
    )
    discount: Decimal | None = strawberry.field(
        default=None, description=LINE_DISCOUNT + " Leave it out to keep that of the line."
    )


@strawberry.input(description="A new draft. It belongs to you: salespeople change their own invoices alone.")
class CreateInvoiceInput:
    """A new draft."""

    store_id: strawberry.ID = strawberry.field(description="The id of the store that sells.")
    customer_id: strawberry.ID | None = optional(CUSTOMER + " Leave it out for a sale to nobody in particular.")
    date: dt.date | None = optional(DATE + " Today in UTC unless given.")
    note: str | None = optional(NOTE)
    discount: Decimal | None = optional(DISCOUNT)
    lines: list[InvoiceLineInput] = strawberry.field(
        default_factory=list,
        description="At most 1,000. A product may be named twice, as at different prices.",
    )

    def wish(self) -> DraftWish:
        """The draft as the service takes it."""
        return DraftWish(
            store_id=key_of(self.store_id, "Store", "storeId"),
            customer_id=None if self.customer_id is None else key_of(self.customer_id, "Customer", "customerId"),
            date=self.date,
            note=self.note,
            discount=self.discount,
            lines=line_wishes(self.lines),
        )


@strawberry.input(description="What to change of the head of a draft; what is left out stays as it is.")
class UpdateInvoiceInput:
    """What to change of the head of a draft."""

    id: strawberry.ID = strawberry.field(description=DRAFT)
    expected_version: int = strawberry.field(description=VERSION)
    customer_id: strawberry.ID | None = patched(CUSTOMER, node="Customer")
    date: dt.date | None = needed(DATE)
    note: str | None = patched(NOTE)
    discount: Decimal | None = strawberry.field(
        default=UNSET, description=DISCOUNT + ' Leave it out to keep it as it is; "0" or null takes it away.'
    )


@strawberry.input(description="Products to be put on an invoice that are not on it yet.")
class AddInvoiceLinesInput:
    """Products to be put on an invoice."""

    id: strawberry.ID = strawberry.field(description=INVOICE)
    expected_version: int = strawberry.field(description=VERSION)
    lines: list[InvoiceLineInput] = strawberry.field(description="1 to 1,000; each product once.")


@strawberry.input(description="Quantities of products on an invoice; products that are not named stay as they are.")
class SetInvoiceLinesInput:
    """Quantities of products on an invoice."""

    id: strawberry.ID = strawberry.field(description=INVOICE)
    expected_version: int = strawberry.field(description=VERSION)
    lines: list[SetInvoiceLineInput] = strawberry.field(description="1 to 1,000; each product once.")


@strawberry.input(description="A draft that is to become an invoice.")
class IssueInvoiceInput:
    """A draft that is to become an invoice."""

    id: strawberry.ID = strawberry.field(description=DRAFT)
    expected_version: int = strawberry.field(description=VERSION)
    dry_run: bool = strawberry.field(
        default=False,
        description="true: show in `preview` what would come of it, or the shortages, and change nothing.",
    )


@strawberry.input(description="An invoice that is paid.")
class PayInvoiceInput:
    """An invoice that is paid."""

    id: strawberry.ID = strawberry.field(description=INVOICE)
    expected_version: int = strawberry.field(description=VERSION)


@strawberry.input(description="An invoice that is to count no more.")
class VoidInvoiceInput:
    """An invoice that is to count no more."""

    id: strawberry.ID = strawberry.field(description=INVOICE)
    expected_version: int = strawberry.field(description=VERSION)
    reason: str = strawberry.field(description=REASON)


@strawberry.input(description="Bottles of one line that are taken back.")
class CreditLineInput:
    """Bottles of one line that are taken back."""

    line_number: int = strawberry.field(description="The `lineNumber` on the invoice.")
    quantity: int = strawberry.field(description="Bottles: at least 1, at most what is left of the line.")


@strawberry.input(description="What is taken back of an invoice.")
class CreditInvoiceInput:
    """What is taken back of an invoice."""

    id: strawberry.ID = strawberry.field(description=INVOICE)
    expected_version: int = strawberry.field(description=VERSION)
    reason: str = strawberry.field(description=REASON + " It stands on the credit note.")
    restock: bool = strawberry.field(
        description="Whether the bottles go back to the lots they came from; false when they are lost."
    )
    lines: list[CreditLineInput] | None = strawberry.field(
        default=None, description="What is taken back, each line once; all that is left unless given."
    )
    date: dt.date | None = strawberry.field(
        default=None, description="The day of the credit note, from 1900 to a year ahead. Today in UTC unless given."
    )

    def wish(self) -> CreditWish:
        """The credit as the service takes it."""
        lines = None if self.lines is None else [(line.line_number, line.quantity) for line in self.lines]
        return CreditWish(self.reason, self.restock, lines, self.date)


@strawberry.input(description="A draft that nobody needs any more.")
class DeleteDraftInvoiceInput:
    """A draft that nobody needs any more."""

    id: strawberry.ID = strawberry.field(description=DRAFT)
    expected_version: int = strawberry.field(description=VERSION)


def line_wishes(lines: Sequence[InvoiceLineInput | SetInvoiceLineInput]) -> list[LineWish]:
    """Lines as the service takes them.

    Raises:
        BadInput: an id is none of a product, with the path to it.
    """
    wishes = []
    for position, line in enumerate(lines):
        try:
            key = key_of(line.product_id, "Product", "productId")
        except BadInput as error:
            raise error.below("lines", str(position)) from None
        wishes.append(LineWish(key, line.quantity, line.unit_price, line.discount))
    return wishes
