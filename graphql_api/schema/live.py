"""What a subscription's root field answers: where its values come from, to be shared by all who ask for the same.

The field's resolver runs once for each subscriber, as any resolver does, with checked rights and arguments. It answers
one of the two kinds below. Whoever runs subscriptions takes it apart: subscribers with the same document, variables
and rights share one execution for each value.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from graphql_api.database.event import Topic
from graphql_api.events.catalogue import Event
from graphql_api.schema.context import Context

Value = TypeVar("Value")
State = TypeVar("State")


class Live(Generic[Value]):
    """What a subscription's root field answers. graphql-core asks for something to iterate; nobody iterates this."""

    def __aiter__(self) -> AsyncIterator[Any]:
        raise TypeError("Subscriptions are run by the fan-out, which shares executions.")

    def as_answer(self) -> AsyncGenerator[Value, None]:
        """This, under the type from which Strawberry reads what the values are."""
        return cast("AsyncGenerator[Value, None]", self)


@dataclass(frozen=True)
class Opening(Generic[Value]):
    """What a new subscriber gets first.

    Args:
        values: in their order.
        number: of the event after which to go on.
        is_last: whether nothing follows them.
    """

    values: Sequence[Value]
    number: int
    is_last: bool = False


@dataclass(frozen=True)
class EventStream(Live[Value]):
    """Events of the log, each turned into a value.

    Nothing but the arguments without `after`, and rights, may decide what the functions do: they are called once for
    all subscribers who share them. The context they get is made for the occasion; its viewer may stand for many.

    Args:
        topics: what the events are about.
        matches: whether an event is meant, decided from the event alone.
        present: the value of an event; None when this viewer may not see it or it is gone.
        after: the number of the event to go on after; None begins with what happens from now on.
        opening: what comes first; makes `after` superfluous.
        is_last: whether nothing follows this event; asked of those that match.
        is_personal: whether the values are the viewer's alone, so that no two people share an execution.
    """

    topics: frozenset[Topic]
    matches: Callable[[Event], bool]
    present: Callable[[Event, Context], Awaitable[Value | None]]
    after: int | None = None
    opening: Callable[[Context], Awaitable[Opening[Value]]] | None = None
    is_last: Callable[[Event], bool] = lambda _event: False
    is_personal: bool = False


@dataclass(frozen=True)
class StateStream(Live[Value], Generic[State, Value]):
    """A state that is read anew after events, of which subscribers get the differences.

    Args:
        topics: what the events are about that may change it.
        read: the present state.
        whole: the value that holds all of a state: what a new subscriber, or one that fell behind, gets.
        difference: the value that leads from one state to the next; None when there is none.
        throttle: seconds between two readings, at least.
        is_personal: whether the state is the viewer's alone.
    """

    topics: frozenset[Topic]
    read: Callable[[Context], Awaitable[State]]
    whole: Callable[[State], Value]
    difference: Callable[[State, State], Value | None]
    throttle: float
    is_personal: bool = False
