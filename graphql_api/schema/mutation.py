"""The one way a mutation runs: one transaction, one entry in the audit record, refusals as data."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar, cast

from graphql_api.schema.context import Info
from graphql_api.schema.errors import UserError, user_errors
from graphql_api.schema.idempotency import answer_codec
from graphql_api.services.errors import ServiceError
from graphql_api.services.idempotency import Claim, claim_key, unreadable
from graphql_api.services.idempotency_codec import UnreadableError
from graphql_api.services.idempotency_seal import KeyedRequest
from graphql_api.services.retry import retry_lost_races
from graphql_api.services.unit_of_work import UnitOfWork


class Payload(Protocol):
    """What a mutation answers."""

    user_errors: list[UserError]


Answer = TypeVar("Answer", bound=Payload)
Change = Callable[[UnitOfWork], Awaitable[Answer]]


class _Repeated(Exception):  # noqa: N818 - no error: it ends the transaction of a request that was carried out before
    """The request was carried out before, and this was the answer."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self.answer = answer


async def attempt(info: Info, refused: Callable[[list[UserError]], Answer], change: Change[Answer]) -> Answer:
    """Run `change` in one transaction that is kept when it returns, and answer what it returns.

    After a deadlock or a serialization failure the whole transaction runs again, a few times. When the client has
    sent an idempotency key, a repetition gets the first answer and `change` is not called. An answer with
    `user_errors` is no such first answer: the request may be tried again.

    Args:
        info: of the root field; its name is the action in the audit record.
        refused: makes the payload of a refusal from its errors.
        change: does it, and says what it did with `work.record`. It may be called again from its start.

    Raises:
        ServiceError: what concerns the whole request rather than the input (outages, limits).
    """
    context = info.context
    try:
        request = await context.keyed_request(info.field_name)
        if request is None:
            return await retry_lost_races(lambda: _change(info, change))
        async with context.services.turns.turn(request.name):
            return await retry_lost_races(lambda: _change_once(info, request, change))
    except ServiceError as error:
        await context.record_refusal(info.field_name, error)
        return refused(user_errors(error, context.origin.language))


async def _change(info: Info, change: Change[Answer]) -> Answer:
    async with info.context.unit_of_work(info.field_name) as work:
        return await change(work)


async def _change_once(info: Info, request: KeyedRequest, change: Change[Answer]) -> Answer:
    """Do it, or answer again when it was done before."""
    codec = answer_codec(info.schema)
    try:
        async with info.context.unit_of_work(info.field_name) as work:
            claim = await _claim(info, work, request)
            answer = await change(work)
            if answer.user_errors:
                await claim.release(work.session)
            else:
                await claim.keep(work.session, codec.encode(answer))
            return answer
    except _Repeated as repeated:
        try:
            return cast("Answer", codec.decode(repeated.answer))
        except UnreadableError:
            raise unreadable() from None


async def _claim(info: Info, work: UnitOfWork, request: KeyedRequest) -> Claim:
    claim = await claim_key(work.session, info.context.services.keys, request)
    if claim.first_answer is not None:
        raise _Repeated(claim.first_answer)
    return claim
