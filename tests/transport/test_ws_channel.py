"""What goes to a client that does not keep up: short answers wait, results wait for their turn, the end is sure."""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from starlette.types import Message

from graphql_api.transport import graphql_ws_channel
from graphql_api.transport.graphql_ws_channel import MAX_WAITING, Channel
from graphql_api.transport.graphql_ws_limits import Pace
from graphql_api.transport.graphql_ws_messages import CloseCode, SocketRefused, read_message
from graphql_api.transport.graphql_ws_sign_in import Expiry
from tests.transport.socket_client import until


@dataclass
class Wire:
    """A server whose client reads only while it is open."""

    is_open: asyncio.Event = field(default_factory=asyncio.Event)
    taken: list[Message] = field(default_factory=list)
    happened: list[str] = field(default_factory=list)
    channel: Channel = field(init=False)

    def __post_init__(self) -> None:
        self.is_open.set()
        self.channel = self.channel_with(deadline=60.0)

    def channel_with(self, deadline: float) -> Channel:
        return Channel(
            self.send,
            on_free=lambda: self.happened.append("free"),
            on_dead=lambda: self.happened.append("dead"),
            deadline=deadline,
        )

    async def send(self, message: Message) -> None:
        await self.is_open.wait()
        self.taken.append(message)

    @property
    def texts(self) -> list[str]:
        return [message.get("text") or str(message["code"]) for message in self.taken]


@pytest.fixture
async def wire() -> Wire:
    return Wire()


async def test_what_is_sent_while_the_client_reads_goes_out_at_once(wire: Wire) -> None:
    wire.channel.put("a")
    wire.channel.say("b")
    wire.channel.close(CloseCode.FORBIDDEN, "why")

    assert wire.taken == [
        {"type": "websocket.send", "text": "a"},
        {"type": "websocket.send", "text": "b"},
        {"type": "websocket.close", "code": 4403, "reason": "why"},
    ]
    assert wire.happened == []


async def test_short_answers_wait_while_the_client_does_not_read_and_keep_their_order(wire: Wire) -> None:
    wire.is_open.clear()
    wire.channel.put("a")
    assert not wire.channel.is_free
    wire.channel.say("b")
    wire.channel.say("c")
    wire.is_open.set()

    await until(lambda: wire.texts == ["a", "b", "c"])
    assert wire.channel.is_free
    assert wire.happened == ["free"]


async def test_results_wait_for_their_turn(wire: Wire) -> None:
    wire.is_open.clear()
    wire.channel.put("a")
    turns = [asyncio.create_task(wire.channel.turn()) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert not any(turn.done() for turn in turns)

    wire.is_open.set()

    assert await asyncio.gather(*turns) == [True] * 3
    assert await wire.channel.turn()


@pytest.mark.parametrize("end", ["close", "cut"])
async def test_nobody_waits_for_a_turn_that_does_not_come(wire: Wire, end: str) -> None:
    wire.is_open.clear()
    wire.channel.put("a")
    turn = asyncio.create_task(wire.channel.turn())
    await asyncio.sleep(0)
    if end == "close":
        wire.channel.close(CloseCode.FORBIDDEN, "why")
    else:
        wire.channel.cut()

    assert not await turn
    wire.channel.cut()


async def test_the_end_comes_after_what_waits_and_nothing_after_it(wire: Wire) -> None:
    wire.is_open.clear()
    wire.channel.put("a")
    wire.channel.say("b")
    wire.channel.close(CloseCode.FORBIDDEN, "why")
    wire.channel.close(CloseCode.BAD_MESSAGE, "again")
    wire.channel.say("c")
    wire.is_open.set()

    await until(lambda: wire.texts == ["a", "b", "4403"])
    assert wire.happened == []
    assert wire.channel.is_drained


@pytest.mark.parametrize("answer", ["x", "x" * 100_000])
async def test_a_client_that_asks_and_asks_without_reading_is_closed(wire: Wire, answer: str) -> None:
    wire.is_open.clear()
    for _ in range(MAX_WAITING + 5):
        wire.channel.say(answer)
    wire.is_open.set()

    await until(lambda: wire.channel.is_drained)
    assert wire.taken[1:] == [
        {"type": "websocket.close", "code": 1008, "reason": "Too many answers wait for this client to read them."}
    ]


async def test_a_client_that_does_not_even_take_the_end_is_given_up(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphql_ws_channel, "LAST_WORD_SECONDS", 0.05)
    wire.is_open.clear()
    wire.channel.put("a")
    wire.channel.close(CloseCode.FORBIDDEN, "why")

    await until(lambda: wire.happened == ["dead"])
    wire.channel.cut()


async def test_a_client_that_takes_nothing_until_the_deadline_is_given_up(wire: Wire) -> None:
    channel = wire.channel_with(deadline=0.05)
    wire.is_open.clear()
    channel.put("a")

    await until(lambda: wire.happened == ["dead"])
    assert not channel.is_free


async def test_a_long_reason_is_cut_between_characters(wire: Wire) -> None:
    wire.channel.close(CloseCode.FORBIDDEN, "é" * 100 + "\ud800")
    assert wire.taken[0]["reason"] == "é" * 61


async def test_things_begin_at_a_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("graphql_api.transport.graphql_ws_limits.time.monotonic", lambda: now)
    pace = Pace(per_second=2, burst=3)

    assert [pace.may_begin() for _ in range(4)] == [True, True, True, False]
    now += 1
    assert [pace.may_begin() for _ in range(3)] == [True, True, False]
    now += 1_000
    assert [pace.may_begin() for _ in range(4)] == [True, True, True, False]


async def test_an_end_that_is_put_off_is_told_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphql_api.transport.graphql_ws_sign_in.NOTICE_SECONDS", 3600.0)
    told: list[object] = []
    expiry = Expiry(notify=lambda moment, _seconds: told.append(moment), end=lambda: told.append("end"))
    first, second = (datetime.now(UTC) + timedelta(seconds=seconds) for seconds in (600, 0.3))

    expiry.start(first)
    await until(lambda: told == [first])
    expiry.start(second)
    await until(lambda: told == [first, second, "end"])
    assert datetime.now(UTC) >= second
    expiry.start(datetime.now(UTC) - timedelta(seconds=3))
    await until(lambda: told[-1] == "end" and len(told) == 5)
    expiry.start(datetime.now(UTC) + timedelta(seconds=0.1))
    expiry.stop()
    await asyncio.sleep(0.2)
    assert len(told) == 5


def test_reasons_of_refused_messages_fit_a_close_frame() -> None:
    for text in ('{"type": 1}', "[", '"x"', json.dumps({"type": "complete", "id": 5})):
        with pytest.raises(SocketRefused) as refused:
            read_message(text)
        assert len(refused.value.reason.encode()) <= 123
