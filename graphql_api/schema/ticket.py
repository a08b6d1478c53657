"""Links that open without a header, for browsers."""

from graphql_api.schema.context import Info
from graphql_api.services.policy import signed_in
from graphql_api.services.token import MAX_TICKET_MINUTES


def ticket_url(info: Info, path: str) -> str:
    """The path with a ticket of the viewer's, good for this path alone and for 10 minutes.

    Raises:
        Unauthenticated: nobody has signed in.
    """
    tokens = info.context.services.authentication.tokens
    ticket = tokens.issue_ticket(signed_in(info.context.viewer), path, lifetime_minutes=MAX_TICKET_MINUTES)
    return f"{path}?ticket={ticket.text}"
