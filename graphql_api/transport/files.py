"""Downloads."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from graphql_api.schema.context import Services
from graphql_api.schema.node import key_of
from graphql_api.services.errors import BadInput, NotFound, ServiceError
from graphql_api.services.import_reject import rejects_csv
from graphql_api.services.policy import Action, require
from graphql_api.transport.problems import language_of, service_error_response
from graphql_api.transport.ticket import download_viewer

IMPORT_TYPE = "Import"
MAX_DIGITS = 18


@dataclass(frozen=True)
class Downloads:
    """Files that are made while they are sent.

    Args:
        services: what all requests share.
    """

    services: Services

    async def rejects(self, request: Request) -> Response:
        """The rejected rows of an import as CSV, ready to be mended and imported again."""
        try:
            require(await download_viewer(request, self.services), Action.READ_IMPORTS)
            import_id = _import_key(request.path_params["id"])
            rows = await rejects_csv(self.services.database, import_id)
        except ServiceError as error:
            return service_error_response(error, language_of(request.headers))
        return StreamingResponse(
            closing(rows),
            media_type="text/csv; charset=utf-8",
            headers={
                "content-disposition": f'attachment; filename="import-{import_id}-rejects.csv"',
                "cache-control": "no-store",
            },
        )


def _import_key(text: str) -> int:
    """The number of an import, given as such or as the global id."""
    if text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS:
        return int(text)
    try:
        return key_of(text, IMPORT_TYPE)
    except BadInput:
        raise NotFound("There is no import of this id.", path=("id",)) from None


async def closing(rows: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same rows; the database session behind them ends at once when the client goes away."""
    async with aclosing(rows):  # type: ignore[type-var]  # an async generator by its making
        async for row in rows:
            yield row
