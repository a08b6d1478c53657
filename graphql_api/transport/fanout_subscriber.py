"""One subscription of one client, as the fan-out sees it: a place in a stream and a way out."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from graphql_api.schema.context import Context, Origin
from graphql_api.schema.errors import INTERNAL, hidden_fault
from graphql_api.schema.subscribing import Operation
from graphql_api.services.errors import ServiceError
from graphql_api.services.policy import Viewer
from graphql_api.services.translation import translate
from graphql_api.transport.execution import formatted_error
from graphql_api.transport.fanout_message import Message
from graphql_api.transport.fanout_opening import OpeningProgress

logger = logging.getLogger(__name__)


class Outlet(Protocol):
    """What a transport provides for one subscription. Nothing here waits."""

    @property
    def is_ready(self) -> bool:
        """Whether a message would be taken now: the way is free, and what the client may see is known to hold."""

    def next(self, payload: str, cursor: str | None) -> None:
        """Take a message; only called while ready.

        Args:
            payload: one result as JSON on one line.
            cursor: what the client may hand in to go on behind it; None when it cannot go on from here.
        """

    def end(self, errors: Sequence[Mapping[str, Any]] | None) -> None:
        """Nothing follows: the stream is complete, or `errors` say why it stops. Called at most once, ready or not."""


class _Gone:
    """In place of the outlet of somebody who has left."""

    is_ready = False

    def next(self, payload: str, cursor: str | None) -> None:
        """Nobody is there."""

    def end(self, errors: Sequence[Mapping[str, Any]] | None) -> None:
        """Nobody is there."""


GONE = _Gone()


class Group(Protocol):
    """Subscribers who get the same."""

    def wake(self, subscriber: "Subscriber") -> None:
        """The subscriber's outlet has become ready."""

    def release(self, subscriber: "Subscriber") -> int:
        """Let a subscriber go; the position from which it goes on elsewhere."""


class Renewal(Protocol):
    """Whoever moves subscribers to other groups."""

    def renew(self, subscriber: "Subscriber", context: Context) -> None:
        """Have it go on with other rights."""


class Subscriber:
    """One subscription of one client.

    Args:
        fanout: moves it when its rights change.
        operation: what it has asked for.
        context: who asks, from where.
        outlet: where its messages go.
    """

    __slots__ = (
        "_fanout",
        "group",
        "is_ended",
        "opening",
        "operation",
        "origin",
        "outlet",
        "position",
        "task",
        "viewer",
    )

    def __init__(self, fanout: Renewal, operation: Operation, context: Context, outlet: Outlet) -> None:
        self._fanout = fanout
        self.operation = operation
        self.origin: Origin = context.origin
        self.viewer: Viewer | None = context.viewer
        self.outlet = outlet
        self.group: Group | None = None
        # The number of the last event it needs no more, or the version of the state it has.
        self.position = 0
        # What it still is to get before events.
        self.opening: OpeningProgress | None = None
        # What is being done for it alone.
        self.task: asyncio.Task[None] | None = None
        self.is_ended = False

    def wake(self) -> None:
        """The outlet has become ready again: what was missed follows."""
        if self.group is not None:
            self.group.wake(self)

    def close(self) -> None:
        """The client has left; idempotent."""
        if not self.is_ended:
            self.is_ended = True
            self.outlet = GONE
            self.detach()

    def renew(self, context: Context) -> None:
        """The viewer's rights have changed: go on from the same place with those of `context`, or end: FORBIDDEN."""
        if not self.is_ended:
            self._fanout.renew(self, context)

    def detach(self) -> None:
        """Leave the group; `position` is where to go on elsewhere."""
        self.drop_task()
        group, self.group = self.group, None
        if group is not None:
            self.position = group.release(self)

    def drop_task(self) -> None:
        """Give up what is being done for it alone."""
        task, self.task = self.task, None
        if task is not None and task is not _current_task():
            task.cancel()

    def take(self, message: Message) -> None:
        """Hand a message of its group over; only called while the outlet is ready."""
        self.position = message.number
        if message.text is not None:
            self.send(message.text, message.cursor)
        if message.is_last:
            self.end(None)

    def send(self, text: str, cursor: str | None) -> None:
        """Hand a text over; only called while the outlet is ready. An outlet that fails is the end of it alone."""
        try:
            self.outlet.next(text, cursor)
        except Exception as error:  # noqa: BLE001 - the others must not suffer
            self.break_off(error)

    def end(self, errors: Sequence[Mapping[str, Any]] | None) -> None:
        """Tell the client that nothing follows, and why."""
        outlet = self.outlet
        self.close()
        try:
            outlet.end(errors)
        except Exception:
            logger.exception("The end of a subscription could not be told")

    def fail(self, error: ServiceError) -> None:
        """End because of an expected failure."""
        self.end([formatted_error(error, self.origin)])

    def break_off(self, error: BaseException) -> None:
        """End because of a fault that is our own: it is logged, and hidden behind a request id."""
        request_id = self.origin.request_id
        logger.error("subscription %s failed at %s", request_id, self.operation.field_name, exc_info=error)
        message = translate(hidden_fault(request_id), self.origin.language)
        self.end([{"message": message, "extensions": {"code": INTERNAL, "requestId": request_id}}])


def _current_task() -> asyncio.Task[Any] | None:
    """The running task; None in a callback of the event loop, or after the loop has ended."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
