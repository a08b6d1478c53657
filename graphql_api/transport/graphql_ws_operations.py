"""The operations that run on one WebSocket: how many, how fast, and who is next."""

import asyncio
import secrets
from dataclasses import replace

from strawberry.types.graphql import OperationType

from graphql_api.schema.context import Origin
from graphql_api.services.errors import RateLimited, ServiceError
from graphql_api.services.policy import Viewer
from graphql_api.services.translation import translate
from graphql_api.transport.execution import UnknownOperation, formatted_error, operation_type
from graphql_api.transport.graphql_request import GraphQLRequest
from graphql_api.transport.graphql_ws_limits import Pace, SocketLimits
from graphql_api.transport.graphql_ws_messages import encode_error
from graphql_api.transport.graphql_ws_operation import Engine, Floor, Operation, Wanted
from graphql_api.transport.problems import RequestRefused


class Operations:
    """The operations of one WebSocket.

    Args:
        engine: runs them.
        floor: the connection.
        origin: where it comes from.
        limits: how many there may be, and how fast they may begin.
    """

    def __init__(self, engine: Engine, floor: Floor, origin: Origin, limits: SocketLimits) -> None:
        self._engine = engine
        self._floor = floor
        self._origin = origin
        self._most = limits.operations
        self._pace = Pace(limits.starts_per_second, 2 * limits.operations)
        self._running: dict[str, Operation] = {}
        self._writes: set[asyncio.Task[None]] = set()
        self._turn = 0

    def __contains__(self, id_: str) -> bool:
        """Whether an operation of this id runs."""
        return id_ in self._running

    def start(self, id_: str, request: GraphQLRequest) -> None:
        """Begin an operation; if that cannot be, the client is told, and the connection goes on."""
        try:
            self._check_room()
            self._run(Wanted(id_, operation_type(self._engine.schema, request), request, self._new_origin()))
        except UnknownOperation as error:
            self._floor.say(encode_error(id_, [error.formatted(self._origin.language)]))
        except RequestRefused as refused:
            text = translate(refused, self._origin.language)
            self._floor.say(encode_error(id_, [{"message": text, "extensions": {"code": refused.code.value}}]))
        except ServiceError as error:
            self._floor.say(encode_error(id_, [formatted_error(error, self._origin)]))

    def complete(self, id_: str) -> None:
        """The client wants no more of an operation; it may have ended by itself."""
        if operation := self._running.pop(id_, None):
            operation.leave()

    def leave(self) -> None:
        """The client wants no more of any."""
        running, self._running = self._running, {}
        for operation in running.values():
            operation.leave()

    def renew(self, viewer: Viewer) -> None:
        """The viewer's rights have changed."""
        for operation in list(self._running.values()):
            operation.renew(viewer)

    def wake(self) -> None:
        """Have subscriptions go on, each time beginning with another one, so that none is always the last."""
        operations = list(self._running.values())
        if not operations:
            return
        self._turn = (self._turn + 1) % len(operations)
        for operation in (*operations[self._turn :], *operations[: self._turn]):
            if not self._floor.is_ready:
                return
            operation.wake()

    async def finish_writes(self) -> None:
        """Wait for changes of data that have begun: they are carried out although nobody waits for the answer."""
        writes = set(self._writes)
        if not writes:
            return
        try:
            await asyncio.wait(writes)
        except asyncio.CancelledError:  # the server stops and has waited for long
            for task in writes:
                task.cancel()

    def _check_room(self) -> None:
        # mutations that the client has left go on
        if max(len(self._running), len(self._writes)) >= self._most:
            raise RateLimited(
                "A connection runs at most {limit} operations at once. Complete one first.", limit=self._most
            )
        if not self._pace.may_begin():
            raise RateLimited("This connection begins operations too fast. Wait a second.")

    def _new_origin(self) -> Origin:
        return replace(self._origin, request_id=secrets.token_hex(8))

    def _run(self, wanted: Wanted) -> None:
        operation = Operation(wanted, self._engine, self._floor, on_end=self._forget)
        self._running[wanted.id] = operation
        task = operation.start()
        if wanted.kind is OperationType.MUTATION:
            self._writes.add(task)
            task.add_done_callback(self._writes.discard)

    def _forget(self, operation: Operation) -> None:
        """An operation has ended, its id is free."""
        if self._running.get(operation.id) is operation:
            del self._running[operation.id]
