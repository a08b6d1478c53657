"""The one way a mutation runs: one transaction, one entry in the audit record, refusals as data."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from graphql_api.schema.context import Info
from graphql_api.schema.errors import UserError, user_errors
from graphql_api.services.errors import ServiceError
from graphql_api.services.unit_of_work import UnitOfWork


class Payload(Protocol):
    """What a mutation answers."""

    user_errors: list[UserError]


Answer = TypeVar("Answer", bound=Payload)


async def attempt(
    info: Info, refused: Callable[[list[UserError]], Answer], change: Callable[[UnitOfWork], Awaitable[Answer]]
) -> Answer:
    """Run `change` in one transaction that is kept when it returns, and answer what it returns.

    Args:
        info: of the root field; its name is the action in the audit record.
        refused: makes the payload of a refusal from its errors.
        change: does it, and says what it did with `work.record`.

    Raises:
        ServiceError: what concerns the whole request rather than the input (outages, limits).
    """
    context = info.context
    try:
        async with context.unit_of_work(info.field_name) as work:
            return await change(work)
    except ServiceError as error:
        await context.record_refusal(info.field_name, error)
        return refused(user_errors(error, context.origin.language))
