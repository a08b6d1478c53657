"""Subscribers of equal operations share one execution, and each begins where it has asked to."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy

from graphql_api.database.engine import Database
from graphql_api.database.event import Topic
from graphql_api.database.user import Language
from graphql_api.transport import fanout, fanout_loaders
from graphql_api.transport.fanout import Fanout, Refused
from graphql_api.transport.graphql_request import GraphQLRequest
from tests.transport.fanout_case import (
    CUSTOMER,
    OTHER_CUSTOMER,
    PATIENCE,
    STAFF,
    FakeOutlet,
    FanoutCase,
    fanning_out,
    quiet,
    until,
)
from tests.transport.fanout_schema import COUNTS

HEARD = "subscription ($every: Int! = 1, $after: Cursor) { heard(every: $every, after: $after) { number counted } }"
NUMBERS = "subscription { heard { number } }"


@pytest.fixture
async def case(database: Database, tmp_path: Path) -> AsyncIterator[FanoutCase]:
    async with fanning_out(database, tmp_path) as case:
        yield case


async def test_five_hundred_subscribers_cost_one_execution_and_get_the_same_bytes(case: FanoutCase) -> None:
    # given
    outlets = [(await case.subscribe(HEARD))[1] for _ in range(500)]

    # when
    await case.add(3)
    await until(lambda: all(len(outlet.texts) == 3 for outlet in outlets))

    # then
    assert {tuple(outlet.texts) for outlet in outlets} == {
        tuple(f'{{"data":{{"heard":{{"number":{number},"counted":{number}}}}}}}' for number in (1, 2, 3))
    }
    assert outlets[0].texts[0] is outlets[499].texts[0]
    assert outlets[0].cursors == [await case.cursor(number) for number in (1, 2, 3)]
    assert COUNTS["presented"] == COUNTS["counted"] == 3
    assert COUNTS["resolved"] == 500
    assert case.groups == 1


async def test_what_differs_is_executed_for_itself(case: FanoutCase) -> None:
    # given
    plain = (await case.subscribe(HEARD))[1]
    second = (await case.subscribe(HEARD, every=2))[1]
    staff = (await case.subscribe(HEARD, viewer=STAFF))[1]
    arabic = (await case.subscribe(HEARD, language=Language.AR))[1]
    default = (await case.subscribe(HEARD, every=1))[1]
    resuming = (await case.subscribe(HEARD, after=await case.cursor(0)))[1]

    # when
    await case.add(2)
    await until(lambda: all(outlet.numbers == [1, 2] for outlet in (plain, staff, arabic, default, resuming)))
    await until(lambda: second.texts)

    # then
    assert second.numbers == [2]
    # the default and the cursor make no difference
    assert case.groups == 4
    assert COUNTS["presented"] == 2 + 1 + 2 + 2


async def test_customers_share_with_nobody(case: FanoutCase) -> None:
    # given
    outlets = [(await case.subscribe(NUMBERS, viewer=viewer))[1] for viewer in (CUSTOMER, CUSTOMER, OTHER_CUSTOMER)]

    # when
    await case.add()
    await until(lambda: all(outlet.numbers == [1] for outlet in outlets))

    # then
    assert case.groups == 2
    assert COUNTS["presented"] == 2


async def test_a_variable_that_also_feeds_something_else_than_after_makes_a_difference(case: FanoutCase) -> None:
    # given
    document = "subscription ($at: Cursor) { heard(after: $at) { number same: matched(cursor: $at) } }"

    # when
    first = (await case.subscribe(document, at=await case.cursor(0)))[1]
    second = (await case.subscribe(document))[1]
    await case.add()
    await until(lambda: first.texts and second.texts)

    # then
    assert first.results[0]["data"]["heard"]["same"] is True
    assert second.results[0]["data"]["heard"]["same"] is False


async def test_other_topics_and_unreadable_facts_are_passed_over(case: FanoutCase) -> None:
    # given
    outlet = (await case.subscribe(NUMBERS))[1]

    # when: facts of a notification cannot be read as those of a sale's product, and other topics are none of ours
    await case.add(2, Topic.SALES)
    await case.add(1, Topic.PRODUCT)
    await case.add()
    await until(lambda: outlet.texts)

    # then
    assert outlet.numbers == [4]


async def test_an_unreadable_event_of_the_topic_is_passed_over(case: FanoutCase) -> None:
    # given
    outlet = (await case.subscribe(NUMBERS))[1]

    # when
    await case.add_unreadable()
    await case.add()
    await until(lambda: outlet.texts)

    # then
    assert outlet.numbers == [2]


async def test_events_without_anything_to_show_move_the_position_on(case: FanoutCase) -> None:
    # given
    _, outlet = await case.subscribe("subscription { heardEven { number } }")

    # when
    await case.add(5)
    await until(lambda: len(outlet.texts) == 2)
    outlet.is_ready = False
    await case.add(4)
    await quiet()
    outlet.is_ready = True
    await case.add(1)
    await until(lambda: len(outlet.texts) == 5)

    # then
    assert outlet.numbers == [2, 4, 6, 8, 10]


async def test_the_last_event_completes_the_subscription(case: FanoutCase) -> None:
    # given
    _, outlet = await case.subscribe("subscription { heardUntil(last: 2) { number } }")

    # when
    await case.add(3)
    await until(lambda: outlet.is_ended)

    # then
    assert outlet.numbers == [1, 2]
    assert outlet.errors is None
    assert case.groups == 0


class TestPlaces:
    async def test_what_happens_while_the_resolver_runs_is_neither_lost_nor_doubled(self, case: FanoutCase) -> None:
        # given
        await case.add(3)
        companion = (await case.subscribe(NUMBERS))[1]
        subscribing = asyncio.create_task(case.subscribe(NUMBERS))
        await until(lambda: COUNTS["resolved"] == 2)

        # when
        await case.add(2)
        await until(lambda: companion.numbers == [4, 5])
        outlet = (await subscribing)[1]
        await case.add(2)

        # then
        await until(lambda: outlet.numbers == [4, 5, 6, 7])

    async def test_a_cursor_of_the_past_is_gone_on_from(self, case: FanoutCase) -> None:
        # given
        await case.add(120)
        present = (await case.subscribe(HEARD))[1]

        # when
        outlet = (await case.subscribe(HEARD, after=await case.cursor(7)))[1]
        await case.add(3)

        # then
        await until(lambda: outlet.numbers == list(range(8, 124)) and len(present.texts) == 3)
        assert present.numbers == [121, 122, 123]
        assert case.groups == 1

    async def test_many_who_go_on_from_the_same_place_share_the_executions(self, case: FanoutCase) -> None:
        # given
        await case.add(100)
        cursor = await case.cursor(20)

        # when
        outlets = [(await case.subscribe(HEARD, after=cursor))[1] for _ in range(50)]
        await until(lambda: all(outlet.numbers == list(range(21, 101)) for outlet in outlets))

        # then
        assert COUNTS["presented"] == 80

    async def test_a_cursor_the_feed_has_not_come_to_yet_is_waited_for(self, case: FanoutCase) -> None:
        # given: another process has told the client of events that have not come here
        await case.add(3)
        await case.add(3, is_heard=False)

        # when
        outlet = (await case.subscribe(HEARD, after=await case.cursor(5)))[1]
        await case.add(1)

        # then
        await until(lambda: outlet.numbers == [6, 7])

    async def test_the_last_event_id_goes_before_the_argument(self, case: FanoutCase) -> None:
        # given
        await case.add(9)
        document = 'subscription { heard(after: "nonsense") { number } }'

        # when
        _, outlet = await case.subscribe(document, last_id=await case.cursor(6))

        # then
        await until(lambda: outlet.numbers == [7, 8, 9])

    async def test_the_last_event_id_is_checked(self, case: FanoutCase) -> None:
        with pytest.raises(Refused) as refused:
            await case.subscribe(NUMBERS, last_id="nonsense")
        assert [error["extensions"]["code"] for error in refused.value.errors] == ["BAD_USER_INPUT"]
        await case.add(1)
        with pytest.raises(Refused) as refused:
            await case.subscribe(NUMBERS, last_id=await case.cursor(999))
        assert [error["extensions"]["code"] for error in refused.value.errors] == ["CURSOR_EXPIRED"]

    async def test_streams_that_begin_with_a_state_begin_anew_whatever_the_last_event_id(
        self, case: FanoutCase
    ) -> None:
        _, outlet = await case.subscribe("subscription { opened { number } }", last_id="whatever")

        await until(lambda: outlet.numbers == [-1, -2])


class TestManyOperations:
    async def test_different_operations_read_what_they_need_together(
        self, case: FanoutCase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # given
        monkeypatch.setattr(fanout_loaders, "SHARED_SECONDS", PATIENCE)
        documents = [f"subscription {{ heard {{ name{index}: productName }} }}" for index in range(40)]
        outlets = [(await case.subscribe(document))[1] for document in documents]
        statements = 0

        def count(*_arguments: object) -> None:
            nonlocal statements
            statements += 1

        # when
        await case.add(3, is_heard=False)
        await case.cursor(3)
        engine = case.database.engine.sync_engine
        sqlalchemy.event.listen(engine, "after_cursor_execute", count)
        await case.feed.advance()
        await until(lambda: all(len(outlet.texts) == 3 for outlet in outlets))
        sqlalchemy.event.remove(engine, "after_cursor_execute", count)

        # then
        assert case.groups == 40
        assert statements < 15

    async def test_who_leaves_while_something_is_read_takes_it_from_nobody(self, case: FanoutCase) -> None:
        # given: two operations that wait for the same row
        leaving, _ = await case.subscribe("subscription { heard { productName } }")
        _, staying = await case.subscribe("subscription { heard { name: productName } }")
        async with case.database.dedicated() as other, other.transaction():
            await other.execute("LOCK TABLE product IN ACCESS EXCLUSIVE MODE")
            await case.add()
            await until(lambda: COUNTS["presented"] == 2)
            await quiet()

            # when
            leaving.close()
            await quiet()

        # then
        await until(lambda: staying.texts)

    async def test_what_is_loaded_is_never_older_than_the_event(self, case: FanoutCase) -> None:
        # given
        _, outlet = await case.subscribe("subscription { heard { productName(key: 1) } }")
        names = [f"name {index}" for index in range(5)]

        # when
        for count, name in enumerate(names, 1):
            await case.name_product(name, is_told=True)
            await case.add()
            await until(lambda count=count: len(outlet.texts) == count)  # type: ignore[misc]  # mypy infers no default

        # then
        assert [result["data"]["heard"]["productName"] for result in outlet.results] == names

    async def test_the_catalogue_is_not_read_again_for_events_that_change_none_of_it(
        self, case: FanoutCase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # given a product that was read for an event not long ago, and changes past all triggers
        monkeypatch.setattr(fanout_loaders, "CATALOGUE_SECONDS", 60.0)
        await case.name_product("first")
        _, outlet = await case.subscribe("subscription { heard { productName(key: 1) } }")
        await case.add()
        await until(lambda: len(outlet.texts) == 1)
        await case.name_product("second")

        # when there is another event, and one that tells of products
        await case.add()
        await until(lambda: len(outlet.texts) == 2)
        await case.add(topic=Topic.PRODUCT)
        await case.add()
        await until(lambda: len(outlet.texts) == 3)

        # then
        names = [result["data"]["heard"]["productName"] for result in outlet.results]
        assert names == ["first", "first", "second"]

    async def test_an_opening_shows_what_is_there_now(self, case: FanoutCase) -> None:
        # given: nothing happens that an event would tell of
        document = "subscription { opened(values: 1) { productName(key: 1) } }"
        names = []

        # when
        for name in ("before", "after"):
            await case.name_product(name)
            subscriber, outlet = await case.subscribe(document)
            await until(lambda outlet=outlet: outlet.texts)  # type: ignore[misc]  # as above
            names.append(outlet.results[0]["data"]["opened"]["productName"])
            subscriber.close()

        # then
        assert names == ["before", "after"]

    async def test_an_event_for_one_wakes_no_other(self, case: FanoutCase) -> None:
        # given
        outlets = [(await case.subscribe(HEARD, every=every))[1] for every in range(1, 200)]

        # when
        await case.add(1)
        await until(lambda: outlets[0].texts)
        await quiet()

        # then
        assert COUNTS["presented"] == 1
        assert not any(outlet.texts for outlet in outlets[1:])

    async def test_who_catches_up_for_long_keeps_nobody_waiting(self, database: Database, tmp_path: Path) -> None:
        async with fanning_out(database, tmp_path, size=10) as case:
            # given
            await case.add(600)
            cursor = await case.cursor(0)
            document = "subscription ($after: Cursor) { n: heard(after: $after) { number } }"
            late = [
                await case.subscribe(document.replace("n:", f"n{index}:"), FakeOutlet(is_ready=False), after=cursor)
                for index in range(12)
            ]
            present = (await case.subscribe(NUMBERS))[1]
            await case.add(is_heard=False)
            passage = await case.feed.log.read(600)
            done_before = list[bool]()
            present.on_next = lambda: done_before.append(all(len(outlet.texts) == 601 for _, outlet in late))

            # when those who are late begin, and at the same moment there is something new
            for subscriber, outlet in late:
                outlet.is_ready = True
                subscriber.wake()
            case.feed.hear(passage)
            await until(lambda: present.texts)

            # then
            assert present.numbers == [601]
            assert done_before == [False]
            await until(lambda: all(len(outlet.texts) == 601 for _, outlet in late))
            assert late[0][1].numbers == list(range(1, 602))


async def test_a_subscription_waits_until_the_process_knows_its_events(
    case: FanoutCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    monkeypatch.setattr(fanout, "START_SECONDS", 0.05)
    idle = Fanout(case.schema, case.services)
    request = GraphQLRequest(NUMBERS)

    # then
    with pytest.raises(Refused) as refused:
        await idle.subscribe(request, case.context(), FakeOutlet())
    assert [error["extensions"]["code"] for error in refused.value.errors] == ["SERVICE_UNAVAILABLE"]
