"""Whatever happens in whatever order: everybody gets exactly what follows its place, once and in order."""

import asyncio
import os
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from graphql_api.database.engine import Database
from graphql_api.transport import fanout_events, fanout_message, fanout_reading
from graphql_api.transport.fanout import Subscriber
from tests.transport.fanout_case import ADMIN, OTHER_ADMIN, STAFF, FakeOutlet, FanoutCase, fanning_out, until

EXAMPLES = int(os.environ.get("FANOUT_EXAMPLES", "15"))
VIEWERS = (ADMIN, OTHER_ADMIN, STAFF)
SHARED = "subscription ($every: Int! = 1, $after: Cursor) { heard(every: $every, after: $after) { number } }"
PERSONAL = SHARED.replace("number }", "number sometimesWhose }")
DOCUMENTS = st.sampled_from([SHARED, SHARED, SHARED, PERSONAL])

# A pause that leaves time for reading.
LONG = 4
who = st.integers(0, 7)
JOIN = st.tuples(
    st.just("join"),
    DOCUMENTS,
    st.sampled_from([1, 1, 2]),
    st.sampled_from([0, 0, 1, 2]),
    st.sampled_from([None, None, 0, 0, 2, 5, 30]),
)
# What can be done to one subscriber at any moment, also while a message is handed out.
DEEDS = st.one_of(
    st.tuples(st.just("busy"), who),
    st.tuples(st.just("room"), who, st.integers(1, 6)),
    st.tuples(st.just("ready"), who),
    st.tuples(st.just("renew"), who, st.integers(0, 2)),
    st.tuples(st.just("leave"), who),
)
STEP = st.one_of(
    st.tuples(st.just("write"), st.integers(1, 9)),
    st.tuples(st.just("hear")),
    st.tuples(st.just("add"), st.integers(1, 5)),
    JOIN,
    DEEDS,
    st.tuples(st.just("stir"), st.lists(st.tuples(who, DEEDS), min_size=2, max_size=6), st.integers(1, 4)),
    st.tuples(st.just("stir"), st.lists(st.tuples(who, DEEDS), min_size=2, max_size=6), st.integers(1, 4)),
    st.tuples(st.just("pause"), st.integers(0, LONG)),
)
STEPS = st.tuples(st.lists(JOIN, min_size=4, max_size=8), st.lists(STEP, min_size=20, max_size=40)).map(
    lambda parts: [*parts[0], *parts[1]]
)


class Listener:
    """A subscriber, and what it must get."""

    def __init__(self, subscriber: Subscriber, outlet: FakeOutlet, after: int, every: int) -> None:
        self.subscriber = subscriber
        self.outlet = outlet
        self.after = after
        self.every = every
        self.left_at: int | None = None

    def expected(self, last: int) -> list[int]:
        return [number for number in range(self.after + 1, last + 1) if number % self.every == 0]


def run_to_the_end(deed: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that waits for nothing."""
    with pytest.raises(StopIteration):
        deed.send(None)


class Play:
    """Takes the steps of one example."""

    def __init__(self, case: FanoutCase) -> None:
        self.case = case
        self.listeners: list[Listener] = []
        self.start = case.feed.last

    async def run(self, steps: list[Any]) -> None:
        for name, *arguments in steps:
            await getattr(self, name)(*arguments)
        await self.case.feed.advance()
        last = self.case.feed.last
        for listener in self.listeners:
            listener.outlet.on_next = lambda: None
            if listener.left_at is None:
                listener.outlet.room, listener.outlet.is_ready = None, True
                listener.subscriber.wake()
        try:
            staying = [listener for listener in self.listeners if listener.left_at is None]
            await until(lambda: all(len(one.outlet.texts) >= len(one.expected(last)) for one in staying))
            for one in staying:
                assert one.outlet.numbers == one.expected(last)
            for one in self.listeners:
                if one.left_at is not None:
                    assert one.outlet.numbers == one.expected(last)[: one.left_at]
        finally:
            for listener in self.listeners:
                listener.subscriber.close()
        assert self.case.groups == 0

    async def write(self, count: int) -> None:
        await self.case.add(count, is_heard=False)

    async def hear(self) -> None:
        await self.case.feed.advance()

    async def add(self, count: int) -> None:
        await self.case.add(count)

    async def join(self, document: str, every: int, viewer: int, back: int | None) -> None:
        head = (await self.case.feed.log.head()).last
        after = None if back is None else max(self.start, head - back)
        variables: dict[str, Any] = {} if after is None else {"after": await self.case.cursor(after)}
        begin = self.case.feed.last if after is None else after
        subscriber, outlet = await self.case.subscribe(document, viewer=VIEWERS[viewer], every=every, **variables)
        self.listeners.append(Listener(subscriber, outlet, begin, every))

    def _listener(self, index: int) -> Listener | None:
        staying = [listener for listener in self.listeners if listener.left_at is None]
        return staying[index % len(staying)] if staying else None

    async def busy(self, index: int) -> None:
        if listener := self._listener(index):
            listener.outlet.is_ready = False

    async def room(self, index: int, room: int) -> None:
        if listener := self._listener(index):
            listener.outlet.room, listener.outlet.is_ready = room, True
            listener.subscriber.wake()

    async def ready(self, index: int) -> None:
        if listener := self._listener(index):
            listener.outlet.room, listener.outlet.is_ready = None, True
            listener.subscriber.wake()

    async def renew(self, index: int, viewer: int) -> None:
        if listener := self._listener(index):
            listener.subscriber.renew(self.case.context(VIEWERS[viewer]))

    async def leave(self, index: int) -> None:
        if listener := self._listener(index):
            listener.subscriber.close()
            listener.left_at = len(listener.outlet.texts)

    async def stir(self, deeds: list[tuple[int, tuple[str, Any]]], count: int) -> None:
        """Write events, and do something whenever certain subscribers take the first of them."""
        for index, deed in deeds:
            if listener := self._listener(index):
                listener.outlet.on_next = partial(self._act, listener, deed)
        await self.add(count)

    def _act(self, listener: Listener, deed: tuple[str, Any]) -> None:
        listener.outlet.on_next = lambda: None
        name, *arguments = deed
        run_to_the_end(getattr(self, name)(*arguments))

    async def pause(self, ticks: int) -> None:
        for _ in range(ticks):
            await asyncio.sleep(0)
        if ticks == LONG:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(("remembered", "ring"), [(1000, 256), (6, 3)])
def test_everybody_gets_what_follows_its_place_once_and_in_order(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remembered: int, ring: int
) -> None:
    # given: in the second case nearly everything has to be read from the log
    monkeypatch.setattr(fanout_message, "MESSAGES", ring)
    monkeypatch.setattr(fanout_reading, "STRIDE", max(7, remembered // 2))
    monkeypatch.setattr(fanout_events, "SENDS", 2)

    with asyncio.Runner() as runner:
        database = Database(database_url)
        running = fanning_out(database, tmp_path, size=remembered)
        case = runner.run(running.__aenter__())

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate, Phase.shrink],
            suppress_health_check=[HealthCheck.too_slow],
        )
        @given(STEPS)
        def play(steps: list[Any]) -> None:
            runner.run(Play(case).run(steps))

        # then
        try:
            play()
        finally:
            runner.run(running.__aexit__(None, None, None))
            runner.run(database.close())
