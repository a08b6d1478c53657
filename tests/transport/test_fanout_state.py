"""Subscriptions that begin with a state: one that events follow, and one that is read anew after them."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.event import Topic
from graphql_api.transport import fanout_opening
from graphql_api.transport.fanout_state import StateGroup
from tests.transport.fanout_case import PATIENCE, STAFF, FakeOutlet, FanoutCase, fanning_out, quiet, until
from tests.transport.fanout_schema import COUNTS, FAULTS, not_found, outage

OPENED = "subscription ($values: Int! = 2) { opened(values: $values) { number counted } }"
STATE = "subscription ($throttle: Float! = 0.05) { state(throttle: $throttle) { isWhole amount counted } }"

THROTTLE = 1.0


@pytest.fixture
async def case(database: Database, tmp_path: Path) -> AsyncIterator[FanoutCase]:
    async with fanning_out(database, tmp_path) as case:
        yield case


def sums(outlet: FakeOutlet) -> list[tuple[bool, int]]:
    """What came of a state: whether it was all of it, and how much."""
    states: list[dict[str, Any]] = [result["data"]["state"] for result in outlet.results]
    return [(state["isWhole"], state["amount"]) for state in states]


class TestOpening:
    async def test_values_come_first_and_then_what_follows_them(self, case: FanoutCase) -> None:
        # given
        await case.add(3)

        # when
        _, outlet = await case.subscribe(OPENED)
        await until(lambda: len(outlet.texts) == 2)
        await case.add(2)

        # then
        await until(lambda: outlet.numbers == [-1, -2, 4, 5])
        assert outlet.cursors == [None, None, await case.cursor(4), await case.cursor(5)]

    async def test_who_comes_at_the_same_time_shares_it(
        self, case: FanoutCase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # given
        monkeypatch.setattr(fanout_opening, "FRESH_SECONDS", PATIENCE)

        # when
        outlets = [outlet for _, outlet in await asyncio.gather(*(case.subscribe(OPENED) for _ in range(50)))]
        await until(lambda: all(outlet.numbers == [-1, -2] for outlet in outlets))

        # then
        assert (COUNTS["opened"], COUNTS["counted"]) == (1, 2)

    async def test_it_waits_for_the_outlet_and_loses_nothing_meanwhile(self, case: FanoutCase) -> None:
        # given
        subscriber, outlet = await case.subscribe(OPENED, FakeOutlet(room=1), values=4)
        await until(lambda: outlet.numbers == [-1])

        # when
        await case.add(3)
        await quiet()
        assert outlet.numbers == [-1]
        outlet.room, outlet.is_ready = 2, True
        subscriber.wake()
        await until(lambda: outlet.numbers == [-1, -2, -3])
        await case.add(1)
        outlet.room, outlet.is_ready = None, True
        subscriber.wake()

        # then
        await until(lambda: outlet.numbers == [-1, -2, -3, -4, 1, 2, 3, 4])
        assert COUNTS["opened"] == 1

    async def test_one_that_is_all_completes(self, case: FanoutCase) -> None:
        _, outlet = await case.subscribe("subscription { opened(isLast: true) { number } }")

        await until(lambda: outlet.is_ended)

        assert (outlet.numbers, outlet.errors, case.groups) == ([-1, -2], None, 0)

    async def test_an_outage_makes_it_late(self, case: FanoutCase) -> None:
        FAULTS.extend([outage(), outage()])

        _, outlet = await case.subscribe(OPENED)

        await until(lambda: outlet.numbers == [-1, -2])
        assert COUNTS["opened"] == 3

    async def test_another_failure_ends_this_subscription_with_its_error(self, case: FanoutCase) -> None:
        FAULTS.append(not_found())

        _, outlet = await case.subscribe(OPENED)

        await until(lambda: outlet.is_ended)
        assert outlet.codes == ["NOT_FOUND"]

    async def test_a_change_of_rights_in_the_middle_begins_it_anew(self, case: FanoutCase) -> None:
        # given
        subscriber, outlet = await case.subscribe(OPENED, FakeOutlet(room=1))
        await until(lambda: outlet.numbers == [-1])

        # when
        outlet.room, outlet.is_ready = None, True
        subscriber.renew(case.context(STAFF))
        await until(lambda: len(outlet.texts) == 3)
        await case.add()
        await until(lambda: outlet.numbers == [-1, -1, -2, 1])

        # then: once it is complete it is not repeated
        subscriber.renew(case.context())
        await case.add()
        await until(lambda: outlet.numbers == [-1, -1, -2, 1, 2])


class TestState:
    async def test_all_of_it_comes_first_and_then_what_has_changed(self, case: FanoutCase) -> None:
        # given
        await case.add(3)
        outlets = [(await case.subscribe(STATE))[1] for _ in range(20)]
        await until(lambda: all(outlet.texts for outlet in outlets))

        # when
        await case.add(1)
        await until(lambda: all(len(outlet.texts) == 2 for outlet in outlets))

        # then
        assert {tuple(sums(outlet)) for outlet in outlets} == {((True, 6), (False, 4))}
        assert (COUNTS["read"], COUNTS["counted"]) == (2, 2)

    async def test_nothing_is_read_while_nothing_changes(self, case: FanoutCase) -> None:
        # given
        _, outlet = await case.subscribe(STATE)
        await until(lambda: outlet.texts)

        # when: other topics are no change, and somebody else comes
        await case.add(2, Topic.SALES)
        _, late = await case.subscribe(STATE)
        await until(lambda: late.texts)
        await quiet()

        # then
        assert COUNTS["read"] == 1
        assert late.texts == outlet.texts
        assert late.texts[0] is outlet.texts[0]

    async def test_a_change_after_a_long_time_is_told_at_once(self, case: FanoutCase) -> None:
        # given somebody who wants to hear once an hour at most, and has heard nothing for longer
        subscriber, outlet = await case.subscribe(STATE, throttle=3_600.0)
        await until(lambda: outlet.texts)
        assert isinstance(subscriber.group, StateGroup)
        subscriber.group._read_at -= 3_600.0  # noqa: SLF001 - as if it had passed

        # when
        await case.add()

        # then
        await until(lambda: sums(outlet) == [(True, 0), (False, 1)])

    async def test_changes_soon_after_one_another_are_told_together(self, case: FanoutCase) -> None:
        # given
        _, outlet = await case.subscribe(STATE, throttle=THROTTLE)
        await until(lambda: outlet.texts)
        began = time.monotonic()

        # when
        for _ in range(11):
            await case.add()
        await until(lambda: sum(amount for _, amount in sums(outlet)) == sum(range(1, 12)))

        # then each reading takes its time, in which all that happens is one change
        readings = len(outlet.texts) - 1
        assert (readings - 1) * THROTTLE < time.monotonic() - began
        assert COUNTS["read"] == 1 + readings

    async def test_who_fell_behind_gets_all_of_it(self, case: FanoutCase) -> None:
        # given
        quick = (await case.subscribe(STATE))[1]
        slow = [await case.subscribe(STATE, FakeOutlet(room=1)) for _ in range(3)]
        await until(lambda: all(outlet.texts for _, outlet in slow) and quick.texts)
        for count in range(2, 5):
            await case.add()
            await until(lambda count=count: len(quick.texts) == count)  # type: ignore[misc]  # mypy cannot infer its default
        executed = COUNTS["counted"]

        # when
        for subscriber, outlet in slow:
            outlet.room, outlet.is_ready = None, True
            subscriber.wake()
        await until(lambda: all(len(outlet.texts) == 2 for _, outlet in slow))
        await case.add()
        await until(lambda: all(len(outlet.texts) == 3 for _, outlet in slow))

        # then
        assert [sums(outlet) for _, outlet in slow] == [[(True, 0), (True, 6), (False, 4)]] * 3
        assert COUNTS["counted"] == executed + 2

    async def test_what_adds_up_to_nothing_is_not_told(self, case: FanoutCase) -> None:
        # given
        _, outlet = await case.subscribe(STATE)
        await until(lambda: outlet.texts)

        # when: an event without an effect on the state
        await case.add_unreadable()
        await case.add_zero()
        await until(lambda: COUNTS["read"] == 2)
        await quiet()

        # then
        assert len(outlet.texts) == 1

    async def test_outages_are_waited_for_and_other_failures_told(self, case: FanoutCase) -> None:
        # given
        FAULTS.append(outage())
        _, outlet = await case.subscribe(STATE)
        await until(lambda: outlet.texts)

        # when
        FAULTS.append(not_found())
        await case.add()
        await until(lambda: len(outlet.texts) == 2)
        _, late = await case.subscribe(STATE)
        await until(lambda: late.texts)
        await case.add()
        await until(lambda: len(outlet.texts) == 3 and len(late.texts) == 2)

        # then
        assert outlet.results[1]["errors"][0]["extensions"]["code"] == "NOT_FOUND"
        assert late.texts == outlet.texts[1:]
        assert outlet.results[2]["data"]["state"] == {"isWhole": True, "amount": 3, "counted": 3}

    async def test_with_other_rights_it_begins_anew(self, case: FanoutCase) -> None:
        # given
        subscriber, outlet = await case.subscribe(STATE)
        await until(lambda: outlet.texts)

        # when
        subscriber.renew(case.context(STAFF))
        await until(lambda: len(outlet.texts) == 2)

        # then
        assert sums(outlet) == [(True, 0), (True, 0)]
        assert case.groups == 1
