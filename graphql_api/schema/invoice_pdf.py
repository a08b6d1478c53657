"""The printed invoice."""

import strawberry

from graphql_api.schema.context import Info
from graphql_api.schema.ticket import ticket_url
from graphql_api.services.pdf.invoice_facts import invoice_facts
from graphql_api.services.throttle_rules import rules_of


@strawberry.type(description="The printed invoice, as it was issued. The same invoice makes the same bytes.")
class InvoicePdf:
    """The printed invoice."""

    id: strawberry.Private[str]
    key: strawberry.Private[int]

    @strawberry.field(
        description=(
            "Where to get it. The link is yours alone and opens without a header for 10 minutes; after that ask again, "
            "or send your access token."
        )
    )
    def url(self, info: Info) -> str:
        """Where to get it."""
        return ticket_url(info, f"/invoices/{self.id}.pdf")

    @strawberry.field(
        description=(
            "The SHA-256 of its bytes in hex. It is set for this, at about 0.1 s: at most 25 in a request, and as "
            "often as it may be downloaded."
        )
    )
    async def sha256(self, info: Info) -> str:
        """The SHA-256 of its bytes."""
        context = info.context
        await context.throttle(rules_of("invoicePdf"))
        async with context.database.read() as session:
            facts = await invoice_facts(session, self.key, context.viewer)
        return (await context.services.documents.render(facts)).sha256
