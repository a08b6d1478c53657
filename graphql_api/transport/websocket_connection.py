"""WebSockets that can be dropped: a client that takes nothing would otherwise keep its connection for good."""

from collections.abc import Sequence
from typing import Any

from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

from graphql_api.transport.graphql_ws_limits import Pace
from graphql_api.transport.http_connection import ABORT
from graphql_api.transport.socket_metrics import TALLY

# How long a client has to answer the word that ends the connection.
CLOSE_SECONDS = 3.0
# The code for text that is not UTF-8.
NOT_TEXT = 1007
# Pings, pongs and pieces of messages that a client may send: reading waits for no one to deal with them, so a flood of
# them would leave nothing to the others.
IDLE_FRAMES_PER_SECOND = 20.0
IDLE_FRAMES_AT_ONCE = 1_000
TOO_MANY_FRAMES = 1008
# The code for who answers no ping.
SILENT = 1011
# What is read in one go. A quarter of a megabyte comes at once, which may be 40,000 messages: to read them all would
# take half a second in which nobody else has a turn.
SLICE_BYTES = 4096
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class WebSocketConnection(WebSocketsSansIOProtocol):
    """A WebSocket of uvicorn's that lets those who serve it drop it, and drops by itself what has gone silent."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.close_timeout = CLOSE_SECONDS
        self._pace = Pace(IDLE_FRAMES_PER_SECOND, IDLE_FRAMES_AT_ONCE)
        self._unread = bytearray()

    def data_received(self, data: bytes) -> None:
        """Take what has come, and read as much of it as is wanted."""
        self._unread += data
        self._read_on()
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self._refuse_handshake()

    async def receive(self) -> ASGIReceiveEvent:
        """Wait for a message, and read on when it was the last of those that had been read."""
        message = await super().receive()
        self._read_on()
        return message

    def handle_connect(self, event: Request) -> None:
        """Begin to serve a request to open a WebSocket."""
        super().handle_connect(event)
        if not self.close_sent:  # it was well formed
            self.scope["extensions"] |= {ABORT: {"now": self.transport.abort}}

    def handle_cont(self, event: Frame) -> None:
        """Read a piece of a message."""
        if self._may_go_on():
            super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answer a ping."""
        if self._may_go_on():
            super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        """Read an answer to a ping, or what a client sends instead of pings."""
        if self._may_go_on():
            super().handle_pong(event)

    def send_receive_event_to_app(self) -> None:
        """Hand on a message; text that is none ends the connection, which is nothing to be logged as a fault."""
        if self.close_sent and not self._may_go_on():
            return
        if self.curr_msg_data_type == "text" and not _is_utf8(self.frames):
            self.frames = []
            self.conn.send_close(NOT_TEXT)
            self.handle_parser_exception()
            return
        super().send_receive_event_to_app()

    def handle_parser_exception(self) -> None:
        """End the connection because of what has come."""
        if not self.close_sent and self.conn.close_sent is not None:
            TALLY.closes[self.conn.close_sent.code] += 1
        super().handle_parser_exception()

    def keepalive_timeout(self) -> None:
        """Give up a client that answers no ping; closing alone would wait for what it does not read."""
        if not (self.close_sent or self.transport.is_closing()):
            TALLY.closes[SILENT] += 1
        super().keepalive_timeout()
        self.transport.abort()

    def _read_on(self) -> None:
        """Read until there is a message that nobody has asked for, or the connection ends."""
        while self._unread and not self.read_paused and not self.transport.is_closing():
            piece = bytes(self._unread[:SLICE_BYTES])
            del self._unread[:SLICE_BYTES]
            super().data_received(piece)

    def _refuse_handshake(self) -> None:
        """Answer a request that is no handshake, or too long for one; uvicorn would leave the client waiting."""
        self.transport.write(b"".join(self.conn.data_to_send()) or BAD_REQUEST)
        self.transport.close()

    def _may_go_on(self) -> bool:
        """Count a frame that is no message to be dealt with; too many of them end the connection."""
        if self.transport.is_closing():
            return False
        if self._pace.may_begin():
            return True
        if self.close_sent:
            self.transport.abort()
        else:
            self.conn.send_close(TOO_MANY_FRAMES, "Too many pings, pongs or pieces of messages.")
            self.handle_parser_exception()
        return False


def _is_utf8(frames: Sequence[bytes]) -> bool:
    try:
        b"".join(frames).decode()
    except UnicodeDecodeError:
        return False
    return True
