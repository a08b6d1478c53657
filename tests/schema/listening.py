"""Listening to one subscription without a transport: the parts that the fan-out puts together, one after the other."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.events.cursor import encode_cursor
from graphql_api.events.log import EventLog
from graphql_api.schema.context import Context, Origin, Services
from graphql_api.schema.live import EventStream, StateStream
from graphql_api.schema.root import ApiSchema
from graphql_api.schema.subscribing import Operation, Refused, prepare_operation
from graphql_api.services.errors import ServiceError
from graphql_api.services.policy import Viewer
from tests.client import ADMIN, Client, Response, schema_client

HEARING = Origin("listening")
# Subscribes with a document, as somebody, with variables.
Listen = Callable[..., Coroutine[Any, Any, "Listener"]]


async def relay(database: Database) -> int:
    """Give every committed change its number; how many there were."""
    async with database.transaction() as session:
        return len((await session.execute(text("SELECT number FROM relay_outbox(1000000)"))).all())


async def start_of_log(database: Database) -> str:
    """The cursor before the first event."""
    return encode_cursor((await EventLog(database).head()).log, 0)


@dataclass
class Listener:
    """One subscriber.

    Args:
        services: of the process.
        viewer: who listens.
        operation: what was asked.
        stream: what the root field has answered.
        number: the event after which to go on.
        is_ended: whether nothing follows.
    """

    services: Services
    viewer: Viewer | None
    operation: Operation
    stream: EventStream[Any]
    number: int
    is_ended: bool = False
    opened_with: list[Any] = field(default_factory=list)

    async def take(self) -> list[Any]:
        """What has happened since, all that was committed included, as the client gets it."""
        await relay(self.services.database)
        return await self.read()

    async def read(self) -> list[Any]:
        """What has got its number since, as the client gets it; afterwards the log is all read."""
        return [await self.show(value, context) for value, context in await self._present()]

    async def values(self) -> list[Any]:
        """The same before it is executed."""
        return [value for value, _ in await self._present()]

    async def _present(self) -> list[tuple[Any, Context]]:
        found = []
        while not self.is_ended:
            passage = await self.services.feed.log.read(self.number, topics=self.stream.topics)
            if passage.until == self.number:
                break
            self.number = passage.until
            for event in filter(self.stream.matches, passage.events):
                context = self._context()
                value = await self.stream.present(event, context)
                if value is not None:
                    found.append((value, context))
                if self.stream.is_last(event):
                    self.is_ended = True
                    break
        return found

    async def first(self) -> Response:
        """The first value of what has happened, with its errors; nothing when nothing has."""
        await relay(self.services.database)
        passage = await self.services.feed.log.read(self.number, topics=self.stream.topics)
        for event in filter(self.stream.matches, passage.events):
            context = self._context()
            value = await self.stream.present(event, context)
            if value is not None:
                result = await self.operation.render(value, context)
                return Response(result.data, self.operation.format_errors(result.errors or [], context))
        return Response({})

    async def show(self, value: Any, context: Context) -> Any:
        """The root field of one result, which must have no errors."""
        result = await self.operation.render(value, context)
        assert result.errors is None, result.errors
        return (result.data or {})[self.operation.response_name]

    def _context(self) -> Context:
        return Context(self.services, HEARING, self.viewer)

    async def open(self) -> None:
        """Take what comes first."""
        if self.stream.opening is None:
            return
        context = self._context()
        try:
            opening = await self.stream.opening(context)
        except ServiceError as error:
            errors = self.operation.failure(error).errors or []
            raise Refused(self.operation.format_errors(errors, context)) from None
        self.number, self.is_ended = opening.number, opening.is_last
        self.opened_with = [await self.show(value, context) for value in opening.values]


async def listen(
    schema: ApiSchema, services: Services, document: str, viewer: Viewer | None = ADMIN, **variables: Any
) -> Listener:
    """Subscribe and take what comes first.

    Raises:
        Refused: as the fan-out raises it.
    """
    context = Context(services, HEARING, viewer)
    operation = prepare_operation(schema, document, variables, None, context)
    stream = await operation.open(context)
    assert isinstance(stream, EventStream)
    after = (await services.feed.head()).last if stream.after is None else stream.after
    listener = Listener(services, viewer, operation, stream, after)
    await listener.open()
    return listener


def listening_client(schema: ApiSchema, services: Services, viewer: Viewer | None) -> Client:
    """A client that takes the first value of subscriptions, as if everything in the log were new."""
    asking = schema_client(schema, services, viewer)

    async def send(document: str, variables: dict[str, Any]) -> Response:
        if not document.startswith("subscription"):
            return await asking.send(document, variables)
        context = Context(services, HEARING, viewer)
        try:
            operation = prepare_operation(schema, document, variables, None, context)
            stream = await operation.open(context)
            if isinstance(stream, StateStream):
                return Response({})
            listener = Listener(services, viewer, operation, stream, 0)
            await listener.open()
            return await listener.first()
        except Refused as refused:
            return Response(None, refused.errors)

    return Client(send)


async def refusal_of(hearing: Awaitable[Listener]) -> dict[str, Any]:
    """The one error that a subscription is refused with."""
    try:
        await hearing
    except Refused as refused:
        (error,) = refused.errors
        return error
    raise AssertionError("It was not refused.")


async def change(client: Client, name: str, /, **wish: Any) -> None:
    """Run a mutation that must succeed."""
    kind = f"{name[0].upper()}{name[1:]}Input"
    document = f"mutation ($input: {kind}!) {{ {name}(input: $input) {{ userErrors {{ message path }} }} }}"
    assert (await client.execute(document, input=wish))[name]["userErrors"] == []


def changes(heard: list[Any]) -> list[str]:
    return [event["change"] for event in heard]
