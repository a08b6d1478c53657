"""HTTP connections that can be dropped, and that bound what uvicorn does not.

What a server has written is kept until the client reads it, also after the server has closed the connection. And a
client that never comes to the end of its headers would be waited for, and remembered, for good.
"""

import asyncio
from typing import Any

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# The member of ASGI's `extensions`; holds the function that drops the connection.
ABORT = "graphql_api.abort"
# What the address and the headers of a request may have; in memory they take thirteen times as much.
MAX_HEAD_BYTES = 64 * 1024
# How long a client may take for them, and to begin with them.
HEAD_SECONDS = 15.0
TOO_LARGE_TEXT = f"The address and the headers have at most {MAX_HEAD_BYTES:,} bytes.\n".encode()
TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-type: text/plain\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(TOO_LARGE_TEXT), TOO_LARGE_TEXT)
)


class HeadTooLargeError(Exception):
    """The address and the headers have more bytes than any client of ours needs."""


class HttpConnection(HttpToolsProtocol):
    """A connection of uvicorn's that lets those who answer its requests drop it, and waits for no endless head."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._is_in_head = False
        self._head_bytes = 0
        # What has come besides, for a header is told of at its end only.
        self._untold_bytes = 0
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what has come."""
        self._untold_bytes += len(data)
        super().data_received(data)
        if self._head_bytes + self._untold_bytes > MAX_HEAD_BYTES:
            self._refuse_head()
        elif self._late is None and self._is_head_due:
            self._expect_head()

    def on_message_begin(self) -> None:
        """Begin to read a request."""
        super().on_message_begin()
        self._is_in_head = True
        self.scope["extensions"] = {ABORT: {"now": self.transport.abort}}

    def on_url(self, url: bytes) -> None:
        """Read a piece of the address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Read a header; or what comes like one behind a body, which nobody asks for."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._is_in_head = False
        self._head_bytes = self._untold_bytes = 0
        self._expect_nothing()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Read a piece of the body; how large it may be is for those to say who answer."""
        self._untold_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Begin anew; another request may follow."""
        self._head_bytes = self._untold_bytes = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """End the connection because of what has come."""
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse_head()
        else:
            super().send_400_response(msg)

    @property
    def _is_head_due(self) -> bool:
        """Whether the client has to send the head of a request, or the rest of one, before anything happens."""
        if self not in self.connections:
            return False  # it has ended, or has become a WebSocket
        if self._is_in_head or self.cycle is None:  # there is none before the first
            return True
        return self.cycle.response_complete

    def _count(self, size: int) -> None:
        self._untold_bytes -= size
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            raise HeadTooLargeError

    def _refuse_head(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(TOO_LARGE)
            self.transport.close()

    def _expect_head(self) -> None:
        if not self.transport.is_closing():
            self._late = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _expect_nothing(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


def abort(scope: Scope) -> None:
    """Drop the connection of a request, and whatever its client has not read yet; other servers close it in time."""
    extension = scope.get("extensions", {}).get(ABORT)
    if extension is not None:
        extension["now"]()
