"""A client of graphql-transport-ws for tests: it says exactly what it is told to say, and hides nothing."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

PROTOCOL = "graphql-transport-ws"
PATIENCE = 60.0


@dataclass(frozen=True)
class SocketClient:
    """One WebSocket."""

    connection: ClientConnection

    async def send(self, message: object) -> None:
        """Send something as JSON."""
        await self.connection.send(json.dumps(message))

    async def send_text(self, text: str | bytes) -> None:
        """Send a frame as it is."""
        await self.connection.send(text)

    async def receive(self) -> dict[str, Any]:
        """The next message of the server."""
        async with asyncio.timeout(PATIENCE):
            return dict(json.loads(await self.connection.recv()))

    async def init(self, token: str | None = None) -> dict[str, Any]:
        """Introduce oneself; the answer."""
        payload = {"authorization": f"Bearer {token}"} if token else None
        await self.send({"type": "connection_init", "payload": payload})
        answer = await self.receive()
        assert answer["type"] == "connection_ack"
        return answer

    async def subscribe(self, id_: str, query: str, **payload: Any) -> None:
        """Begin an operation."""
        await self.send({"id": id_, "type": "subscribe", "payload": {"query": query, **payload}})

    async def execute(self, query: str, **payload: Any) -> dict[str, Any]:
        """The answer to a query or mutation."""
        await self.subscribe("execute", query, **payload)
        answer = await self.receive()
        if answer["type"] == "next":
            assert await self.receive() == {"id": "execute", "type": "complete"}
        return dict(answer)

    async def closing(self) -> tuple[int, str]:
        """Wait for the server to end it; the code and the reason. Messages before that are dropped."""
        async with asyncio.timeout(PATIENCE):
            try:
                while True:
                    await self.connection.recv()
            except ConnectionClosed as closed:
                frame = closed.rcvd
                assert frame is not None, "the connection was lost without a close frame"
                return frame.code, frame.reason

    async def silence(self, seconds: float = 0.3) -> None:
        """Return when nothing has come for so long."""
        try:
            async with asyncio.timeout(seconds):
                message = await self.connection.recv()
        except TimeoutError:
            return
        raise AssertionError(message)


async def until(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Wait for what other processes bring about."""
    async with asyncio.timeout(patience):
        while not condition():  # noqa: ASYNC110 - nothing here tells when
            await asyncio.sleep(0.005)


@asynccontextmanager
async def socket_to(url: str, *protocols: str, **options: Any) -> AsyncIterator[SocketClient]:
    """A WebSocket that nobody has introduced himself on; the client speaks ours unless told otherwise."""
    offered: Any = protocols or [PROTOCOL]
    async with connect(url, subprotocols=offered, max_size=None, **options) as connection:
        yield SocketClient(connection)


@asynccontextmanager
async def deaf_socket_to(url: str) -> AsyncIterator[SocketClient]:
    """A WebSocket between whose ends hardly anything fits, for a client that is going to stop reading."""
    place = urlsplit(url)
    near_end = socket.socket()
    near_end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    near_end.setblocking(False)  # noqa: FBT003 - has no name there
    await asyncio.get_running_loop().sock_connect(near_end, (place.hostname, place.port))
    async with socket_to(url, sock=near_end, ping_interval=None, close_timeout=0.1) as client:
        yield client
