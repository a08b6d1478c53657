"""What goes wrong, with one event or one subscriber, harms nobody else."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.user import Language
from tests.transport.fanout_case import ADMIN, CUSTOMER, FakeOutlet, FanoutCase, fanning_out, until
from tests.transport.fanout_schema import FAULTS, not_found, outage

HEARD = "subscription ($every: Int! = 1, $after: Cursor) { heard(every: $every, after: $after) { number counted } }"
NUMBERS = "subscription { heard { number } }"


@pytest.fixture
async def case(database: Database, tmp_path: Path) -> AsyncIterator[FanoutCase]:
    async with fanning_out(database, tmp_path) as case:
        yield case


class TestLeaving:
    async def test_nothing_stays_of_a_thousand_who_have_left(self, case: FanoutCase) -> None:
        # given
        documents = [HEARD, NUMBERS, "subscription { opened { number } }", "subscription { state { amount } }"]
        before = len(asyncio.all_tasks())

        # when
        for index in range(1000):
            subscriber, outlet = await case.subscribe(documents[index % 4], viewer=(ADMIN, CUSTOMER)[index % 8 == 0])
            if index % 50 == 0:
                await case.add()
                await asyncio.sleep(0.01)
            outlet.is_ready = index % 3 > 0
            subscriber.close()
            subscriber.close()
            subscriber.wake()
        await until(lambda: len(asyncio.all_tasks()) <= before)

        # then
        assert case.groups == 0
        machinery = case.fanout._machinery  # noqa: SLF001 - what is remembered shows nowhere else
        assert machinery.room.taken == 0
        assert not any(machinery.dispatcher._listeners.values())  # noqa: SLF001 - as above

    async def test_who_has_left_gets_nothing_more(self, case: FanoutCase) -> None:
        # given
        subscriber, gone = await case.subscribe(NUMBERS)
        _, stays = await case.subscribe(NUMBERS)
        await case.add()
        await until(lambda: gone.texts and stays.texts)

        # when
        subscriber.close()
        await case.add()
        await until(lambda: len(stays.texts) == 2)

        # then
        assert gone.numbers == [1]
        assert not gone.is_ended

    async def test_leaving_while_a_message_is_handed_out_takes_nothing_from_others(self, case: FanoutCase) -> None:
        # given: the first one's client goes with its message, and takes the next one along
        _, first = await case.subscribe(NUMBERS)
        neighbour, second = await case.subscribe(NUMBERS)
        _, third = await case.subscribe(NUMBERS)
        first.on_next = neighbour.close

        # when
        await case.add(2)
        await until(lambda: third.numbers == [1, 2])

        # then
        assert first.numbers == [1, 2]
        assert second.numbers == []

    async def test_an_outlet_that_fails_harms_nobody_else(self, case: FanoutCase) -> None:
        # given
        def fail() -> None:
            raise RuntimeError("broken outlet")

        _, broken = await case.subscribe(NUMBERS, FakeOutlet(on_next=fail))
        _, outlet = await case.subscribe(NUMBERS)

        # when
        await case.add(2)
        await until(lambda: outlet.numbers == [1, 2])

        # then
        assert broken.numbers == [1]


class TestFailures:
    async def test_an_outage_makes_an_event_late_and_not_lost(self, case: FanoutCase) -> None:
        # given
        _, outlet = await case.subscribe("subscription { heard { number broken } }")
        FAULTS.extend([outage(), outage()])

        # when
        await case.add(2)
        await until(lambda: len(outlet.texts) == 2)

        # then
        assert outlet.numbers == [1, 2]
        assert all("errors" not in result for result in outlet.results)

    async def test_other_failures_are_told_once_and_masked(self, case: FanoutCase) -> None:
        # given
        _, outlet = await case.subscribe("subscription { heard { number broken } }")
        _, arabic = await case.subscribe("subscription { heard { number broken } }", language=Language.AR)
        FAULTS.extend([ValueError("a secret"), ValueError("a secret")])

        # when
        await case.add(1)
        await until(lambda: outlet.texts and arabic.texts)
        FAULTS.append(not_found())
        await case.add(1)
        await until(lambda: len(outlet.texts) == len(arabic.texts) == 2)

        # then
        hidden = outlet.results[0]
        assert hidden["data"] == {"heard": {"number": 1, "broken": None}}
        assert [error["extensions"]["code"] for error in hidden["errors"]] == ["INTERNAL_SERVER_ERROR"]
        assert hidden["errors"][0]["path"] == ["heard", "broken"]
        assert "secret" not in outlet.texts[0]
        assert hidden["errors"][0]["message"].isascii()
        assert not arabic.results[0]["errors"][0]["message"].isascii()
        told = [
            result["errors"][0]["extensions"]["code"]
            for one in (outlet, arabic)
            for result in one.results[1:]
            if "errors" in result
        ]
        assert told == ["NOT_FOUND"]

    async def test_a_value_that_cannot_be_made_is_told_in_the_place_of_the_field(self, case: FanoutCase) -> None:
        # given
        _, outlet = await case.subscribe("subscription { mine: unshowable { number } }")

        # when
        await case.add()
        await until(lambda: outlet.texts)

        # then
        assert outlet.results[0]["data"] is None
        assert outlet.results[0]["errors"][0]["path"] == ["mine"]
        assert outlet.results[0]["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
        assert outlet.cursors == [await case.cursor(1)]

    async def test_another_log_ends_what_can_not_go_on(self, case: FanoutCase) -> None:
        # given
        _, outlet = await case.subscribe(NUMBERS)
        _, state = await case.subscribe("subscription { state { isWhole amount } }")
        await until(lambda: state.texts)

        # when
        case.feed.start_over()
        await until(lambda: outlet.is_ended)

        # then
        assert outlet.codes == ["CURSOR_EXPIRED"]
        _, again = await case.subscribe(NUMBERS)
        await case.add()
        await until(lambda: again.numbers == [1] and len(state.texts) >= 2)
