"""Whoever reads slowly loses nothing and costs the others nothing."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from graphql_api.database.engine import Database
from tests.transport.fanout_case import FakeOutlet, FanoutCase, fanning_out, quiet, until
from tests.transport.fanout_schema import COUNTS

HEARD = "subscription ($every: Int! = 1, $after: Cursor) { heard(every: $every, after: $after) { number counted } }"
NUMBERS = "subscription { heard { number } }"


@pytest.fixture
async def case(database: Database, tmp_path: Path) -> AsyncIterator[FanoutCase]:
    async with fanning_out(database, tmp_path) as case:
        yield case


class TestSlowReaders:
    async def test_what_was_missed_comes_from_the_ring_without_another_execution(self, case: FanoutCase) -> None:
        # given
        quick = (await case.subscribe(HEARD))[1]
        subscriber, slow = await case.subscribe(HEARD, FakeOutlet(room=1))
        await case.add(20)
        await until(lambda: len(quick.texts) == 20)
        assert slow.numbers == [1]

        # when
        slow.room, slow.is_ready = None, True
        subscriber.wake()

        # then
        assert slow.texts == quick.texts
        assert slow.cursors == quick.cursors
        assert COUNTS["presented"] == 20

    async def test_who_lies_far_behind_reads_the_log(self, database: Database, tmp_path: Path) -> None:
        async with fanning_out(database, tmp_path, size=10) as case:
            # given
            quick = (await case.subscribe(HEARD))[1]
            subscriber, slow = await case.subscribe(HEARD, FakeOutlet(room=3))
            for _ in range(10):
                await case.add(100)
            await until(lambda: len(quick.texts) == 1000)

            # when: it takes a few at a time, while more comes
            while len(slow.texts) < 1000:
                slow.room, slow.is_ready = 170, True
                subscriber.wake()
                await until(lambda: not slow.is_ready or len(slow.texts) >= 1000)
            slow.room, slow.is_ready = None, True
            await case.add(5)
            subscriber.wake()
            await until(lambda: len(slow.texts) == len(quick.texts) == 1005)

            # then
            assert slow.texts == quick.texts

    async def test_who_lies_behind_what_is_kept_is_told_so(self, database: Database, tmp_path: Path) -> None:
        async with fanning_out(database, tmp_path, size=10) as case:
            # given
            quick = (await case.subscribe(HEARD))[1]
            subscriber, slow = await case.subscribe(HEARD, FakeOutlet(room=1))
            for _ in range(5):
                await case.add(100)
            await until(lambda: len(quick.texts) == 500)
            await case.forget(100)

            # when
            slow.is_ready = True
            subscriber.wake()
            await until(lambda: slow.is_ended)

            # then
            assert slow.codes == ["CURSOR_EXPIRED"]
            assert slow.numbers == [1]
            assert not quick.is_ended

    async def test_memory_of_groups_is_bounded(self, case: FanoutCase) -> None:
        # given
        subscribers = [await case.subscribe(HEARD, every=1 + index % 3) for index in range(6)]

        # when
        for _ in range(10):
            await case.add(100)
        await until(lambda: all(outlet.texts for _, outlet in subscribers))
        await until(lambda: len(subscribers[0][1].texts) == 1000)

        # then
        room = case.fanout._machinery.room  # noqa: SLF001 - what is remembered shows nowhere else
        assert 0 < room.taken < 3 * 256 * 300
        for subscriber, _ in subscribers:
            subscriber.close()
        assert room.taken == 0

    async def test_readiness_without_a_word_is_found(self, case: FanoutCase) -> None:
        # given
        _, outlet = await case.subscribe(NUMBERS, FakeOutlet(is_ready=False))
        await case.add(2)

        # when
        outlet.is_ready = True

        # then
        await until(lambda: outlet.numbers == [1, 2])

    async def test_nothing_is_sent_while_notices_are_not_heard(
        self, case: FanoutCase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # given
        _, live = await case.subscribe(NUMBERS)
        subscriber, waiting = await case.subscribe(NUMBERS, FakeOutlet(room=1))
        await case.add(2)
        await until(lambda: len(live.texts) == 2)
        with monkeypatch.context() as patch:
            patch.setattr(type(case.services.noticeboard), "is_current", False)

            # when
            waiting.room, waiting.is_ready = None, True
            subscriber.wake()
            await case.add(2)
            await quiet()

            # then
            assert live.numbers == [1, 2]
            assert waiting.numbers == [1]
        await until(lambda: live.numbers == waiting.numbers == [1, 2, 3, 4])
