"""One subscription of one client, over a WebSocket or as a stream of events, whose connection can break at any time."""

import asyncio
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

PROTOCOL = "graphql-transport-ws"
OPEN_SECONDS = 120.0
# What a server that has its troubles says; all else is a fault of ours.
COME_AGAIN = frozenset({"SERVICE_UNAVAILABLE", "OPERATION_TIMEOUT"})
# 4408 hears who was too slow to introduce himself, as whoever is when either of both was stopped for a while.
CLOSED_FOR_NOW = frozenset({1006, 1012, 1013, 4408})


class Interrupted(Exception):  # noqa: N818 - reads as what happened
    """The connection is gone, or the server cannot work at the moment: come again."""


class Refused(Exception):  # noqa: N818 - reads as what happened
    """The server has said something that it should not have said."""


@dataclass(frozen=True)
class Wish:
    """What to subscribe to."""

    query: str
    variables: Mapping[str, Any]


class Link(Protocol):
    """One subscription."""

    last_id: str | None

    async def receive(self) -> dict[str, Any]:
        """The data of the next result."""

    def abort(self) -> None:
        """Cut the connection, without a word."""


def _data(payload: Mapping[str, Any]) -> dict[str, Any]:
    if errors := payload.get("errors"):
        raise _problem(errors)
    return dict(payload["data"])


def _problem(errors: list[dict[str, Any]]) -> Exception:
    codes = {error.get("extensions", {}).get("code") for error in errors}
    return Interrupted(str(codes)) if codes <= COME_AGAIN else Refused(json.dumps(errors))


@dataclass
class SocketLink:
    """Over a WebSocket."""

    connection: ClientConnection
    last_id: str | None = None

    async def receive(self) -> dict[str, Any]:
        """The data of the next result."""
        message = await self.message()
        if message["type"] == "next":
            return _data(message["payload"])
        raise _problem(message["payload"]) if message["type"] == "error" else Refused(str(message))

    async def begin(self, token: str, wish: Wish) -> None:
        """Introduce oneself and begin the operation."""
        await self.send({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}})
        answer = await self.message()
        if answer["type"] != "connection_ack":
            raise Refused(str(answer))
        payload = {"query": wish.query, "variables": dict(wish.variables)}
        await self.send({"id": "1", "type": "subscribe", "payload": payload})

    async def message(self) -> dict[str, Any]:
        """The next message."""
        try:
            return dict(json.loads(await self.connection.recv()))
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else 1006
            if code in CLOSED_FOR_NOW:
                raise Interrupted(str(code)) from closed
            raise Refused(f"closed with {code}") from closed

    async def send(self, message: object) -> None:
        """Say something."""
        try:
            await self.connection.send(json.dumps(message))
        except ConnectionClosed:
            # whoever reads sees why
            return

    def abort(self) -> None:
        """Cut the connection."""
        self.connection.transport.abort()


async def open_socket(url: str, token: str, wish: Wish, **options: Any) -> SocketLink:
    """A WebSocket with one operation."""
    subprotocols: Any = [PROTOCOL]
    try:
        connection = await connect(
            url.replace("http", "ws", 1),
            subprotocols=subprotocols,
            open_timeout=OPEN_SECONDS,
            close_timeout=0.1,
            max_size=None,
            **options,
        )
    except (OSError, InvalidHandshake) as error:
        raise Interrupted(repr(error)) from error
    link = SocketLink(connection)
    try:
        await link.begin(token, wish)
    except BaseException:
        link.abort()
        raise
    return link


async def narrow_socket(url: str) -> socket.socket:
    """A connection into which hardly anything fits, for a client that is not going to read."""
    place = urlsplit(url)
    near_end = socket.socket()
    near_end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    near_end.setblocking(False)  # noqa: FBT003 - has no name there
    await asyncio.get_running_loop().sock_connect(near_end, (place.hostname, place.port))
    return near_end


@dataclass
class StreamLink:
    """As server-sent events, read by hand so that the connection can be cut anywhere."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    last_id: str | None = None
    _text: str = ""
    _events: list[dict[str, str]] = field(default_factory=list)

    async def receive(self) -> dict[str, Any]:
        """The data of the next result."""
        while True:
            while self._events:
                event = self._events.pop(0)
                self.last_id = event.get("id", self.last_id)
                if event.get("event") == "next":
                    return _data(json.loads(event["data"]))
                if event.get("event") == "complete":
                    raise Refused("completed")
            await self._read()

    async def begin(self) -> None:
        """Wait for the stream."""
        head = await self._guarded(self.reader.readuntil(b"\r\n\r\n"))
        status = int(head.split()[1])
        if status != HTTPStatus.OK:
            text = (await self._guarded(self.reader.read(1 << 20))).decode()
            raise Interrupted(text) if status == HTTPStatus.SERVICE_UNAVAILABLE else Refused(f"{status} {text}")

    def abort(self) -> None:
        """Cut the connection."""
        self.writer.transport.abort()

    async def _read(self) -> None:
        """Take one chunk."""
        size = int(await self._guarded(self.reader.readuntil(b"\r\n")), 16)
        if not size:
            raise Interrupted("ended without `complete`")
        self._text += (await self._guarded(self.reader.readexactly(size + 2)))[:-2].decode()
        *events, self._text = self._text.split("\n\n")
        self._events += [dict(line.split(": ", 1) for line in event.splitlines() if ": " in line) for event in events]

    async def _guarded(self, reading: Any) -> bytes:
        try:
            return bytes(await reading)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise Interrupted(repr(error)) from error


async def open_stream(url: str, token: str, wish: Wish, after: str | None = None, **options: Any) -> StreamLink:
    """A stream of events, behind the one with id `after`."""
    place = urlsplit(url)
    where: dict[str, Any] = {} if "sock" in options else {"host": place.hostname, "port": place.port}
    try:
        reader, writer = await asyncio.open_connection(**where, **options, limit=1 << 18)
    except OSError as error:
        raise Interrupted(repr(error)) from error
    content = json.dumps({"query": wish.query, "variables": dict(wish.variables)})
    headers = [
        f"POST {place.path} HTTP/1.1",
        f"host: {place.netloc}",
        "accept: text/event-stream",
        "content-type: application/json",
        f"content-length: {len(content)}",
        f"authorization: Bearer {token}",
        *([f"last-event-id: {after}"] if after else []),
    ]
    writer.write("\r\n".join([*headers, "", content]).encode())
    link = StreamLink(reader, writer, last_id=after)
    try:
        async with asyncio.timeout(OPEN_SECONDS):
            await link.begin()
    except TimeoutError as error:
        link.abort()
        raise Interrupted("no answer") from error
    except BaseException:
        link.abort()
        raise
    return link
