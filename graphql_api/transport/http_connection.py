"""Connections that can be dropped: a client that takes nothing would otherwise keep its connection for good.

What a server has written is kept until the client reads it, also after the server has closed the connection.
"""

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# The member of ASGI's `extensions`; holds the function that drops the connection.
ABORT = "graphql_api.abort"


class HttpConnection(HttpToolsProtocol):
    """A connection of uvicorn's that lets those who answer its requests drop it."""

    def on_message_begin(self) -> None:
        """Begin to read a request."""
        super().on_message_begin()
        self.scope["extensions"] = {ABORT: {"now": self.transport.abort}}


def abort(scope: Scope) -> None:
    """Drop the connection of a request, and whatever its client has not read yet; other servers close it in time."""
    extension = scope.get("extensions", {}).get(ABORT)
    if extension is not None:
        extension["now"]()
