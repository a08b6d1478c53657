"""Invoices as PDF."""

import re
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from graphql_api.schema.context import Services
from graphql_api.schema.node import key_of
from graphql_api.services.errors import BadInput, NotFound, ServiceError
from graphql_api.services.pdf.invoice_facts import invoice_facts
from graphql_api.services.pdf.renderer import Pdf
from graphql_api.services.policy import Action, require
from graphql_api.services.throttle import Caller
from graphql_api.services.throttle_rules import rules_of
from graphql_api.transport.problems import language_of, service_error_response
from graphql_api.transport.ticket import download_viewer

NOT_IN_FILE_NAMES = re.compile(r"[^A-Za-z0-9._-]+")
# Nothing in a document may run or be loaded, whatever a viewer makes of it.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


@dataclass(frozen=True)
class InvoicePdfs:
    """Printed invoices for those who may see them.

    Args:
        services: what all requests share.
    """

    services: Services

    async def get(self, request: Request) -> Response:
        """One invoice; 304 when the client has it already."""
        try:
            number, pdf = await self._printed(request)
        except ServiceError as error:
            return service_error_response(error, language_of(request.headers))
        headers = {"etag": f'"{pdf.sha256}"', "cache-control": "private, no-cache", "content-security-policy": POLICY}
        if headers["etag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        name = NOT_IN_FILE_NAMES.sub("_", number)
        headers["content-disposition"] = f'inline; filename="invoice-{name}.pdf"'
        return Response(pdf.content, media_type="application/pdf", headers=headers)

    async def _printed(self, request: Request) -> tuple[str, Pdf]:
        viewer = await download_viewer(request, self.services)
        require(viewer, Action.READ_INVOICES)
        address = request.client.host if request.client else None
        await self.services.throttle.count(rules_of("invoicePdf"), Caller(viewer, address))
        async with self.services.database.read() as session:
            facts = await invoice_facts(session, _invoice_key(request.path_params["id"]), viewer)
        return facts["number"], await self.services.documents.render(facts)


def _invoice_key(text: str) -> int:
    try:
        return key_of(text, "Invoice")
    except BadInput:
        raise NotFound("There is no invoice of this id.", path=("id",)) from None
