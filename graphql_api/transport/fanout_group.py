"""What all groups of subscribers have in common."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from graphql_api.database.event import Topic
from graphql_api.events.catalogue import Event
from graphql_api.events.cursor import CursorExpired
from graphql_api.schema.context import Services
from graphql_api.schema.event_cursor import expired
from graphql_api.schema.permissions import Policy
from graphql_api.schema.subscribing import AnyStream, Operation, Rights
from graphql_api.services.errors import ServiceError
from graphql_api.services.faults import as_service_error
from graphql_api.transport.fanout_dispatch import Dispatcher
from graphql_api.transport.fanout_message import Room
from graphql_api.transport.fanout_rendering import IsPersonal, Rendering
from graphql_api.transport.fanout_subscriber import Subscriber

# Messages handed out before others get their turn.
SENDS = 200
# How often it is looked whether notices are heard again.
NOTICE_SECONDS = 0.02

Work = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Machinery:
    """What the groups of a process share.

    Args:
        services: what operations share.
        policy: says who may use a root field.
        dispatcher: wakes groups.
        rendering: executes for them.
        room: what they may remember.
        catch_ups: how many subscribers read on for themselves at the same time.
        on_empty: called when a group has lost its last subscriber.
        on_personal: called when a group turns out not to be one.
    """

    services: Services
    policy: Policy
    dispatcher: Dispatcher
    rendering: Rendering
    room: Room
    catch_ups: asyncio.Semaphore
    on_empty: Callable[["SharingGroup"], None]
    on_personal: Callable[["SharingGroup"], None]


class SharingGroup(ABC):
    """Subscribers of the same operation with the same rights.

    Args:
        machinery: of the process.
        operation: what they have asked for.
        stream: what the root field has answered.
        rights: what they may see.
    """

    def __init__(self, machinery: Machinery, operation: Operation, stream: AnyStream, rights: Rights) -> None:
        self.machinery = machinery
        self.operation = operation
        self.stream: AnyStream = stream
        self.rights = rights
        # whether it has dealt with everything there was for it, and what there is for it
        self.is_idle = True
        self.matches: Callable[[Event], bool] = _everything
        self.subscribers: dict[Subscriber, None] = {}
        # those who have everything there is so far
        self._live: dict[Subscriber, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def key(self) -> tuple[object, ...]:
        """What subscribers must have in common to be here."""
        return (self.operation.key, self.rights)

    @property
    def topics(self) -> frozenset[Topic]:
        """What it is about."""
        return self.stream.topics

    @abstractmethod
    def begin(self, after: int) -> None:
        """Deal with what is behind event `after`; called while idle."""

    @abstractmethod
    def place_of(self, subscriber: Subscriber) -> int:
        """Where it would go on elsewhere."""

    @abstractmethod
    def serve(self, subscriber: Subscriber) -> None:
        """Give what it lacks to a subscriber for whom nothing is being done at the moment."""

    def join(self, subscriber: Subscriber) -> None:
        """Take in a subscriber, who goes on from its position. It hears nothing before the caller has returned."""
        subscriber.group = self
        self.subscribers[subscriber] = None
        asyncio.get_running_loop().call_soon(subscriber.wake)

    def wake(self, subscriber: Subscriber) -> None:
        """The subscriber's outlet has become ready."""
        if subscriber not in self._live and subscriber.task is None and subscriber.outlet.is_ready:
            self.serve(subscriber)

    def release(self, subscriber: Subscriber) -> int:
        """Let a subscriber go; the position from which it goes on elsewhere."""
        position = self.place_of(subscriber)
        self.subscribers.pop(subscriber, None)
        self._live.pop(subscriber, None)
        if not self.subscribers:
            self.stop()
            self.machinery.on_empty(self)
        return position

    def stop(self) -> None:
        """Do nothing more and remember nothing."""
        self.machinery.dispatcher.remove(self)
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()

    def start_over(self) -> None:
        """The log is another one: nobody can go on."""
        self.end_all(expired())

    def end_all(self, error: ServiceError) -> None:
        """End all subscriptions because of an expected failure."""
        for subscriber in list(self.subscribers):
            subscriber.fail(error)

    def wake_waiting(self) -> None:
        """Serve whoever has become ready without a word."""
        for subscriber in list(self.subscribers):
            self.wake(subscriber)

    async def notices_heard(self) -> None:
        """Wait until it is known that nobody's rights have changed unheard."""
        while not self.machinery.services.noticeboard.is_current:  # noqa: ASYNC110 - it depends on time alone
            await asyncio.sleep(NOTICE_SECONDS)

    def check_rights(self) -> None:
        """Return when the group's viewer may still use the root field.

        Raises:
            Unauthenticated, Forbidden: it may not.
        """
        self.machinery.policy.check(self.operation.field_name, self.rights.stand_in())

    def run(self, work: Work) -> asyncio.Task[None]:
        """Do something for the group, and end its subscriptions rather than keep them waiting if that fails."""
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def run_for(self, subscriber: Subscriber, work: Work) -> None:
        """Do something for one subscriber."""
        subscriber.task = asyncio.create_task(self._guarded(work, subscriber))

    async def _guarded(self, work: Work, subscriber: Subscriber | None = None) -> None:
        try:
            await work()
        except IsPersonal:
            self.machinery.on_personal(self)
        except Exception as error:  # noqa: BLE001 - whoever waits for this must hear that it will not come
            for concerned in [subscriber] if subscriber else list(self.subscribers):
                _end(concerned, error)
        finally:
            if subscriber and subscriber.task is asyncio.current_task():
                subscriber.task = None


def _everything(_event: Event) -> bool:
    return True


def _end(subscriber: Subscriber, error: Exception) -> None:
    if isinstance(error, CursorExpired):
        subscriber.fail(expired())
    elif known := as_service_error(error):
        subscriber.fail(known)
    else:
        subscriber.break_off(error)
