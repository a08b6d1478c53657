"""What can be done with invoices: write, issue, pay, void, credit, throw away."""

from decimal import Decimal
from typing import Annotated

import strawberry

from graphql_api.database.invoice import InvoiceRow
from graphql_api.schema.context import Info
from graphql_api.schema.editing import edit_field, given_values, user_errors_field
from graphql_api.schema.errors import UserError
from graphql_api.schema.invoice import Invoice, load_invoice
from graphql_api.schema.invoice_input import (
    AddInvoiceLinesInput,
    CreateInvoiceInput,
    CreditInvoiceInput,
    DeleteDraftInvoiceInput,
    IssueInvoiceInput,
    PayInvoiceInput,
    SetInvoiceLinesInput,
    UpdateInvoiceInput,
    VoidInvoiceInput,
    line_wishes,
)
from graphql_api.schema.mutation import attempt
from graphql_api.schema.node import global_id, key_of
from graphql_api.schema.product import Product, load_product
from graphql_api.schema.scalars import BigInt, cents_to_decimal
from graphql_api.services import invoice_draft, invoice_edit, invoice_issue, invoice_reversal
from graphql_api.services.invoice_issue import Rehearsal, Rehearsed
from graphql_api.services.invoice_line import SaleLine
from graphql_api.services.invoice_reversal import Credit
from graphql_api.services.policy import Viewer, signed_in
from graphql_api.services.unit_of_work import UnitOfWork


@strawberry.type(description="What came of it: the invoice, or why not.")
class InvoicePayload:
    """What came of it."""

    invoice: Invoice | None = strawberry.field(
        default=None, description="The invoice as it stands now; null when there are `userErrors`."
    )
    user_errors: list[UserError] = user_errors_field()

    @classmethod
    def of(cls, row: InvoiceRow) -> "InvoicePayload":
        """What came of it."""
        return cls(invoice=Invoice.from_row(row))


@strawberry.type(description="A line of an invoice as it would be issued.")
class InvoicePreviewLine:
    """A line of an invoice as it would be issued."""

    line_number: int = strawberry.field(description="Its number on the invoice.")
    quantity: int = strawberry.field(description="Bottles.")
    unit_price: Decimal = strawberry.field(description="Price of one bottle.")
    discount: Decimal = strawberry.field(description="What is taken off the line.")
    revenue: Decimal = strawberry.field(description="quantity times unitPrice, less discount.")
    cost: Decimal = strawberry.field(description="What the bottles that would be taken had cost to buy.")
    profit: Decimal = strawberry.field(description="revenue less cost.")
    stock_left: BigInt = strawberry.field(
        description="Bottles of the product that the store would have left after the whole invoice."
    )
    product_id: strawberry.Private[int]

    @classmethod
    def from_line(cls, line: SaleLine, stock_left: int) -> "InvoicePreviewLine":
        """The line as clients see it."""
        return cls(
            line_number=line.number,
            quantity=line.quantity,
            unit_price=cents_to_decimal(line.unit_price),
            discount=cents_to_decimal(line.discount),
            revenue=cents_to_decimal(line.revenue),
            cost=cents_to_decimal(line.cost),
            profit=cents_to_decimal(line.revenue - line.cost),
            stock_left=BigInt(stock_left),
            product_id=line.product_id,
        )

    @strawberry.field(description="What would be sold.")
    async def product(self, info: Info) -> Product:
        """What would be sold."""
        return await load_product(info, self.product_id)


@strawberry.type(description="An invoice as it would be issued now. Nothing of this is kept, and it has no number.")
class InvoicePreview:
    """An invoice as it would be issued now."""

    currency: str = strawberry.field(description="What its amounts would be in, as a code of ISO 4217.")
    tax_rate: Decimal = strawberry.field(description="Tax in percent.")
    revenue: Decimal = strawberry.field(description="Sum of the lines' revenue.")
    tax: Decimal = strawberry.field(description="The tax on revenue.")
    total: Decimal = strawberry.field(description="What would be to be paid: revenue and tax.")
    cost: Decimal = strawberry.field(description="Sum of the lines' cost.")
    profit: Decimal = strawberry.field(description="revenue less cost.")
    lines: list[InvoicePreviewLine] = strawberry.field(description="All lines by their number, at most 1,000.")

    @classmethod
    def from_rehearsal(cls, rehearsal: Rehearsal) -> "InvoicePreview":
        """The invoice as clients see it."""
        revenue = sum(line.revenue for line in rehearsal.lines)
        cost = sum(line.cost for line in rehearsal.lines)
        return cls(
            currency=rehearsal.currency,
            tax_rate=rehearsal.tax_rate,
            revenue=cents_to_decimal(revenue),
            tax=cents_to_decimal(rehearsal.tax),
            total=cents_to_decimal(revenue + rehearsal.tax),
            cost=cents_to_decimal(cost),
            profit=cents_to_decimal(revenue - cost),
            lines=[
                InvoicePreviewLine.from_line(line, rehearsal.stock_left[line.product_id]) for line in rehearsal.lines
            ],
        )


@strawberry.type(description="What came of it: the invoice with its number, what it would be, or why not.")
class IssueInvoicePayload:
    """What came of it."""

    invoice: Invoice | None = strawberry.field(
        default=None,
        description="The invoice as it stands now, still the draft after a dry run; null when there are `userErrors`.",
    )
    preview: InvoicePreview | None = strawberry.field(
        default=None, description="After a dry run the invoice as it would be issued; null otherwise."
    )
    user_errors: list[UserError] = user_errors_field()


@strawberry.type(description="What came of it: the credit note, or why not.")
class CreditInvoicePayload:
    """What came of it."""

    credit_note: Invoice | None = strawberry.field(
        default=None, description="The credit note, an invoice with negative lines; null when there are `userErrors`."
    )
    invoice: Invoice | None = strawberry.field(
        default=None, description="The invoice that it takes back; null when there are `userErrors`."
    )
    user_errors: list[UserError] = user_errors_field()

    @classmethod
    def of(cls, credit: Credit) -> "CreditInvoicePayload":
        """What came of it."""
        return cls(credit_note=Invoice.from_row(credit.note), invoice=Invoice.from_row(credit.invoice))


@strawberry.type(description="What came of it: the id of what is gone, or why not.")
class DeleteDraftInvoicePayload:
    """What came of it."""

    deleted_id: strawberry.ID | None = strawberry.field(
        default=None, description="The id that the draft had; null when there are `userErrors`."
    )
    user_errors: list[UserError] = user_errors_field()

    @classmethod
    def of(cls, key: int) -> "DeleteDraftInvoicePayload":
        """What came of it."""
        return cls(deleted_id=global_id("Invoice", key))


async def _create(work: UnitOfWork, wish: CreateInvoiceInput, viewer: Viewer) -> InvoiceRow:
    return await invoice_draft.create_invoice(work, wish.wish(), viewer)


async def _update(work: UnitOfWork, wish: UpdateInvoiceInput, viewer: Viewer) -> InvoiceRow:
    key = key_of(wish.id, "Invoice")
    return await invoice_draft.update_invoice(work, key, wish.expected_version, given_values(wish), viewer)


async def _add_lines(work: UnitOfWork, wish: AddInvoiceLinesInput, viewer: Viewer) -> InvoiceRow:
    key, lines = key_of(wish.id, "Invoice"), line_wishes(wish.lines)
    return await invoice_edit.add_invoice_lines(work, key, wish.expected_version, lines, viewer)


async def _set_lines(work: UnitOfWork, wish: SetInvoiceLinesInput, viewer: Viewer) -> InvoiceRow:
    key, lines = key_of(wish.id, "Invoice"), line_wishes(wish.lines)
    return await invoice_edit.set_invoice_lines(work, key, wish.expected_version, lines, viewer)


async def _pay(work: UnitOfWork, wish: PayInvoiceInput, viewer: Viewer) -> InvoiceRow:
    return await invoice_issue.pay_invoice(work, key_of(wish.id, "Invoice"), wish.expected_version, viewer)


async def _void(work: UnitOfWork, wish: VoidInvoiceInput, viewer: Viewer) -> InvoiceRow:
    key = key_of(wish.id, "Invoice")
    return await invoice_reversal.void_invoice(work, key, wish.expected_version, wish.reason, viewer)


async def _credit(work: UnitOfWork, wish: CreditInvoiceInput, viewer: Viewer) -> Credit:
    key = key_of(wish.id, "Invoice")
    return await invoice_reversal.credit_invoice(work, key, wish.expected_version, wish.wish(), viewer)


async def _delete(work: UnitOfWork, wish: DeleteDraftInvoiceInput, viewer: Viewer) -> int:
    key = key_of(wish.id, "Invoice")
    await invoice_draft.delete_draft_invoice(work, key, wish.expected_version, viewer)
    return key


IssueArgument = Annotated[IssueInvoiceInput, strawberry.argument(description="Which draft.")]


@strawberry.type
class InvoiceMutation:
    """Mutations of invoices."""

    create_invoice: InvoicePayload = edit_field(
        InvoicePayload,
        CreateInvoiceInput,
        "The new draft.",
        _create,
        "Begin an invoice as a draft: it has no number, moves no stock and counts in no report until it is issued. "
        "Lines take the product's price of this moment.",
    )
    update_invoice: InvoicePayload = edit_field(
        InvoicePayload,
        UpdateInvoiceInput,
        "Which draft, and what to change.",
        _update,
        "Change customer, date, note or discount of a draft.",
    )
    add_invoice_lines: InvoicePayload = edit_field(
        InvoicePayload,
        AddInvoiceLinesInput,
        "Which invoice, and what to put on it.",
        _add_lines,
        "Put products on a draft or an issued invoice, all of them or none. A product that is on it already is "
        "refused: `setInvoiceLines` changes quantities. On an issued invoice stock is taken at once.",
    )
    set_invoice_lines: InvoicePayload = edit_field(
        InvoicePayload,
        SetInvoiceLinesInput,
        "Which invoice, and what is to be on it.",
        _set_lines,
        "Set the quantities of products on a draft or an issued invoice, all of them or none: 0 takes a product "
        "off, one that is not on it yet is added, those that are not named stay. On an issued invoice stock moves "
        "by the difference: what is lowered goes back to the lots it came from.",
    )
    pay_invoice: InvoicePayload = edit_field(
        InvoicePayload,
        PayInvoiceInput,
        "Which invoice.",
        _pay,
        "Say that an issued invoice is paid in full. From then on only a credit undoes it.",
    )
    void_invoice: InvoicePayload = edit_field(
        InvoicePayload,
        VoidInvoiceInput,
        "Which invoice, and why.",
        _void,
        "Take back an issued invoice that is not paid: its bottles go back to the lots they came from, its number "
        "stays taken, and it counts in no report.",
    )
    credit_invoice: CreditInvoicePayload = edit_field(
        CreditInvoicePayload,
        CreditInvoiceInput,
        "Which invoice, what of it, and why.",
        _credit,
        "Take back an issued or paid invoice, or a part of it, with a credit note: a document of its own with "
        "negative lines, which counts in reports on its day. Credits of all bottles together are exactly the "
        "negative of the invoice, tax included.",
    )
    delete_draft_invoice: DeleteDraftInvoicePayload = edit_field(
        DeleteDraftInvoicePayload,
        DeleteDraftInvoiceInput,
        "Which draft.",
        _delete,
        "Throw a draft away. Invoices that were issued stay for good.",
    )

    @strawberry.mutation(
        description=(
            "Make a draft an invoice: it gets its number, takes its bottles out of stock, first expired and oldest "
            "first, and keeps company, currency, tax rate and customer as they are now. When anything is short, "
            "nothing happens and `InsufficientStock` names all of it."
        )
    )
    async def issue_invoice(self, info: Info, input: IssueArgument) -> IssueInvoicePayload:  # noqa: A002 - the GraphQL name
        """Make a draft an invoice."""

        async def issue(work: UnitOfWork) -> IssueInvoicePayload:
            key, viewer = key_of(input.id, "Invoice"), signed_in(info.context.viewer)
            if input.dry_run:
                await invoice_issue.rehearse_issue(work, key, input.expected_version, viewer)
            issued = await invoice_issue.issue_invoice(work, key, input.expected_version, viewer)
            return IssueInvoicePayload(invoice=Invoice.from_row(issued.invoice))

        try:
            return await attempt(info, lambda errors: IssueInvoicePayload(user_errors=errors), issue)
        except Rehearsed as rehearsed:
            draft = await load_invoice(info, key_of(input.id, "Invoice"))
            return IssueInvoicePayload(invoice=draft, preview=InvoicePreview.from_rehearsal(rehearsed.rehearsal))
