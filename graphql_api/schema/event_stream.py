"""What subscriptions to the event log share: fields, filters and arguments, and the way from these to a stream."""

import datetime as dt
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Annotated, Generic, TypedDict, TypeVar, cast

import strawberry

from graphql_api.database.event import Topic
from graphql_api.events.catalogue import Event, Fact
from graphql_api.schema.context import Context
from graphql_api.schema.event_cursor import event_cursor, event_number
from graphql_api.schema.filters import EQUAL, ONE_OF, operator
from graphql_api.schema.live import EventStream, Opening
from graphql_api.schema.scalars import Cursor
from graphql_api.services.event_filter import FactField, event_predicate
from graphql_api.services.filters import Where

Change = TypeVar("Change")
Filter = TypeVar("Filter")
Told = TypeVar("Told", bound=Fact)
Value = TypeVar("Value")

AS_IT_IS_NOW = "All of it, as it is now, which may be after later changes; compare `version`. Null once deleted."
MatchingEvents = Annotated[Filter | None, strawberry.argument(description="Only changes that match this filter.")]
AfterEvent = Annotated[
    Cursor | None,
    strawberry.argument(
        description=(
            "The `cursor` of the last event you have: what follows it comes first, then what happens; nothing is "
            "missed and nothing comes twice. Left out: what happens from now on. Events are kept for some days; "
            "CURSOR_EXPIRED says that some are gone: read the present state, then subscribe without `after`."
        )
    ),
]


@strawberry.type
class LoggedEvent:
    """An event of the log; what is told with it is up to its kind."""

    cursor: Cursor = strawberry.field(
        description="Hand it in as `after` to go on behind this event, also on another connection or days later."
    )
    at: dt.datetime = strawberry.field(
        description=(
            "When the change began (UTC). Events come in the order in which changes were finished, so times may step "
            "back."
        )
    )


class LoggedFields(TypedDict):
    """The fields of `LoggedEvent`."""

    cursor: Cursor
    at: dt.datetime


@strawberry.input
class ChangeFilter(Generic[Change]):
    """Conditions on what has become of something, which is one of an enum."""

    eq: Change | None = operator(EQUAL)
    in_: list[Change] | None = operator(ONE_OF, name="in")


Present = Callable[[Told, LoggedFields, Context], Awaitable[Value | None]]


async def event_stream(  # noqa: PLR0913 - what makes one subscription differ from another
    context: Context,
    topic: Topic,
    present: Present[Told, Value],
    *,
    where: Where,
    facts: Mapping[str, FactField],
    after: Cursor | None = None,
    opening: Callable[[Context], Awaitable[Opening[Value]]] | None = None,
    is_last: Callable[[Told], bool] = lambda _fact: False,
) -> AsyncGenerator[Value, None]:
    """The events of a topic that match a filter, each as `present` shows it: what a resolver answers.

    Args:
        context: of the subscriber.
        topic: what the events are about.
        present: the value of an event, made of its fact; None when this viewer may not see it or it is gone.
        where: the filter.
        facts: what the filter can name.
        after: the cursor to go on behind; left out or null, what happens from now on.
        opening: what comes first, and after which event to go on.
        is_last: whether nothing follows the event of this fact.

    Raises:
        BadInput, TooComplex: for an impossible filter or cursor, with the path to it.
        CursorIsExpired: what follows `after` is no longer kept.
    """
    matches = event_predicate(where, facts)
    return EventStream(
        topics=frozenset({topic}),
        matches=lambda event: event.fact is not None and matches(event.fact),
        present=_presenting(present),
        after=await event_number(context, after) if isinstance(after, str) else None,
        opening=opening,
        is_last=lambda event: is_last(cast("Told", event.fact)),
    ).as_answer()


def _presenting(present: Present[Told, Value]) -> Callable[[Event, Context], Awaitable[Value | None]]:
    async def presented(event: Event, context: Context) -> Value | None:
        logged = LoggedFields(cursor=await event_cursor(context, event.number), at=event.recorded_at)
        return await present(cast("Told", event.fact), logged, context)

    return presented
