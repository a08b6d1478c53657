"""The days of the log: made before they are needed, kept for as long as they are to be, forgotten as a whole."""

import asyncio
import datetime as dt
import logging

import pytest

from graphql_api.database.engine import Database
from graphql_api.events import retention
from graphql_api.events.log import EventLog, Head
from graphql_api.events.relay import DAYS
from graphql_api.events.retention import forget_old_events
from tests.events.event_case import EventCase

pytestmark = pytest.mark.usefixtures("not_at_midnight")


def name(ahead: int) -> str:
    """The part for a day that is so many days from today."""
    return f"event_{dt.datetime.now(dt.UTC).date() + dt.timedelta(days=ahead):%Y_%m_%d}"


async def create_days(case: EventCase, *ages: int) -> None:
    """Two events on each of these days, so many days ago; the oldest first."""
    previous = None
    for age in ages:
        if previous is not None:
            await case.age(previous - age)
        await case.tell(1, 2)
        await case.relay()
        previous = age
    if ages[-1]:
        await case.age(ages[-1])


async def test_today_and_tomorrow_are_made_ahead_and_once(case: EventCase) -> None:
    await case.connection.execute(DAYS)
    await case.connection.execute(DAYS)

    assert await case.days() == [name(0), name(1)]


async def test_a_day_that_nobody_has_made_is_made_when_it_is_needed(case: EventCase) -> None:
    await case.tell(1)

    assert await case.relay() == [1]
    assert await case.days() == [name(0)]


async def test_readers_and_those_who_tell_do_not_wait_for_a_new_day(database: Database, case: EventCase) -> None:
    await case.tell(1)
    await case.relay()

    async with database.dedicated() as reader, reader.transaction():
        await reader.execute("SELECT FROM event")
        async with asyncio.timeout(60):
            await case.connection.execute(DAYS)

    assert await case.days() == [name(0), name(1)]


async def test_days_do_not_go_back_with_the_clock(case: EventCase) -> None:
    # given an event that got its number when the clock was three days ahead
    await create_days(case, -3)

    # when
    await case.tell(5)
    await case.relay()

    # then
    rows = await case.connection.fetch("SELECT number, recorded_on FROM event ORDER BY number")
    assert {row[1] for row in rows} == {dt.datetime.now(dt.UTC).date() + dt.timedelta(days=3)}
    assert [row[0] for row in rows] == [1, 2, 3]


async def test_a_clock_that_was_far_ahead_does_not_keep_events_until_then(database: Database, case: EventCase) -> None:
    # given two events that got their numbers when the clock was years ahead, and one of today
    await create_days(case, -800)
    await case.tell(5)
    await case.relay()
    log = EventLog(database)
    passage = await log.read(0)

    # when today is long ago
    await case.connection.execute(f"ALTER TABLE {name(0)} RENAME TO event_2001_01_01")
    await forget_old_events(database, 30)

    # then it is forgotten, with all that has lower numbers
    assert [event.number for event in passage.events] == [1, 2, 3]
    assert await log.head() == Head((await log.head()).log, 3, 3)


async def test_whole_days_are_forgotten_and_the_head_knows_it(database: Database, case: EventCase) -> None:
    await create_days(case, 30, 8, 7, 0)

    assert await forget_old_events(database, 7) == 2

    assert await case.days() == [name(-7), name(0)]
    head = await EventLog(database).head()
    assert (head.forgotten, head.last) == (4, 8)
    assert [number for number, _, _ in await case.logged()] == [5, 6, 7, 8]
    assert await forget_old_events(database, 7) == 0


async def test_a_day_without_events_leaves_the_head_as_it_is(database: Database, case: EventCase) -> None:
    await create_days(case, 30, 0)
    await case.connection.execute("SELECT make_event_day($1)", dt.datetime.now(dt.UTC).date() - dt.timedelta(days=20))

    assert await forget_old_events(database, 7) == 2

    assert (await EventLog(database).head()).forgotten == 2


async def test_numbers_go_on_after_everything_was_forgotten(database: Database, case: EventCase) -> None:
    await create_days(case, 30)

    await forget_old_events(database, 7)
    await case.tell(9)

    assert await case.relay() == [3]
    assert [event.number for event in (await EventLog(database).read(2)).events] == [3]


async def test_somebody_who_reads_for_long_keeps_old_days_and_nobody_waits_for_that(
    database: Database, case: EventCase, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # given
    attempts = retention.ATTEMPTS
    monkeypatch.setattr(retention, "ATTEMPTS", 2)
    monkeypatch.setattr(retention, "PAUSE_SECONDS", 0.01)
    await create_days(case, 30, 0)
    log = EventLog(database)

    # when a backup reads and the program goes on
    async with database.dedicated() as reader, reader.transaction():
        await reader.execute("SELECT FROM event")
        forgetting = asyncio.create_task(forget_old_events(database, 7))
        async with asyncio.timeout(60):
            while not forgetting.done():
                await log.read(2)
        with caplog.at_level(logging.WARNING):
            assert await forgetting == 0

    # then
    assert (await log.head()).forgotten == 0
    monkeypatch.setattr(retention, "ATTEMPTS", attempts)
    assert await forget_old_events(database, 7) == 1
