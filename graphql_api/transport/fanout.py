"""Subscriptions: subscribers of equal operations with equal rights share one execution and get the same bytes."""

import asyncio
import logging

from cachetools import LRUCache

from graphql_api.database.user import Role
from graphql_api.schema.context import Context, Services
from graphql_api.schema.event_cursor import event_number, expired
from graphql_api.schema.live import EventStream
from graphql_api.schema.root import ApiSchema
from graphql_api.schema.subscribing import AnyStream, Refused, Rights, prepare_operation
from graphql_api.services.errors import ErrorCode, ServiceError
from graphql_api.services.faults import ServiceUnavailable, as_service_error
from graphql_api.transport.execution import formatted_error
from graphql_api.transport.fanout_dispatch import Dispatcher
from graphql_api.transport.fanout_events import EventGroup
from graphql_api.transport.fanout_group import Machinery, SharingGroup
from graphql_api.transport.fanout_message import Room
from graphql_api.transport.fanout_opening import OpeningProgress
from graphql_api.transport.fanout_rendering import Rendering, wait_after_failure
from graphql_api.transport.fanout_state import StateGroup
from graphql_api.transport.fanout_subscriber import Outlet, Subscriber
from graphql_api.transport.graphql_request import GraphQLRequest

__all__ = ["Fanout", "Outlet", "Refused", "Subscriber"]

logger = logging.getLogger(__name__)

# Subscribers that read on for themselves at the same time.
CATCH_UPS = 8
# Documents remembered as personal.
PERSONAL = 10_000
# How often subscribers that have become ready without a word are looked for.
SWEEP_SECONDS = 1.0
# How long a new subscriber waits for the process to know its events; not all clients try again.
START_SECONDS = 30.0
OUTAGES = frozenset({ErrorCode.SERVICE_UNAVAILABLE.value, ErrorCode.OPERATION_TIMEOUT.value})


class Fanout:
    """Runs the subscriptions of a process.

    Args:
        schema: what operations run on.
        services: what they share.
    """

    def __init__(self, schema: ApiSchema, services: Services) -> None:
        self._schema = schema
        self._services = services
        self._dispatcher = Dispatcher(services.feed)
        self._groups: dict[tuple[object, ...], SharingGroup] = {}
        # what looks as if it could be shared, and was found to depend on who asks
        self._personal: LRUCache[tuple[bytes, Role | None], bool] = LRUCache(PERSONAL)
        self._machinery = Machinery(
            services=services,
            policy=schema.policy,
            dispatcher=self._dispatcher,
            rendering=Rendering(services),
            room=Room(),
            catch_ups=asyncio.Semaphore(CATCH_UPS),
            on_empty=self._forget,
            on_personal=self._separate,
        )

    async def run(self) -> None:
        """Follow events until cancelled; afterwards nothing is sent any more."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._dispatcher.run())
                tasks.create_task(self._sweep())
        finally:
            for group in list(self._groups.values()):
                group.stop()

    async def subscribe(
        self, request: GraphQLRequest, context: Context, outlet: Outlet, *, after: str | None = None
    ) -> Subscriber:
        """Begin a subscription. The outlet hears nothing before this has returned.

        Args:
            request: a document with a subscription.
            context: of this operation; who asks, from where.
            outlet: where its messages go.
            after: a cursor that says better than the field's argument `after` where to go on. Streams that begin
                with a state take no notice of it: they begin with the present one.

        Raises:
            Refused: it cannot run, or the viewer may not run it.
        """
        await self._started(context)
        feed = self._services.feed
        begin, era = feed.last, feed.era
        operation = prepare_operation(self._schema, request.query, request.variables, request.operation_name, context)
        stream = await operation.open(context, is_resumed=after is not None)
        subscriber = Subscriber(self, operation, context, outlet)
        await self._find_place(subscriber, stream, context, begin, after)
        if feed.era != era:
            raise Refused([formatted_error(expired(), context.origin)])
        self._join(subscriber, stream)
        return subscriber

    def renew(self, subscriber: Subscriber, context: Context) -> None:
        """Have a subscriber go on with the rights of another context, or end with FORBIDDEN."""
        group = subscriber.group
        subscriber.viewer = context.viewer
        if isinstance(group, SharingGroup) and self._rights(subscriber, group.stream) == group.rights:
            subscriber.wake()
            return
        subscriber.detach()
        try:
            context.check(self._schema.policy, subscriber.operation.field_name)
        except ServiceError as error:
            subscriber.fail(error)
            return
        subscriber.task = asyncio.create_task(self._reopen(subscriber, context))

    async def _started(self, context: Context) -> None:
        if self._dispatcher.is_ready.is_set():
            return
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._dispatcher.is_ready.wait()
        except TimeoutError:
            error = ServiceUnavailable("Events cannot be followed at the moment. Try again in a few seconds.")
            raise Refused([formatted_error(error, context.origin)]) from None

    async def _find_place(
        self, subscriber: Subscriber, stream: AnyStream, context: Context, begin: int, after: str | None
    ) -> None:
        """Where a new subscriber begins."""
        if not isinstance(stream, EventStream):
            return
        if stream.opening is not None:
            subscriber.opening = OpeningProgress()
            return
        subscriber.position = begin if stream.after is None else stream.after
        if after is not None:
            try:
                subscriber.position = await event_number(context, after)
            except Exception as error:
                known = as_service_error(error)
                if known is None:
                    raise
                raise Refused([formatted_error(known, context.origin)]) from error

    def _join(self, subscriber: Subscriber, stream: AnyStream) -> None:
        """Put a subscriber to those who get the same."""
        rights = self._rights(subscriber, stream)
        group = self._groups.get((subscriber.operation.key, rights))
        if group is None:
            group = self._groups[subscriber.operation.key, rights] = self._create_group(subscriber, stream, rights)
        # one operation for all, so that each need not keep its own
        subscriber.operation = group.operation
        group.join(subscriber)

    def _create_group(self, subscriber: Subscriber, stream: AnyStream, rights: Rights) -> SharingGroup:
        if isinstance(stream, EventStream):
            return EventGroup(self._machinery, subscriber.operation, stream, rights)
        return StateGroup(self._machinery, subscriber.operation, stream, rights)

    def _rights(self, subscriber: Subscriber, stream: AnyStream) -> Rights:
        viewer = subscriber.viewer
        role = viewer.role if viewer else None
        is_personal = stream.is_personal or (subscriber.operation.document_key, role) in self._personal
        return Rights.of(viewer, subscriber.origin.language, is_personal=is_personal)

    def _forget(self, group: SharingGroup) -> None:
        """A group has lost its last subscriber."""
        if self._groups.get(group.key) is group:
            del self._groups[group.key]

    def _separate(self, group: SharingGroup) -> None:
        """What a group was to share depends on who asks: each goes on from its place with those who are the same."""
        logger.info("`%s` depends on who asks and is executed for each", group.operation.field_name)
        self._personal[group.operation.document_key, group.rights.role] = True
        for subscriber in list(group.subscribers):
            subscriber.detach()
            if subscriber.opening is not None:
                subscriber.opening = subscriber.opening.carried()
            self._join(subscriber, group.stream)

    async def _reopen(self, subscriber: Subscriber, context: Context) -> None:
        """Go on with other rights, from the same place."""
        try:
            stream = await self._reopened(subscriber, context)
        except Refused as refused:
            subscriber.end(refused.errors)
        except Exception as error:  # noqa: BLE001 - it is logged there
            subscriber.break_off(error)
        else:
            subscriber.task = None
            if subscriber.opening is not None:
                subscriber.opening = OpeningProgress()
            self._join(subscriber, stream)

    async def _reopened(self, subscriber: Subscriber, context: Context) -> AnyStream:
        attempt = 0
        while True:
            attempt += 1
            try:
                return await subscriber.operation.open(context, is_resumed=True)
            except Refused as refused:
                if not OUTAGES & {error.get("extensions", {}).get("code") for error in refused.errors}:
                    raise
            await wait_after_failure(attempt)

    async def _sweep(self) -> None:
        """Serve whoever has become ready without a word, as all do when notices are heard again."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for group in list(self._groups.values()):
                group.wake_waiting()
                await asyncio.sleep(0)
