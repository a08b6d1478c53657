"""A line sends at once, tells when a client does not keep up, and gives it up when it is gone."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.types import Message, Receive, Scope, Send
from websockets.asyncio.client import connect

from graphql_api.transport.line import Line
from tests.transport.fanout_case import until

PATIENCE = 60.0
LARGE = "x" * 65_536


class Server:
    """The other side of a line as a test wants it."""

    def __init__(self) -> None:
        self.taken: list[Message] = []
        self.calls: list[str] = []
        self.waits: list[asyncio.Event] = []
        self.fails = False
        self.is_given_up = False

    async def send(self, message: Message) -> None:
        """Take a message after everything in `waits`; fail if told."""
        try:
            for event in list(self.waits):
                await event.wait()
                await asyncio.sleep(0)
        except (asyncio.CancelledError, GeneratorExit):
            self.is_given_up = True
            raise
        if self.fails:
            raise OSError("the client has gone")
        self.taken.append(message)

    def line(self, *, deadline: float = PATIENCE, on_free: Callable[[], None] = lambda: None) -> Line:
        """A line to it that notes what it is told."""

        def note_free() -> None:
            self.calls.append("free")
            on_free()

        return Line(self.send, on_free=note_free, on_dead=lambda: self.calls.append("dead"), deadline=deadline)


def message(number: int) -> Message:
    return {"type": "websocket.send", "text": str(number)}


class TestOneClient:
    async def test_what_is_taken_at_once_needs_no_task(self) -> None:
        server = Server()
        line = server.line()
        tasks = len(asyncio.all_tasks())

        for number in range(3):
            line.put(message(number))
            assert line.is_free

        assert server.taken == [message(0), message(1), message(2)]
        assert len(asyncio.all_tasks()) == tasks
        assert server.calls == []

    async def test_a_client_that_does_not_keep_up_is_waited_for(self) -> None:
        # given
        server = Server()
        server.waits = [asyncio.Event(), asyncio.Event()]
        line = server.line(on_free=lambda: line.put(message(2)) if len(server.taken) == 1 else None)

        # when
        line.put(message(1))
        assert not line.is_free
        with pytest.raises(RuntimeError):
            line.put(message(9))
        server.waits[0].set()
        await asyncio.sleep(0.01)
        assert not line.is_free
        server.waits[1].set()
        await line.drained()
        await line.drained()

        # then: inside of `on_free` the line is free, and what was put there comes behind
        assert server.taken == [message(1), message(2)]
        assert server.calls == ["free", "free"]
        assert line.is_free

    @pytest.mark.parametrize("waits", [False, True])
    async def test_a_client_that_has_gone_is_told_of_once(self, waits: bool) -> None:  # noqa: FBT001 - a parameter
        # given
        server = Server()
        server.fails = True
        server.waits = [asyncio.Event()] if waits else []
        line = server.line()

        # when
        line.put(message(1))
        for event in server.waits:
            event.set()
        await line.drained()
        line.put(message(2))
        line.cut()

        # then
        assert server.calls == ["dead"]
        assert not line.is_free
        assert server.taken == []

    async def test_a_client_that_takes_nothing_until_the_deadline_has_gone(self) -> None:
        server = Server()
        server.waits = [asyncio.Event()]
        line = server.line(deadline=0.05)

        line.put(message(1))
        await line.drained()

        assert server.calls == ["dead"]
        assert server.is_given_up
        assert not line.is_free

    @pytest.mark.parametrize("turns", [0, 1, 3])
    async def test_what_waits_is_given_up_when_the_line_is_cut(self, turns: int) -> None:
        server = Server()
        server.waits = [asyncio.Event()]
        line = server.line()
        line.put(message(1))
        for _ in range(turns):
            await asyncio.sleep(0)

        line.cut()
        line.cut()
        await line.drained()
        server.waits[0].set()
        await asyncio.sleep(0.01)

        assert server.calls == []
        assert server.taken == []
        assert server.is_given_up
        assert not line.is_free

    async def test_a_line_may_be_cut_from_within_its_callbacks(self) -> None:
        server = Server()
        server.waits = [asyncio.Event()]
        line = server.line(on_free=lambda: line.cut())  # noqa: PLW0108 - there is no line yet
        line.put(message(1))

        server.waits[0].set()
        await line.drained()

        assert server.calls == ["free"]
        assert not line.is_free


class Talker:
    """An application that talks to its client for as long as the line is free."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.calls: list[str] = []
        self.sent = 0
        self.line: Line | None = None
        self.is_told_to_stop = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client, over a WebSocket or as a stream."""
        self.is_socket = scope["type"] == "websocket"
        opening: dict[str, Any] = {"type": "websocket.accept"}
        if not self.is_socket:
            opening = {"type": "http.response.start", "status": 200, "headers": []}
        await receive()
        await send(opening)
        self.line = Line(send, on_free=self.talk, on_dead=lambda: self.calls.append("dead"), deadline=self.deadline)
        self.talk()
        while (await receive())["type"] not in {"websocket.disconnect", "http.disconnect"}:
            pass
        self.calls.append("left")
        self.line.cut()

    def talk(self) -> None:
        """Say something until that has to wait, or it is enough."""
        while self.line and self.line.is_free and not self.is_told_to_stop and self.sent < 5_000:
            text = f"{self.sent:06}{LARGE}"
            self.sent += 1
            if self.is_socket:
                self.line.put({"type": "websocket.send", "text": text})
            else:
                self.line.put({"type": "http.response.body", "body": text.encode(), "more_body": True})

    @property
    def is_stuck(self) -> bool:
        """Whether the client does not keep up."""
        return self.line is not None and not self.line.is_free


@asynccontextmanager
async def serving(talker: Talker) -> AsyncIterator[str]:
    """The application behind a real server; its address without the scheme."""
    config = uvicorn.Config(
        talker, port=0, lifespan="off", log_level="error", ws="websockets-sansio", ws_per_message_deflate=False
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    try:
        await until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"127.0.0.1:{port}"
    finally:
        server.should_exit = server.force_exit = True
        await task


class TestRealServer:
    async def test_a_socket_that_is_not_read_stops_the_line_and_goes_on_when_read(self) -> None:
        # given
        talker = Talker(PATIENCE)
        async with serving(talker) as address, connect(f"ws://{address}", max_queue=1, compression=None) as client:
            # when
            await until(lambda: talker.is_stuck)
            await asyncio.sleep(0.1)
            stuck_at = talker.sent
            read = [str(await client.recv())[:6] for _ in range(stuck_at + 20)]
            talker.is_told_to_stop = True
            client.transport.abort()  # what it has not read keeps it from saying goodbye

            # then: the messages lie in the buffers of sockets, not in ours
            assert stuck_at < 500
            assert read == [f"{number:06}" for number in range(stuck_at + 20)]
            assert "dead" not in talker.calls

    async def test_a_stream_that_is_not_read_stops_the_line_and_goes_on_when_read(self) -> None:
        # given
        talker = Talker(PATIENCE)
        async with serving(talker) as address:
            reader, writer = await asyncio.open_connection(*address.split(":"), limit=1_000)
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")

            # when
            await until(lambda: talker.is_stuck)
            await asyncio.sleep(0.1)
            stuck_at = talker.sent
            wanted = (stuck_at + 20) * len(LARGE)
            while wanted > 0:
                wanted -= len(await reader.read(1 << 20))
            talker.is_told_to_stop = True

            # then
            assert stuck_at < 500
            assert talker.sent > stuck_at
            assert talker.calls == []
            writer.close()

    async def test_a_client_that_never_reads_is_given_up(self) -> None:
        talker = Talker(0.3)
        async with serving(talker) as address, connect(f"ws://{address}", max_queue=1, compression=None) as client:
            await until(lambda: talker.calls)

            assert talker.calls == ["dead"]
            assert not talker.line or not talker.line.is_free
            client.transport.abort()

    async def test_a_client_that_leaves_while_it_is_waited_for_leaves_nothing(self) -> None:
        # given
        talker = Talker(PATIENCE)
        async with serving(talker) as address, connect(f"ws://{address}", max_queue=1, compression=None) as client:
            await until(lambda: talker.is_stuck)

            # when
            client.transport.abort()
            await until(lambda: "left" in talker.calls)
            assert talker.line is not None
            await talker.line.drained()

            # then
            assert talker.calls.count("dead") <= 1
            assert not talker.line.is_free
