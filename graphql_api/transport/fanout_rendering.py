"""Executions for groups: values in, texts out, in spite of outages and without mixing people up."""

import asyncio
import logging
import random
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from graphql import ExecutionResult

from graphql_api.events.catalogue import Event
from graphql_api.events.cursor import encode_cursor
from graphql_api.schema.context import Context, Origin, Services
from graphql_api.schema.live import EventStream
from graphql_api.schema.subscribing import Operation, Rights
from graphql_api.schema.viewer_identity import SharedViewer, StandsForMany
from graphql_api.services.errors import ErrorCode
from graphql_api.services.faults import as_service_error
from graphql_api.transport.fanout_loaders import SharedLoaders
from graphql_api.transport.fanout_message import Message
from graphql_api.transport.fanout_turns import Turns
from graphql_api.transport.json_text import encode_json

logger = logging.getLogger(__name__)

# Events that are executed at the same time: their reads become one statement for each kind of thing.
BATCH = 50
# Groups that execute at the same time; and with those that have waited for the database for so many seconds.
FEW, MANY, PATIENCE_SECONDS = 8, 100, 0.1
# Seconds before the next attempt while the database is down: at first, and at most.
RETRY_SECONDS = (0.1, 2.0)
# How often something that takes too long is tried before its subscribers hear of it.
SLOW_ATTEMPTS = 3

Value = TypeVar("Value")


class IsPersonal(Exception):  # noqa: N818 - reads as what it is
    """What was to be shared depends on who exactly asks."""


@dataclass
class Outcome(Generic[Value]):
    """What came of an execution, and the errors on the way as they were raised."""

    value: Value
    errors: Sequence[BaseException] = ()


class Rendering:
    """Executes for the groups of a process.

    Args:
        services: what executions share.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._turns = Turns(FEW, MANY, PATIENCE_SECONDS)
        self._loaders = SharedLoaders(services.feed)

    async def messages(
        self, operation: Operation, stream: EventStream[Any], rights: Rights, events: Sequence[Event]
    ) -> list[Message]:
        """The messages of events, in order.

        Raises:
            IsPersonal: the viewer's identity was asked for where `rights` name nobody.
        """
        messages: list[Message] = []
        for first in range(0, len(events), BATCH):
            messages += await self._batch(operation, stream, rights, events[first : first + BATCH])
        return messages

    async def _batch(
        self, operation: Operation, stream: EventStream[Any], rights: Rights, events: Sequence[Event]
    ) -> list[Message]:
        log = await self._services.feed.log_name()

        async def execute(context: Context) -> Outcome[list[ExecutionResult | None]]:
            pending = [_result(operation, stream, event, context) for event in events]
            results = await asyncio.gather(*pending) if len(pending) > 1 else [await pending[0]]  # without a task
            return Outcome(results, [error for result in results if result for error in _causes(result)])

        context, outcome = await self.persist(rights, execute, is_event=True)
        return [
            Message(
                event.number,
                None if result is None else result_text(operation, result, context),
                encode_cursor(log, event.number),
                stream.is_last(event),
            )
            for event, result in zip(events, outcome.value, strict=True)
        ]

    async def text(self, operation: Operation, rights: Rights, value: object) -> str:
        """The text of one value. What it leads to is read anew: the value may know more than events have told.

        Raises:
            IsPersonal: as above.
        """

        async def execute(context: Context) -> Outcome[ExecutionResult]:
            result = await operation.render(value, context)
            return Outcome(result, _causes(result))

        context, outcome = await self.persist(rights, execute)
        return result_text(operation, outcome.value, context)

    def failure_text(self, operation: Operation, rights: Rights, error: BaseException) -> str:
        """The text of a result that has no value because of `error`."""
        return result_text(operation, operation.failure(error), self._context(rights, is_event=False))

    async def value(self, rights: Rights, work: Callable[[Context], Awaitable[Value]]) -> Value:
        """What `work` answers with a context for these rights.

        Raises:
            IsPersonal: as above.
            Exception: whatever else it raises, except for outages, which are waited for.
        """

        async def attempt(context: Context) -> Outcome[list[Value]]:
            try:
                return Outcome([await work(context)])
            except Exception as error:  # noqa: BLE001 - what is worth another attempt is decided where it is counted
                return Outcome([], [error])

        _, outcome = await self.persist(rights, attempt)
        if outcome.errors:
            raise outcome.errors[0]
        return outcome.value[0]

    async def persist(
        self,
        rights: Rights,
        work: Callable[[Context], Awaitable[Outcome[Value]]],
        *,
        is_event: bool = False,
    ) -> tuple[Context, Outcome[Value]]:
        """Do something with a context of its own, again and again while the database is down.

        Args:
            rights: of whom.
            work: what is done.
            is_event: whether what others have just loaded for the same events may be used.

        Raises:
            IsPersonal: as above.
        """
        attempt = 0
        while True:
            attempt += 1
            context = self._context(rights, is_event=is_event)
            async with self._turns.take():
                outcome = await work(context)
            self._check_shared(context, outcome)
            if not _is_worth_another(outcome.errors, attempt):
                return context, outcome
            self._loaders.forget()
            await asyncio.sleep(_delay(attempt))

    def _context(self, rights: Rights, *, is_event: bool) -> Context:
        origin = Origin(secrets.token_hex(8), language=rights.language)
        context = Context(self._services, origin, rights.stand_in())
        if is_event:
            context.loaders = self._loaders.of(rights, context.loaders)
        return context

    def _check_shared(self, context: Context, outcome: Outcome[Any]) -> None:
        viewers = (context.viewer, context.loaders.viewer)
        is_asked = any(isinstance(viewer, SharedViewer) and viewer.is_asked for viewer in viewers)
        if is_asked or any(_stands_for_many(error) for error in outcome.errors):
            self._loaders.forget()
            raise IsPersonal


async def _result(
    operation: Operation, stream: EventStream[Any], event: Event, context: Context
) -> ExecutionResult | None:
    """The result of one event; None when there is nothing to show."""
    try:
        if not stream.matches(event):
            return None
        value = await stream.present(event, context)
        return None if value is None else await operation.render(value, context)
    except Exception as error:  # noqa: BLE001 - one event that fails must not stop those that follow
        return operation.failure(error)


def result_text(operation: Operation, result: ExecutionResult, context: Context) -> str:
    """A result as it goes over the wire."""
    payload: dict[str, Any] = {}
    if result.errors:
        payload["errors"] = operation.format_errors(result.errors, context)
    payload["data"] = result.data
    return encode_json(payload).decode("ascii")


def _causes(result: ExecutionResult) -> list[BaseException]:
    return [error.original_error or error for error in result.errors or ()]


def _stands_for_many(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, StandsForMany):
            return True
        error = error.__cause__
    return False


def _is_worth_another(errors: Sequence[BaseException], attempt: int) -> bool:
    codes = {known.code for error in errors if (known := as_service_error(error))}
    if ErrorCode.SERVICE_UNAVAILABLE in codes:
        if attempt == 1:
            logger.warning("Subscribers wait: the database cannot be reached")
        return True
    return ErrorCode.OPERATION_TIMEOUT in codes and attempt < SLOW_ATTEMPTS


def _delay(attempt: int) -> float:
    first, most = RETRY_SECONDS
    return min(most, first * float(2 ** min(attempt - 1, 10))) * random.uniform(0.5, 1.5)  # noqa: S311 - no secret


async def wait_after_failure(attempt: int) -> None:
    """Wait before the next attempt at something that the database did not answer."""
    await asyncio.sleep(_delay(attempt))
