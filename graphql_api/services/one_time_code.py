"""One-time codes: with the token of whoever asked and the code that was mailed, an address is proven."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.engine import Database
from graphql_api.database.one_time_code import CodePurpose, OneTimeCodeRow
from graphql_api.services.errors import BadInput
from graphql_api.services.key import Key, KeyRing
from graphql_api.services.secret import code_from, is_same, new_token, normalized_code, token_hash

CODE_LENGTH = 8
LIFETIME = timedelta(minutes=10)
MAX_ATTEMPTS = 5
# How many outdated rows a new one takes along: more than one, so that they cannot pile up.
CLEANED = 20
# Where a row remembers which key its code was made with.
KEY_ID = "key_id"

_row = OneTimeCodeRow
_not_expired: ColumnElement[bool] = col(_row.expires_at) > func.now()
_open: ColumnElement[bool] = _not_expired & col(_row.used_at).is_(None)


@dataclass(frozen=True)
class Challenge:
    """What whoever asks for a code gets at once.

    Args:
        token: to be sent back with the code.
        code_id: of the row.
        expires_at: until when both are good, UTC.
    """

    token: str = field(repr=False)
    code_id: int
    expires_at: datetime


@dataclass(frozen=True)
class Guess:
    """A code that somebody has entered, after it was counted.

    Args:
        purpose: what it is to be good for.
        code_id: of the row the token belongs to; None when that takes no guess any more.
        code: in the form it was made in.
    """

    purpose: CodePurpose
    code_id: int | None
    code: str = field(repr=False)


def refusal() -> BadInput:
    """The one answer to a code that is wrong, late, used up, used before, or of something else."""
    return BadInput("This code is not valid. Check it against the mail, or ask for a new one.", path=("code",))


async def open_challenge(
    session: AsyncSession, purpose: CodePurpose, email: str, pending: Mapping[str, Any] | None = None
) -> Challenge:
    """Note a wish that only the reader of `email` can complete within ten minutes; takes outdated ones away.

    Args:
        session: the open transaction.
        purpose: what the code is to be good for.
        email: in its canonical form.
        pending: what is to happen then, as JSON.
    """
    await _delete_outdated(session)
    token = new_token()
    statement = insert(_row).values(
        purpose=purpose,
        email=email,
        token_hash=token_hash(token),
        pending=dict(pending or {}),
        expires_at=func.now() + LIFETIME,
    )
    code_id, expires_at = (await session.execute(statement.returning(col(_row.id), col(_row.expires_at)))).one()
    return Challenge(token, code_id, expires_at)


async def _delete_outdated(session: AsyncSession) -> None:
    oldest = (
        select(col(_row.id))
        .where(col(_row.expires_at) <= func.now())
        .order_by(col(_row.expires_at))
        .limit(CLEANED)
        .with_for_update(skip_locked=True)
    )
    await session.execute(delete(_row).where(col(_row.id).in_(oldest)))


async def open_row(session: AsyncSession, code_id: int, purpose: CodePurpose) -> OneTimeCodeRow | None:
    """The wish of this id, locked, as long as its code could still be entered."""
    wanted = (col(_row.id) == code_id, col(_row.purpose) == purpose, col(_row.verified_at).is_(None), _open)
    return await session.scalar(select(_row).where(*wanted).with_for_update())


def make_code(row: OneTimeCodeRow, keys: KeyRing) -> str:
    """The code of a wish, to be mailed. A mail that is made again has the same one.

    Only who has the key can tell the code of a row, so that the row may keep what it is made from.
    """
    key = keys.find(row.pending.get(KEY_ID, "")) or keys.current
    code = code_from(key.derive("one-time code", row.purpose.encode(), row.token_hash), CODE_LENGTH)
    row.pending = {**row.pending, KEY_ID: key.id}
    row.code_hash = _code_hash(key, row, code)
    return code


def _code_hash(key: Key, row: OneTimeCodeRow, code: str) -> bytes:
    return key.derive("hash of one-time code", row.purpose.encode(), row.token_hash, code.encode("utf-8", "replace"))


async def count_guess(database: Database, purpose: CodePurpose, token: str, code: str) -> Guess:
    """Count one attempt to enter the code that belongs to `token`, for good: in a transaction of its own.

    It must be called before the caller's transaction asks anything, so as not to hold two connections.
    """
    counted = (
        update(_row)
        .where(
            col(_row.token_hash) == token_hash(token),
            col(_row.purpose) == purpose,
            col(_row.verified_at).is_(None),
            _open,
            col(_row.attempts) < MAX_ATTEMPTS,
        )
        .values(attempts=col(_row.attempts) + 1)
        .returning(col(_row.id))
    )
    async with database.transaction() as session:
        code_id = await session.scalar(counted)
    return Guess(purpose, code_id, normalized_code(code))


async def checked_row(session: AsyncSession, keys: KeyRing, guess: Guess) -> OneTimeCodeRow:
    """The wish that a guess has completed, locked; the caller marks it, or nothing is used up.

    Raises:
        BadInput: the code is not the right one, or not right any more.
    """
    row = None if guess.code_id is None else await open_row(session, guess.code_id, guess.purpose)
    if row is None:
        raise refusal()
    key = keys.find(row.pending.get(KEY_ID, "")) or keys.current
    # without a code in the mail there is none to find; that takes as long to find out
    if not is_same(row.code_hash or bytes(32), _code_hash(key, row, guess.code)):
        raise refusal()
    return row


async def mark_used(session: AsyncSession, row: OneTimeCodeRow) -> None:
    """Use a wish up; nothing of what was pending is kept."""
    values = {"used_at": func.now(), "pending": {}}
    await session.execute(update(_row).where(col(_row.id) == row.id).values(values))


async def mark_verified(session: AsyncSession, row: OneTimeCodeRow) -> datetime:
    """Note that the code was right. The token is then good for ten minutes more; until when, UTC."""
    values = {"verified_at": func.now(), "expires_at": func.now() + LIFETIME}
    statement = update(_row).where(col(_row.id) == row.id).values(values).returning(col(_row.expires_at))
    return (await session.execute(statement)).scalar_one()


async def verified_row(
    session: AsyncSession, purpose: CodePurpose, token: str, *, locked: bool = False
) -> OneTimeCodeRow | None:
    """The wish whose code was right and that was not used since, if the token belongs to one."""
    wanted = (col(_row.token_hash) == token_hash(token), col(_row.purpose) == purpose)
    statement = select(_row).where(*wanted, col(_row.verified_at).is_not(None), _open)
    return await session.scalar(statement.with_for_update() if locked else statement)


async def end_codes(session: AsyncSession, purpose: CodePurpose, email: str) -> None:
    """Use up all open wishes of one address, because what they are about has changed."""
    wanted = (col(_row.purpose) == purpose, col(_row.email) == email, _open)
    await session.execute(update(_row).where(*wanted).values(used_at=func.now(), pending={}))
