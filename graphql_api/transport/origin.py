"""Who sends a request, and from where."""

from starlette.requests import HTTPConnection

from graphql_api.schema.context import Context, Origin, Services
from graphql_api.services.policy import Unauthenticated, Viewer
from graphql_api.services.translation import preferred_language

MAX_USER_AGENT = 200


async def create_context(connection: HTTPConnection, services: Services) -> Context:
    """The context of one operation of this request. A bad access token is no error until a field needs a right."""
    origin = origin_of(connection)
    try:
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
    header = connection.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("Send the access token as `Authorization: Bearer …`.")
    return await services.authentication.viewer(token.strip())
