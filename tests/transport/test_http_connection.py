"""What stands before the body of a request: bounded in size and in time, for whoever never comes to its end."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from starlette.types import Receive, Scope, Send

from graphql_api.transport import http_connection
from graphql_api.transport.http_connection import MAX_HEAD_BYTES
from tests.transport.bare_server import UPGRADE, BareServer, bare_server, eventually, received

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
END = b"\r\n"
REFUSAL = b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
ALMOST = MAX_HEAD_BYTES - 1_000
SHORT = 0.5
# Long enough for a busy machine to send what it has.
NOT_SO_SHORT = 1.0


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the size of the body, after a while if that is asked for; and with nothing over a WebSocket."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        text = (await receive()).get("text")
        await send({"type": "websocket.send", "text": text})
        return
    size, is_whole = 0, False
    while not is_whole:
        message = await receive()
        size += len(message["body"])
        is_whole = not message["more_body"]
    if scope["path"] == "/slow":
        await asyncio.sleep(1.5 * NOT_SO_SHORT)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"8")]})
    await send({"type": "http.response.body", "body": b"%8d" % size})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BareServer]:
    with bare_server(application, tmp_path_factory.mktemp("server")) as server:
        yield server


def headers(size: int) -> bytes:
    """Many headers that have so many bytes together."""
    return b"X-Header: 0123456789\r\n" * (size // len("X-Header0123456789"))


@pytest.mark.parametrize(
    "head",
    [GET + headers(ALMOST), GET + b"X-Header: " + b"x" * ALMOST + END, b"GET /?q=" + b"x" * ALMOST + GET[5:]],
    ids=["many headers", "a long header", "a long address"],
)
async def test_a_large_head_is_read(server: BareServer, head: bytes) -> None:
    with server.plugged(head + END) as plug:
        assert received(plug, b"       0").startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("first", "more"),
    [
        (GET + headers(ALMOST), headers(2_000)),
        (GET + headers(ALMOST), headers(2_000) + END),
        (GET + b"X-Header: " + b"x" * ALMOST, b"x" * 2_000),
        (GET + b"X-Header: " + b"x" * ALMOST, b"x" * 2_000 + END + END),
        (b"GET /?q=" + b"x" * ALMOST, b"x" * 2_000),
    ],
    ids=["headers", "all headers", "a header", "a whole header", "the address"],
)
async def test_a_head_that_is_too_large_is_refused(server: BareServer, first: bytes, more: bytes) -> None:
    with server.plugged(first) as plug:
        plug.sendall(more)

        answer = received(plug)

    assert answer.startswith(REFUSAL)
    assert answer.endswith(b"\r\n\r\nThe address and the headers have at most 65,536 bytes.\n")
    server.emptied()


@pytest.mark.parametrize("trailer", [headers(ALMOST), b"X-Header: " + b"x" * ALMOST], ids=["many", "a long one"])
async def test_nor_does_anything_large_come_behind_a_body(server: BareServer, trailer: bytes) -> None:
    with server.plugged(GET + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n") as plug:
        eventually(lambda: any(connection.cycle for connection in server.connections))
        plug.sendall(trailer)
        plug.sendall(b"x" * 2_000)

        assert received(plug).startswith(REFUSAL)
    server.emptied()


async def test_a_body_may_be_larger_than_a_head(server: BareServer) -> None:
    size = 4 * MAX_HEAD_BYTES
    with server.plugged(GET.replace(b"GET", b"POST") + b"Content-Length: %d\r\n\r\n" % size) as plug:
        plug.sendall(b"x" * size)
        assert received(plug, b"%8d" % size)
        plug.sendall(GET + END)
        assert received(plug, b"       0").startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("content", [b"", GET, END], ids=["nothing", "half a head", "an empty line"])
async def test_who_sends_no_whole_head_is_not_waited_for(
    server: BareServer, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_connection, "HEAD_SECONDS", SHORT)
    with server.plugged(content) as plug:
        assert received(plug) == b""
    server.emptied()


@pytest.mark.parametrize("content", [GET, END], ids=["half a head", "an empty line"])
async def test_nor_for_the_next_one(server: BareServer, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with server.plugged(GET + END) as plug:
        assert received(plug, b"       0").startswith(b"HTTP/1.1 200 OK\r\n")
        monkeypatch.setattr(http_connection, "HEAD_SECONDS", SHORT)
        plug.sendall(content)

        assert received(plug) == b""
    server.emptied()


async def test_who_has_sent_a_head_is_given_time(server: BareServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "HEAD_SECONDS", NOT_SO_SHORT)
    with (
        server.plugged(GET.replace(b"/", b"/slow", 1) + END) as waiting,
        server.plugged(GET.replace(b"GET", b"POST") + b"Content-Length: 2\r\n\r\nx") as sending,
        server.plugged(UPGRADE.format(path="/", more="").encode()) as upgraded,
    ):
        assert b" 101 " in received(upgraded, END + END)
        time.sleep(1.5 * NOT_SO_SHORT)  # noqa: ASYNC251 - the server runs in another thread
        sending.sendall(b"x")
        upgraded.sendall(b"\x81\x85\0\0\0\0hello")

        assert received(waiting, b"       0").startswith(b"HTTP/1.1 200 OK\r\n")
        assert received(sending, b"       2").startswith(b"HTTP/1.1 200 OK\r\n")
        assert received(upgraded, b"hello") == b"\x81\x05hello"
