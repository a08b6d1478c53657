"""WebSockets on the wire: requests that open none, clients that fall silent, and those who send more than is wanted."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from starlette.types import Receive, Scope, Send

from graphql_api.transport.socket_metrics import TALLY
from graphql_api.transport.websocket_connection import SLICE_BYTES, WebSocketConnection
from tests.transport.bare_server import UPGRADE, BareServer, bare_server, eventually, received

LONG = "x" * 9_000
LARGE = "x" * 8_000_000
FRAME = b"\x81\x85\0\0\0\0%05d"
FLOOD = 20_000
CLOSE = b"\x88\x82\0\0\0\0\x03\xe8"
# Of one slice that may have begun with the end of another's last frame.
MOST_WAITING = SLICE_BYTES // len(FRAME % 0) + 1


class Application:
    """Takes WebSockets in, and messages as soon as it may; to who asks for a lot, it sends a lot."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.may_read = threading.Event()
        self.may_read.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        if scope["path"] == "/large":
            await send({"type": "websocket.send", "text": LARGE})
        while not self.may_read.is_set():  # noqa: ASYNC110 - the test runs in another thread
            await asyncio.sleep(0.005)
        while (message := await receive())["type"] == "websocket.receive":
            self.taken.append(message["text"])


@pytest.fixture(scope="module")
def application() -> Application:
    return Application()


@pytest.fixture(scope="module")
def server(application: Application, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BareServer]:
    with bare_server(application, tmp_path_factory.mktemp("server")) as server:
        yield server


def opening(path: str = "/", more: str = "") -> bytes:
    return UPGRADE.format(path=path, more=more).encode()


def only_connection(server: BareServer) -> WebSocketConnection:
    eventually(lambda: len(server.connections) == 1)
    (connection,) = server.connections
    assert isinstance(connection, WebSocketConnection)
    return connection


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (opening(more=f"Cookie: {LONG}\r\n"), b"431"),
        (opening(more="".join(f"X-{number}: x\r\n" for number in range(200))), b"431"),
        (opening(f"/?q={LONG}"), b"414"),
        (opening(more="Content-Length: 3\r\n") + b"abc", b"400"),
        (opening().replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"short"), b"400"),
    ],
    ids=["a long header", "many headers", "a long address", "a body", "a bad key"],
)
def test_a_request_that_opens_no_socket_is_answered(server: BareServer, request_: bytes, status: bytes) -> None:
    with server.plugged(request_) as plug:
        assert received(plug).startswith(b"HTTP/1.1 " + status)
    server.emptied()


def test_who_sends_much_at_once_has_little_of_it_kept(server: BareServer, application: Application) -> None:
    # given an application that takes its time
    application.taken.clear()
    application.may_read.clear()
    with server.plugged(opening()) as plug:
        received(plug, b"\r\n\r\n")
        connection = only_connection(server)
        sending = threading.Thread(target=plug.sendall, args=[b"".join(FRAME % n for n in range(FLOOD)) + CLOSE])
        # when a flood of messages comes
        sending.start()
        eventually(lambda: connection.read_paused)
        # then few are read, and nothing is lost of the others
        waiting = connection.queue.qsize()
        application.may_read.set()
        sending.join()
        assert received(plug) == b"\x88\x02\x03\xe8"
        eventually(lambda: len(application.taken) == FLOOD)
    assert 0 < waiting <= MOST_WAITING
    assert application.taken == [f"{number:05}" for number in range(FLOOD)]


def test_who_answers_no_ping_is_dropped_though_there_is_something_to_read(
    server: BareServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.uvicorn.config, "ws_ping_interval", 3.0)
    monkeypatch.setattr(server.uvicorn.config, "ws_ping_timeout", 0.1)
    closed = TALLY.closes[1011]
    with server.plugged(opening("/large"), room=8_192) as plug:
        received(plug, b"\r\n\r\n")
        connection = only_connection(server)
        eventually(lambda: connection.transport.get_write_buffer_size() > 0)
        server.emptied()
    assert TALLY.closes[1011] == closed + 1


def test_who_answers_pings_stays(server: BareServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.uvicorn.config, "ws_ping_interval", 0.05)
    with server.plugged(opening()) as plug:
        rest = received(plug, b"\x89\x04").partition(b"\r\n\r\n")[2]
        for _ in range(3):
            while len(rest) < 6:
                rest += plug.recv(6 - len(rest))
            plug.sendall(b"\x8a\x84\0\0\0\0" + rest[2:6])
            rest = rest[6:]
        plug.sendall(CLOSE)
        assert received(plug).endswith(b"\x88\x02\x03\xe8")


def test_a_sign_of_life_is_asked_for_and_waited_for_forty_seconds_in_all(server: BareServer) -> None:
    with server.plugged(opening()) as plug:
        received(plug, b"\r\n\r\n")
        connection = only_connection(server)
        eventually(lambda: connection.ping_timer is not None)
        assert connection.ping_timer is not None
        left = connection.ping_timer.when() - connection.loop.time()
        assert 0 < left <= 20
        assert connection.ping_timeout == 20
    server.emptied()
