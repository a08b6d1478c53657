"""The program's own connections in front of an application that a test brings along: no database, no schema."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from graphql_api.cli.service import server_config
from graphql_api.config import load_settings

PATIENCE = 60.0
UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
)


@dataclass(frozen=True)
class BareServer:
    """A server in a thread.

    Args:
        uvicorn: what serves.
        port: where, on 127.0.0.1.
    """

    uvicorn: uvicorn.Server
    port: int

    @property
    def connections(self) -> list[Any]:
        """The connections that are open."""
        return list(self.uvicorn.server_state.connections)

    def emptied(self) -> None:
        """Wait until no connection is open."""
        eventually(lambda: not self.connections)

    @contextmanager
    def plugged(self, content: bytes = b"", *, room: int | None = None) -> Iterator[socket.socket]:
        """A client that speaks in bytes, and has sent these.

        Args:
            content: what it sends.
            room: how many bytes the system keeps for it while it does not read.
        """
        with socket.socket() as plug:
            if room is not None:
                plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
            plug.settimeout(PATIENCE)
            plug.connect(("127.0.0.1", self.port))
            plug.sendall(content)
            yield plug


def eventually(condition: Any) -> None:
    """Wait for what happens in the thread of the server."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def received(plug: socket.socket, until: bytes | None = None) -> bytes:
    """What the server says, as far as this, or to the end of the connection."""
    content = b""
    while until is None or until not in content:
        try:
            piece = plug.recv(65_536)
        except ConnectionResetError:
            return content
        if not piece:
            return content
        content += piece
    return content


@contextmanager
def bare_server(application: ASGIApp, folder: Path) -> Iterator[BareServer]:
    """A server on a free port, as `serve` configures it."""

    async def with_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await application(scope, receive, send)
            return
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(server_config(load_settings(folder / "no.env"), with_lifespan, log_level="error"))  # type: ignore[arg-type]  # Starlette is an application
        thread = threading.Thread(target=asyncio.run, args=[server.serve(sockets=[listener])], daemon=True)
        thread.start()
        eventually(lambda: server.started)
        yield BareServer(server, listener.getsockname()[1])
        server.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the server did not stop"
