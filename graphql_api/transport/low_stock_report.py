"""The report of low stock as a file."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from graphql_api.database.engine import Database
from graphql_api.schema.context import Services
from graphql_api.services.errors import BadInput, ServiceError
from graphql_api.services.low_stock_print import low_stock_csv, low_stock_text
from graphql_api.services.low_stock_report import DEFAULT_DAYS, MAX_DAYS, checked_days
from graphql_api.services.policy import Action, require
from graphql_api.services.throttle import Caller
from graphql_api.services.throttle_rules import rules_of
from graphql_api.transport.files import closing
from graphql_api.transport.problems import language_of, service_error_response
from graphql_api.transport.ticket import download_viewer

MAX_DIGITS = 9
Print = Callable[[Database, int], Awaitable[AsyncIterator[bytes]]]


@dataclass(frozen=True)
class LowStockReports:
    """The report of low stock, made while it is sent.

    Args:
        services: what all requests share.
    """

    services: Services

    async def text(self, request: Request) -> Response:
        """Plain text in columns."""
        return await self._send(request, low_stock_text, "text/plain; charset=utf-8", "inline")

    async def csv(self, request: Request) -> Response:
        """CSV."""
        return await self._send(
            request, low_stock_csv, "text/csv; charset=utf-8", 'attachment; filename="low-stock.csv"'
        )

    async def _send(self, request: Request, render: Print, media_type: str, disposition: str) -> Response:
        try:
            viewer = await download_viewer(request, self.services)
            require(viewer, Action.READ_STOCK)
            address = request.client.host if request.client else None
            await self.services.throttle.count(rules_of("lowStockFile"), Caller(viewer, address))
            parts = await render(self.services.database, _days(request.query_params.get("withinDays")))
        except ServiceError as error:
            return service_error_response(error, language_of(request.headers))
        headers = {
            "content-disposition": disposition,
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
        }
        return StreamingResponse(closing(parts), media_type=media_type, headers=headers)


def _days(given: str | None) -> int:
    """How many days ahead lots that expire are named."""
    if given is None:
        return DEFAULT_DAYS
    if not (given.isascii() and given.isdecimal() and len(given) <= MAX_DIGITS):
        raise BadInput("`withinDays` goes from 0 to {limit:,}.", path=("withinDays",), limit=MAX_DAYS)
    return checked_days(int(given))
