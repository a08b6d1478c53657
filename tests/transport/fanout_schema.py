"""A small schema with subscriptions that count what they do and fail as told."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import replace
from typing import cast

import strawberry
from sqlalchemy import text
from strawberry import UNSET

from graphql_api.database.event import Topic
from graphql_api.events.catalogue import Event, NotificationReceived
from graphql_api.schema.context import Context, Info
from graphql_api.schema.event_cursor import event_cursor, event_number
from graphql_api.schema.live import EventStream, Opening, StateStream
from graphql_api.schema.permissions import Policy
from graphql_api.schema.root import ApiSchema
from graphql_api.schema.scalars import Cursor
from graphql_api.services.errors import NotFound
from graphql_api.services.faults import ServiceUnavailable
from graphql_api.services.policy import Action

SUM = text("SELECT coalesce(sum((payload ->> 'entry')::bigint), 0) FROM event WHERE topic = 'NOTIFICATION'")
# How often something was executed, by what it was, and what is to go wrong.
COUNTS: Counter[str] = Counter()
FAULTS: list[Exception] = []


def fail_if_told() -> None:
    """Raise the next of `FAULTS`, if there is one."""
    if FAULTS:
        raise FAULTS.pop(0)


@strawberry.type
class Heard:
    """An event as subscribers see it."""

    number: int
    cursor: Cursor

    @strawberry.field
    def counted(self) -> int:
        """The number; executions are counted."""
        COUNTS["counted"] += 1
        return self.number

    @strawberry.field
    def matched(self, cursor: Cursor | None = None) -> bool:
        """Whether a cursor was given."""
        return cursor is not None

    @strawberry.field
    def whose(self, info: Info) -> str:
        """Who reads it, which cannot be shared."""
        viewer = info.context.viewer
        return f"{self.number} of {viewer.user_id if viewer else None}"

    @strawberry.field
    def role(self, info: Info) -> str:
        """What whoever reads it is."""
        return str(info.context.viewer and info.context.viewer.role)

    @strawberry.field
    def sometimes_whose(self, info: Info) -> str:
        """Who reads it, but only for one event in seven."""
        if self.number % 7:
            return "anybody"
        viewer = info.context.viewer
        return f"{self.number} of {viewer.user_id if viewer else None}"

    @strawberry.field
    def whose_if_asked(self, info: Info) -> str:
        """The same, with the refusal swallowed."""
        viewer = info.context.viewer
        with suppress(Exception):
            return f"{self.number} of {viewer.user_id if viewer else None}"
        return "nobody"

    @strawberry.field
    async def product_name(self, info: Info, key: int | None = None) -> str:
        """Something that is read by a loader."""
        row = await info.context.loaders.products.load(self.number if key is None else key)
        return row.name if row else "none"

    @strawberry.field
    def broken(self) -> str | None:
        """A field that fails as told."""
        COUNTS["broken"] += 1
        fail_if_told()
        return "whole"


@strawberry.type
class Sum:
    """A sum, or what is added to one."""

    is_whole: bool
    amount: int

    @strawberry.field
    def counted(self) -> int:
        """The amount; executions are counted."""
        COUNTS["counted"] += 1
        return self.amount

    @strawberry.field
    def whose(self, info: Info) -> str:
        """Who reads it."""
        viewer = info.context.viewer
        return str(viewer.user_id if viewer else None)


async def _present(event: Event, context: Context) -> Heard:
    COUNTS["presented"] += 1
    return Heard(number=event.number, cursor=await event_cursor(context, event.number))


async def _present_none(event: Event, context: Context) -> Heard | None:
    return await _present(event, context) if event.number % 2 == 0 else None


def _entry(event: Event) -> int:
    return cast("NotificationReceived", event.fact).entry


@strawberry.type
class Query:
    """Schemas need one."""

    nothing: int = 0


@strawberry.type
class Subscription:
    """What is listened to."""

    @strawberry.subscription
    async def heard(self, info: Info, every: int = 1, after: Cursor | None = UNSET) -> AsyncGenerator[Heard, None]:
        """Each event, or every so many."""
        COUNTS["resolved"] += 1
        await asyncio.sleep(0)
        number = await event_number(info.context, after) if after else None
        stream = EventStream(
            topics=frozenset({Topic.NOTIFICATION}),
            matches=lambda event: _entry(event) % every == 0,
            present=_present,
            after=number,
        )
        return cast("AsyncGenerator[Heard, None]", stream)

    @strawberry.subscription
    async def heard_even(self) -> AsyncGenerator[Heard, None]:
        """Events of which every other one has nothing to show."""
        stream = EventStream(topics=frozenset({Topic.NOTIFICATION}), matches=lambda _event: True, present=_present_none)
        return cast("AsyncGenerator[Heard, None]", stream)

    @strawberry.subscription
    async def failing(self) -> AsyncGenerator[Heard, None]:
        """Each event; asking fails as told."""
        fail_if_told()
        stream = EventStream(topics=frozenset({Topic.NOTIFICATION}), matches=lambda _event: True, present=_present)
        return cast("AsyncGenerator[Heard, None]", stream)

    @strawberry.subscription
    async def unshowable(self) -> AsyncGenerator[Heard, None]:
        """Events that cannot be shown."""

        async def present(_event: Event, _context: Context) -> Heard:
            raise ValueError("a secret")

        stream = EventStream(topics=frozenset({Topic.NOTIFICATION}), matches=lambda _event: True, present=present)
        return cast("AsyncGenerator[Heard, None]", stream)

    @strawberry.subscription
    async def heard_until(self, last: int) -> AsyncGenerator[Heard, None]:
        """Events up to one."""
        stream = EventStream(
            topics=frozenset({Topic.NOTIFICATION}),
            matches=lambda _event: True,
            present=_present,
            is_last=lambda event: event.number == last,
        )
        return cast("AsyncGenerator[Heard, None]", stream)

    @strawberry.subscription
    async def own(self, info: Info) -> AsyncGenerator[Heard, None]:
        """Events, chosen by who asks, without saying so."""
        viewer = info.context.viewer
        wanted = viewer.user_id if viewer else 0

        async def present(event: Event, context: Context) -> Heard:
            heard = await _present(event, context)
            return replace(heard, number=wanted * 1000 + event.number)

        stream = EventStream(topics=frozenset({Topic.NOTIFICATION}), matches=lambda _event: True, present=present)
        return cast("AsyncGenerator[Heard, None]", stream)

    @strawberry.subscription
    async def opened(self, values: int = 2, is_last: bool = False) -> AsyncGenerator[Heard, None]:  # noqa: FBT001, FBT002 - arguments of a field
        """A state at first, then what follows."""

        async def opening(context: Context) -> Opening[Heard]:
            COUNTS["opened"] += 1
            number = context.services.feed.last
            cursor = await event_cursor(context, number)
            fail_if_told()
            return Opening([Heard(number=-index, cursor=cursor) for index in range(1, values + 1)], number, is_last)

        stream = EventStream(
            topics=frozenset({Topic.NOTIFICATION}),
            matches=lambda _event: True,
            present=_present,
            opening=opening,
        )
        return cast("AsyncGenerator[Heard, None]", stream)

    @strawberry.subscription
    async def state(self, throttle: float = 0.05) -> AsyncGenerator[Sum, None]:
        """The sum of all entries, and what is added to it."""
        stream = StateStream(
            topics=frozenset({Topic.NOTIFICATION}),
            read=_read_sum,
            whole=lambda total: Sum(is_whole=True, amount=total),
            difference=lambda before, now: None if before == now else Sum(is_whole=False, amount=now - before),
            throttle=throttle,
        )
        return cast("AsyncGenerator[Sum, None]", stream)


async def _read_sum(context: Context) -> int:
    COUNTS["read"] += 1
    fail_if_told()
    async with context.database.read() as session:
        return int(await session.scalar(SUM))


ROOT_FIELDS = {
    "nothing": Action.SIGN_IN,
    "heard": Action.READ_CATALOGUE,
    "heardEven": Action.READ_CATALOGUE,
    "heardUntil": Action.READ_CATALOGUE,
    "failing": Action.READ_CATALOGUE,
    "unshowable": Action.READ_CATALOGUE,
    "opened": Action.READ_CATALOGUE,
    "own": Action.READ_CATALOGUE,
    "state": Action.READ_STOCK,
}


def create_schema() -> ApiSchema:
    """The schema of these tests."""
    return ApiSchema(policy=Policy(dict(ROOT_FIELDS), {}, {}), query=Query, subscription=Subscription)


def outage() -> Exception:
    """What a read raises while the database is down."""
    return ServiceUnavailable("The database cannot be reached at the moment. Try again in a few seconds.")


def not_found() -> Exception:
    """An expected failure."""
    return NotFound("There is no such thing.")
