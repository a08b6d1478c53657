"""Idempotency keys: a mutation that is sent again is answered again, and done once."""

from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.engine import Database
from graphql_api.database.idempotency import IdempotencyKeyRow
from graphql_api.services.errors import Conflict, ErrorCode, ServiceError
from graphql_api.services.idempotency_seal import (
    KeyedRequest,
    fingerprint,
    is_same_input,
    key_of_payload,
    open_payload,
    seal_payload,
)
from graphql_api.services.key import Key, KeyRing

LIFETIME = timedelta(hours=24)
# How many rows one transaction forgets, so that none takes long.
FORGOTTEN_AT_ONCE = 5_000
# A row can vanish between two statements, when it is forgotten or was that of a refusal.
ATTEMPTS = 3

_row = IdempotencyKeyRow


class KeyReused(ServiceError):  # noqa: N818 - named as its code
    """The idempotency key has served for something else."""

    code = ErrorCode.IDEMPOTENCY_KEY_REUSED


def unreadable() -> Conflict:
    """The refusal of a request that was carried out, but whose answer nobody can tell any more."""
    return Conflict(
        "This request was carried out before, but its answer cannot be read any more. Look at what is there now; "
        "with a new key it would be carried out again."
    )


@dataclass(frozen=True)
class Claim:
    """An idempotency key as the present transaction has found or taken it.

    Args:
        request: what came with the key.
        key: seals the answer.
        first_answer: what the request was answered when it was carried out; None when that is to be done now.
    """

    request: KeyedRequest
    key: Key
    first_answer: bytes | None = field(default=None, repr=False)

    async def keep(self, session: AsyncSession, answer: bytes) -> None:
        """Have repetitions answered like this, once the transaction has committed."""
        sealed = seal_payload(self.key, self.request, answer)
        await session.execute(update(_row).where(*_is(self.request)).values(payload=sealed))

    async def release(self, session: AsyncSession) -> None:
        """Leave the key as if it had not been used: the request was refused, and may be tried again."""
        await session.execute(delete(_row).where(*_is(self.request)))


async def claim_key(session: AsyncSession, keys: KeyRing, request: KeyedRequest) -> Claim:
    """Take the key for this transaction, as its first statement; whoever holds it at this moment is waited for.

    Raises:
        KeyReused: the key has served for something else.
        Conflict: the first answer cannot be read, or whoever holds the key takes too long.
    """
    key = keys.current
    try:
        for _ in range(ATTEMPTS):
            if await _is_taken(session, request, key):
                return Claim(request, key)
            if row := await session.scalar(select(_row).where(*_is(request))):
                return Claim(request, key, _first_answer(row, keys, request))
    except TimeoutError as error:
        raise _busy() from error
    raise _busy()


async def _is_taken(session: AsyncSession, request: KeyedRequest, key: Key) -> bool:
    """Whether the row of the key is now this transaction's."""
    statement = insert(_row).values(
        scope=request.scope,
        key=request.key,
        position=request.position,
        mutation=request.mutation,
        input_hash=fingerprint(key, request),
    )
    taken = statement.on_conflict_do_nothing().returning(col(_row.position))
    return await session.scalar(taken) is not None


def _first_answer(row: IdempotencyKeyRow, keys: KeyRing, request: KeyedRequest) -> bytes:
    """The answer of a committed row, when it is one to this request."""
    if row.mutation != request.mutation:
        raise _reused(row.mutation)
    key = key_of_payload(keys, row.payload)
    if key is None:
        raise unreadable()
    if not is_same_input(key, request, row.input_hash):
        raise _reused(row.mutation)
    answer = open_payload(key, request, row.payload or b"")
    if answer is None:
        raise unreadable()
    return answer


def _reused(mutation: str) -> KeyReused:
    return KeyReused(
        "This idempotency key was used before, for `{mutation}` with other input. Take a new key for each new wish.",
        mutation=mutation,
    )


def _busy() -> Conflict:
    return Conflict("A request with this idempotency key is still being carried out. Send it again in some seconds.")


def _is(request: KeyedRequest) -> tuple[ColumnElement[bool], ...]:
    """The row of a request."""
    return (
        col(_row.scope) == request.scope,
        col(_row.key) == request.key,
        col(_row.position) == request.position,
    )


async def forget_old_keys(database: Database) -> int:
    """Forget the keys that are older than 24 hours; how many there were. Afterwards they count as never used."""
    forgotten = 0
    while count := await _forget_some(database):
        forgotten += count
    return forgotten


async def _forget_some(database: Database) -> int:
    primary = (col(_row.scope), col(_row.key), col(_row.position))
    old = (
        select(*primary)
        .where(col(_row.created_at) < func.now() - LIFETIME)
        .limit(FORGOTTEN_AT_ONCE)
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    matches = (col(_row.scope) == old.c.scope, col(_row.key) == old.c.key, col(_row.position) == old.c.position)
    counted = delete(_row).where(*matches).returning(col(_row.position)).cte("deleted")
    async with database.transaction() as session:
        return await session.scalar(select(func.count()).select_from(counted)) or 0
