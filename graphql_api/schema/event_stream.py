"""What subscriptions to the event log share: the argument to go on with, and the way from a filter to a stream."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, TypeVar

import strawberry

from graphql_api.database.event import Topic
from graphql_api.events.catalogue import Event
from graphql_api.schema.context import Context
from graphql_api.schema.event_cursor import event_number
from graphql_api.schema.filters import to_where
from graphql_api.schema.live import EventStream
from graphql_api.schema.scalars import Cursor
from graphql_api.services.event_filter import FactField, event_predicate

Value = TypeVar("Value")
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
CURSOR = "Hand it in as `after` to go on behind this event, also on another connection or days later."
AT = "When the change began (UTC). Events come in the order in which changes were finished, so times may step back."


async def event_stream(  # noqa: PLR0913 - what makes one subscription differ from another
    context: Context,
    topic: Topic,
    present: Callable[[Event, Context], Awaitable[Value | None]],
    *,
    where: Any,
    facts: Mapping[str, FactField],
    after: Cursor | None,
    **settings: Any,
) -> EventStream[Value]:
    """The events of a topic that match a filter, each as `present` shows it.

    Args:
        context: of the subscriber.
        topic: what the events are about.
        present: the value of an event, None when there is nothing to show.
        where: the filter as the client has given it, or as services read it.
        facts: what the filter can name.
        after: the cursor to go on behind.
        settings: what else an `EventStream` takes.

    Raises:
        BadInput, TooComplex: for an impossible filter or cursor, with the path to it.
        CursorIsExpired: what follows `after` is no longer kept.
    """
    matches = event_predicate(where if isinstance(where, Mapping) else to_where(where), facts)
    return EventStream(
        topics=frozenset({topic}),
        matches=lambda event: event.fact is not None and matches(event.fact),
        present=present,
        after=await event_number(context, after) if isinstance(after, str) else None,
        **settings,
    )
