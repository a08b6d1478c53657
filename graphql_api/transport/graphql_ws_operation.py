"""One operation on a WebSocket, from `subscribe` to `complete`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from graphql import GraphQLError
from strawberry.types.graphql import OperationType

from graphql_api.schema.context import Context, Origin, Services
from graphql_api.schema.errors import present_error
from graphql_api.schema.root import ApiSchema
from graphql_api.services.policy import Unauthenticated, Viewer
from graphql_api.transport.execution import result_payload
from graphql_api.transport.fanout import Fanout, Refused, Subscriber
from graphql_api.transport.graphql_request import GraphQLRequest
from graphql_api.transport.graphql_ws_messages import encode_error, encode_message, next_prefix
from graphql_api.transport.json_text import encode_json
from graphql_api.transport.socket_metrics import TALLY

READS_AND_WRITES = frozenset({OperationType.QUERY, OperationType.MUTATION})


class Floor(Protocol):
    """What an operation needs of its connection."""

    @property
    def is_ready(self) -> bool:
        """Whether a result of a subscription may be sent now."""

    @property
    def viewer(self) -> Viewer | None:
        """Who has signed in."""

    def put(self, text: str) -> None:
        """Send a result; only called while the connection is ready, or it is the operation's turn."""

    async def turn(self) -> bool:
        """Wait until the client keeps up; whether a result may be put now, else the connection ends."""

    def say(self, text: str) -> None:
        """Send a short answer."""


@dataclass(frozen=True)
class Engine:
    """What runs operations.

    Args:
        services: what all operations share.
        schema: what they run on.
        fanout: what subscriptions run on.
    """

    services: Services
    schema: ApiSchema
    fanout: Fanout


@dataclass(frozen=True)
class Wanted:
    """An operation as a client asks for it.

    Args:
        id: what the client calls it.
        kind: what it is; None when the document cannot be parsed, which running it tells.
        request: what is asked.
        origin: where it comes from, with an id of its own.
    """

    id: str
    kind: OperationType | None
    request: GraphQLRequest
    origin: Origin


class Operation:
    """One operation of a client; also the outlet of its subscription.

    Args:
        wanted: what is asked for.
        engine: what runs it.
        floor: the connection.
        on_end: called when it has ended by itself.

    Raises:
        RequestRefused: its idempotency key is none.
    """

    def __init__(self, wanted: Wanted, engine: Engine, floor: Floor, on_end: Callable[["Operation"], None]) -> None:
        self.id = wanted.id
        self._kind = wanted.kind
        self._request = wanted.request
        self._origin = wanted.origin
        self._idempotency_key = wanted.request.idempotency_key(())
        self._engine = engine
        self._floor = floor
        self._on_end = on_end
        self._prefix = next_prefix(wanted.id)
        self._subscriber: Subscriber | None = None
        self._is_over = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> asyncio.Task[None]:
        """Begin to run."""
        TALLY.operations += 1
        work = self._subscribe if self._kind is OperationType.SUBSCRIPTION else self._execute
        self._task = asyncio.create_task(self._guarded(work))
        return self._task

    @property
    def is_ready(self) -> bool:
        """Whether a result would be taken now."""
        return not self._is_over and self._floor.is_ready

    def next(self, payload: str, cursor: str | None) -> None:  # noqa: ARG002 - clients read it in the payload
        """Send a result."""
        self._floor.put(f"{self._prefix}{payload}}}")

    def end(self, errors: Sequence[Mapping[str, Any]] | None) -> None:
        """Say that nothing follows, and why if something went wrong."""
        if self._is_over:
            return
        self._close()
        self._floor.say(encode_error(self.id, errors) if errors else encode_message("complete", id_=self.id))
        self._on_end(self)

    def leave(self) -> None:
        """The client wants no more. What changes data is carried out all the same."""
        self._close()
        if self._task is not None and self._kind is not OperationType.MUTATION:
            self._task.cancel()

    def renew(self, viewer: Viewer) -> None:
        """The viewer's rights have changed."""
        if self._subscriber is not None and not self._is_over:
            self._subscriber.renew(Context(self._engine.services, self._origin, viewer))

    def wake(self) -> None:
        """Results are taken again."""
        if self._subscriber is not None and not self._is_over:
            self._subscriber.wake()

    def _close(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        TALLY.operations -= 1
        if self._subscriber is not None:
            self._subscriber.close()

    async def _guarded(self, work: Callable[[Context], Awaitable[None]]) -> None:
        """Run so that whatever goes wrong concerns this operation alone."""
        try:
            await work(await self._create_context())
        except Refused as refused:
            self.end(refused.errors)
        except Exception as error:  # noqa: BLE001 - it is logged, and told without what happened
            shown = present_error(
                GraphQLError("", original_error=error), self._origin.request_id, self._origin.language
            )
            self.end([dict(shown.formatted)])

    async def _create_context(self) -> Context:
        """A context with the rights of this moment."""
        viewer, problem = self._floor.viewer, None
        if viewer is not None:
            try:
                viewer = await self._engine.services.authentication.present_viewer(viewer)
            except Unauthenticated as error:
                viewer, problem = None, error
        return Context(self._engine.services, self._origin, viewer, problem, self._idempotency_key)

    async def _subscribe(self, context: Context) -> None:
        if self._is_over:
            return
        subscriber = await self._engine.fanout.subscribe(self._request, context, self)
        self._subscriber = subscriber
        if self._is_over:
            subscriber.close()
            return
        viewer = self._floor.viewer
        if viewer is not None and viewer != context.viewer:
            self.renew(viewer)  # the rights have changed meanwhile
        self.wake()

    async def _execute(self, context: Context) -> None:
        result = await self._engine.schema.execute(
            self._request.query,
            self._request.variables,
            context,
            operation_name=self._request.operation_name,
            allowed_operation_types=READS_AND_WRITES,
            operation_extensions=self._request.extensions,
        )
        if self._is_over:
            return
        payload = result_payload(result)
        if "data" not in payload:
            self.end(payload["errors"])
            return
        text = f"{self._prefix}{encode_json(payload).decode()}}}"
        if await self._floor.turn() and not self._is_over:
            self._floor.put(text)
        self.end(None)
