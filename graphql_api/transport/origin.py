"""Who sends a request, and from where."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from graphql_api.schema.context import Context, Origin, Services
from graphql_api.services.policy import Unauthenticated, Viewer
from graphql_api.services.translation import preferred_language

MAX_USER_AGENT = 200
# More proxies than that stand in front of nobody.
MAX_HOPS = 20

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class ClientAddress:
    """ASGI middleware that puts the address of the client in place of that of the proxy in front of us.

    Args:
        app: what comes behind.
        proxies: whose word on where a request came from is taken.
    """

    app: ASGIApp
    proxies: Sequence[Network]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        client = scope.get("client")
        if client is not None:
            hops = Headers(scope=scope).getlist("x-forwarded-for") if self.proxies else []
            # in place, so that the server's access log names the client too
            scope["client"] = (client_address(client[0], hops, self.proxies), client[1])
        await self.app(scope, receive, send)


def client_address(peer: str, forwarded: Iterable[str], proxies: Sequence[Network]) -> str:
    """The address nearest to us that is none of our proxies'; whatever stands before it anybody could have written.

    Args:
        peer: who has connected to us.
        forwarded: the headers `X-Forwarded-For`, in their order.
        proxies: whose word is taken.
    """
    address = _parsed(peer)
    if address is None:
        return peer
    hops = [hop.strip() for hop in ",".join(forwarded).rsplit(",", MAX_HOPS)[-MAX_HOPS:]]
    while hops and any(address in network for network in proxies):
        before = _parsed(hops.pop())
        if before is None:
            break
        address = before
    return str(address)


def _parsed(text: str) -> Address | None:
    """An address as it stands in the header, maybe with a port or in brackets; None when it is none."""
    host = text.partition("]")[0].removeprefix("[") if text.startswith("[") else text
    if host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


async def create_context(connection: HTTPConnection, services: Services, sender: Viewer | None = None) -> Context:
    """The context of one operation of this request. A bad access token is no error until a field needs a right.

    Args:
        connection: the request.
        services: what all operations share.
        sender: who has begun to send it, where that takes longer than an access token may live.
    """
    origin = origin_of(connection)
    try:
        if sender is not None:
            return Context(services, origin, await services.authentication.present_viewer(sender))
        return Context(services, origin, await viewer_of(connection, services))
    except Unauthenticated as problem:
        return Context(services, origin, sign_in_problem=problem)


def origin_of(connection: HTTPConnection) -> Origin:
    """Where the request comes from."""
    user_agent = connection.headers.get("user-agent")
    return Origin(
        request_id=connection.state.request_id,
        address=connection.client.host if connection.client else None,
        user_agent=user_agent[:MAX_USER_AGENT] if user_agent else None,
        language=preferred_language(connection.headers.get("accept-language", "")),
    )


async def viewer_of(connection: HTTPConnection, services: Services) -> Viewer | None:
    """Whoever the access token in `Authorization: Bearer …` was given to; None without one.

    Raises:
        Unauthenticated: the header holds something else, or a token that is not valid.
    """
    token = _bearer_token(connection)
    return None if token is None else await services.authentication.viewer(token)


def token_expiry(connection: HTTPConnection, services: Services) -> datetime | None:
    """When the access token of the request ends (UTC); None without one.

    Raises:
        Unauthenticated: as `viewer_of`.
    """
    token = _bearer_token(connection)
    return None if token is None else services.authentication.tokens.expiry(token)


def _bearer_token(connection: HTTPConnection) -> str | None:
    header = connection.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("Send the access token as `Authorization: Bearer …`.")
    return token.strip()
