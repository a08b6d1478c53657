"""Changes of invoices as clients listen to them."""

from collections.abc import AsyncGenerator

import strawberry
from strawberry import UNSET

from graphql_api.database.event import Topic
from graphql_api.database.invoice import InvoiceStatus
from graphql_api.events.catalogue import InvoiceChange, InvoiceChanged
from graphql_api.schema.context import Context, Info
from graphql_api.schema.enums import describe
from graphql_api.schema.event_stream import (
    AS_IT_IS_NOW,
    AfterEvent,
    ChangeFilter,
    LoggedEvent,
    LoggedFields,
    MatchingEvents,
    event_stream,
)
from graphql_api.schema.filters import (
    ALL_OF,
    ANY_OF,
    NONE_OF,
    IdFilter,
    InvoiceStatusFilter,
    StringFilter,
    id_filter,
    operator,
    to_where,
)
from graphql_api.schema.invoice import Invoice
from graphql_api.schema.node import global_id
from graphql_api.services.event_filter import INVOICE_FACTS
from graphql_api.services.visibility import sees_all_invoices

describe(
    InvoiceChange,
    "What has become of an invoice or credit note.",
    {
        "CREATED": "It is new: a draft.",
        "UPDATED": "Something on it was changed; its status stayed.",
        "ISSUED": "It was issued. A credit note, which is never seen as a draft, begins with it.",
        "PAID": "It was paid.",
        "VOID": "It was voided.",
        "DELETED": "It was a draft, and was deleted.",
    },
)


@strawberry.type(description="An invoice or credit note was made or changed.")
class InvoiceEvent(LoggedEvent):
    """An invoice or credit note was made or changed."""

    change: InvoiceChange = strawberry.field(description="What has become of it.")
    invoice_id: strawberry.ID = strawberry.field(description="Its id.")
    number: str | None = strawberry.field(description="Its number after the change; null for a draft.")
    status: InvoiceStatus = strawberry.field(description="How far it had come after the change.")
    version: int = strawberry.field(description="Its version after the change.")
    key: strawberry.Private[int]

    @strawberry.field(description=AS_IT_IS_NOW)
    async def invoice(self, info: Info) -> Invoice | None:
        """All of it, as it is now."""
        row = await info.context.loaders.invoices.load(self.key)
        return Invoice.from_row(row) if row else None


@strawberry.input(description="Conditions on what has become of an invoice.")
class InvoiceChangeFilter(ChangeFilter[InvoiceChange]):
    """Conditions on what has become of an invoice."""


@strawberry.input(
    description="Which changes of invoices; all given conditions must hold, for the invoice right after the change."
)
class InvoiceEventWhere:
    """Which changes of invoices."""

    id: IdFilter | None = id_filter("Invoice", "The id of the invoice.")
    number: StringFilter | None = operator("Its number; drafts have none.")
    status: InvoiceStatusFilter | None = operator("How far it had come.")
    change: InvoiceChangeFilter | None = operator("What has become of it.")
    store: IdFilter | None = id_filter("Store", "The id of the store that sells.")
    customer: IdFilter | None = id_filter("Customer", "The id of the customer whom it is for.")
    and_: list["InvoiceEventWhere"] | None = operator(ALL_OF, name="and")
    or_: list["InvoiceEventWhere"] | None = operator(ANY_OF, name="or")
    not_: "InvoiceEventWhere | None" = operator(NONE_OF, name="not")


async def _present(fact: InvoiceChanged, logged: LoggedFields, context: Context) -> InvoiceEvent | None:
    if not await _is_visible(fact, context):
        return None
    return InvoiceEvent(
        **logged,
        change=fact.change,
        invoice_id=global_id("Invoice", fact.invoice),
        number=fact.number,
        status=fact.status,
        version=fact.version,
        key=fact.invoice,
    )


async def _is_visible(fact: InvoiceChanged, context: Context) -> bool:
    """Whether the viewer may hear of it. Customers never hear of drafts, nor later of what was one."""
    if sees_all_invoices(context.viewer):
        return True
    return fact.status is not InvoiceStatus.DRAFT and await context.loaders.invoices.load(fact.invoice) is not None


@strawberry.type
class InvoiceSubscription:
    """Root field that tells of invoices."""

    @strawberry.subscription(
        description=(
            "Every invoice and credit note that is written, changed, issued, paid, voided or deleted here, each change "
            "once and in order; customers hear of their own ones from the day they are issued. Invoices that come with "
            "a file are not told one by one: `importProgress` tells of the file. As in `subscription { "
            "invoiceChanged(where: {status: {eq: PAID}}) { cursor change invoice { number total } } }`."
        )
    )
    async def invoice_changed(
        self, info: Info, where: MatchingEvents[InvoiceEventWhere] = UNSET, after: AfterEvent = UNSET
    ) -> AsyncGenerator[InvoiceEvent, None]:
        """Every change of an invoice."""
        return await event_stream(
            info.context, Topic.INVOICE, _present, where=to_where(where), facts=INVOICE_FACTS, after=after
        )
