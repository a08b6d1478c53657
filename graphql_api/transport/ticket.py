"""Who follows a link: by the header, or by the ticket in the address."""

from starlette.requests import Request

from graphql_api.schema.context import Services
from graphql_api.services.policy import Viewer
from graphql_api.transport.origin import viewer_of


async def download_viewer(request: Request, services: Services, path: str | None = None) -> Viewer | None:
    """Who asks, by the header; or by the ticket in the address, because a link cannot bring a header along.

    Args:
        request: what is asked.
        services: what all requests share.
        path: what the ticket has to be for, when that is not the address itself.

    Raises:
        Unauthenticated: the token or the ticket is not good, or not for this address.
    """
    ticket = request.query_params.get("ticket")
    # in place, so that the server's access log does not keep a ticket that is still good
    request.scope["query_string"] = b""
    if ticket is None or "authorization" in request.headers:
        return await viewer_of(request, services)
    return await services.authentication.ticket_viewer(ticket, path or request.url.path)
