"""Sessions: one for each sign-in, kept alive by refresh tokens that are used once each.

Whoever changes a session holds its row; whoever opens one holds the row of its account, and takes it first.
"""

import logging
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.session import RefreshTokenRow, SessionEnd, SessionRow
from graphql_api.database.user import UserRow
from graphql_api.services.errors import NotFound
from graphql_api.services.key import Key, KeyRing
from graphql_api.services.noticeboard import NoticeKind
from graphql_api.services.policy import Unauthenticated, Viewer
from graphql_api.services.secret import new_token, token_hash
from graphql_api.services.settings import read_settings
from graphql_api.services.token import AccessTokens, IssuedToken
from graphql_api.services.unit_of_work import UnitOfWork

logger = logging.getLogger(__name__)

MAX_SESSIONS = 50
# An answer may get lost, or two tabs may ask at once: for so long a used token is answered once more.
GRACE = timedelta(seconds=10)
# So long one can see that a session has been.
HISTORY = timedelta(days=90)
SALT_BYTES = 16

IS_LIVE: ColumnElement[bool] = col(SessionRow.revoked_at).is_(None) & (col(SessionRow.expires_at) > func.now())


@dataclass(frozen=True)
class Device:
    """Where a session is opened: the client's network address, and what the client calls itself."""

    address: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True)
class Tokens:
    """What somebody gets who signs in, and each time the session is renewed."""

    user: UserRow
    viewer: Viewer
    access: IssuedToken
    refresh: IssuedToken


async def open_session(work: UnitOfWork, user: UserRow, device: Device, access_tokens: AccessTokens) -> Tokens:
    """Sign somebody in whose identity is proven. The caller records what proved it.

    Of more than 50 sessions of an account, those that were not used for the longest time end.

    Raises:
        Unauthenticated: the account is not active any more.
    """
    session = work.session
    locked = select(UserRow).where(col(UserRow.id) == user.id).with_for_update(key_share=True)
    user = (await session.scalars(locked.execution_options(populate_existing=True))).one()
    if not user.is_active:
        raise Unauthenticated("This account is not active. Ask an administrator.")
    await _make_room(work, user.id)
    settings = await read_settings(session)
    expires_at = func.now() + timedelta(days=settings.refresh_token_days)
    values = {"user_id": user.id, "address": device.address, "user_agent": device.user_agent, "expires_at": expires_at}
    session_id = (await session.scalars(insert(SessionRow).values(**values).returning(col(SessionRow.id)))).one()
    viewer = Viewer(user.id, user.role, session_id)
    refresh = await _keep_token(session, session_id, new_token(), access_tokens.keys.current, expires_at)
    return Tokens(user, viewer, access_tokens.issue(viewer, settings.access_token_minutes), refresh)


async def refresh_session(work: UnitOfWork, token: str, access_tokens: AccessTokens) -> Tokens | Unauthenticated:
    """New tokens for a refresh token; within 10 seconds of its first use the same successor once more.

    Returns:
        The tokens. Or the refusal, when the token was used before and somebody else may have it: then the whole
        session has ended, which has to be committed.

    Raises:
        Unauthenticated: the token is none of ours, or its session has ended.
    """
    found = await _locked_token(work.session, token)
    if found is None or found.session.revoked_at is not None or not found.user.is_active:
        raise Unauthenticated("The session has ended. Sign in again.")
    if not found.is_valid:
        raise Unauthenticated("The session has not been used for too long. Sign in again.")
    if found.token.used_at is not None and not found.is_repeated:
        return await _end_reused(work, found.session)
    settings = await read_settings(work.session)
    refresh = await _successor(work.session, found, _Renewal(token, access_tokens.keys, settings.refresh_token_days))
    viewer = Viewer(found.user.id, found.user.role, found.session.id)
    access = access_tokens.issue(viewer, settings.access_token_minutes)
    work.record("Session", viewer.session_id, after={"expires_at": refresh.expires_at}, actor=viewer)
    return Tokens(found.user, viewer, access, refresh)


async def logout(work: UnitOfWork, viewer: Viewer) -> int:
    """End the session that `viewer` asks with; how many have ended: 1.

    Raises:
        Unauthenticated: it has ended already.
    """
    if not await _end(work, viewer, viewer.session_id, SessionEnd.LOGOUT):
        raise Unauthenticated("The session has ended. Sign in again.")
    return 1


async def revoke_session(work: UnitOfWork, viewer: Viewer, session_id: int) -> int:
    """End a session of the viewer's own; how many have ended: 1.

    Raises:
        NotFound: the viewer has no such session.
    """
    if not await _end(work, viewer, session_id, SessionEnd.REVOKED):
        raise NotFound("You have no session of this id. `mySessions` lists them.", path=("id",))
    return 1


async def logout_everywhere(work: UnitOfWork, viewer: Viewer) -> int:
    """End all sessions of the viewer's own, this one included; how many there were."""
    count = await end_sessions(work, viewer.user_id, SessionEnd.LOGOUT)
    work.record("User", viewer.user_id, after={"sessions_ended": count})
    return count


async def end_sessions(work: UnitOfWork, user_id: int, reason: SessionEnd, *, keep: int | None = None) -> int:
    """End all sessions of an account, at once in every process; how many there were. The caller records it.

    Args:
        work: the transaction.
        user_id: whose sessions.
        reason: why.
        keep: the id of one that goes on.
    """
    # those that are over are locked too, because somebody may be renewing one who came just in time
    wanted = (col(SessionRow.user_id) == user_id, col(SessionRow.revoked_at).is_(None))
    # always locked by id, so that no two who end them wait for each other
    theirs = select(col(SessionRow.id), IS_LIVE).where(*wanted).order_by(col(SessionRow.id))
    rows = (await work.session.execute(theirs.with_for_update(key_share=True))).all()
    ids = [session_id for session_id, is_live in rows if is_live and session_id != keep]
    await _revoke(work, user_id, ids, reason)
    return len(ids)


async def own_sessions(session: AsyncSession, user_id: int) -> Sequence[SessionRow]:
    """The sessions of an account that go on, the one used last first."""
    order = (col(SessionRow.last_used_at).desc(), col(SessionRow.id).desc())
    statement = select(SessionRow).where(col(SessionRow.user_id) == user_id, IS_LIVE).order_by(*order)
    return (await session.scalars(statement)).all()


@dataclass(frozen=True)
class _FoundToken:
    """A refresh token with whom it belongs to; the database has judged its times."""

    token: RefreshTokenRow
    session: SessionRow
    user: UserRow
    is_valid: bool
    is_repeated: bool | None


async def _locked_token(session: AsyncSession, token: str) -> _FoundToken | None:
    """The token, after everybody who uses another one of its session at this moment."""
    given = token_hash(token)
    of_token = select(col(RefreshTokenRow.session_id)).where(col(RefreshTokenRow.token_hash) == given).scalar_subquery()
    held = select(col(SessionRow.id)).where(col(SessionRow.id) == of_token).with_for_update(key_share=True)
    session_id = await session.scalar(held)
    if session_id is None:
        return None
    # a statement of its own, because it must see what was committed while the lock was waited for
    statement = (
        select(
            RefreshTokenRow,
            SessionRow,
            UserRow,
            # the same as that of its newest token
            col(SessionRow.expires_at) > func.now(),
            col(RefreshTokenRow.used_at) + GRACE >= func.now(),
        )
        .join(SessionRow, col(SessionRow.id) == col(RefreshTokenRow.session_id))
        .join(UserRow, col(UserRow.id) == col(SessionRow.user_id))
        .where(col(RefreshTokenRow.token_hash) == given, col(SessionRow.id) == session_id)
    )
    row = (await session.execute(statement)).one_or_none()
    return _FoundToken(*row) if row else None


@dataclass(frozen=True)
class _Renewal:
    """What it takes to follow on a token: its text, the keys, and how many days the next one lives."""

    token: str
    keys: KeyRing
    days: int


async def _successor(session: AsyncSession, found: _FoundToken, renewal: _Renewal) -> IssuedToken:
    """The one token that follows on this one; derived, so that it can be answered again without being kept."""
    current = renewal.keys.current
    # a key that is gone does no harm before the first use
    key = renewal.keys.find(found.token.key_id) or current
    text = _derived(key, renewal.token, found.token.successor_salt)
    if found.token.used_at is not None:
        return await _issued_before(session, text)
    expires_at = func.now() + timedelta(days=renewal.days)
    used = update(RefreshTokenRow).where(col(RefreshTokenRow.id) == found.token.id)
    await session.execute(used.values(used_at=func.now(), key_id=key.id))
    renewed = update(SessionRow).where(col(SessionRow.id) == found.session.id)
    await session.execute(renewed.values(last_used_at=func.now(), expires_at=expires_at))
    outlived = (col(RefreshTokenRow.session_id) == found.session.id) & (col(RefreshTokenRow.expires_at) <= func.now())
    await session.execute(delete(RefreshTokenRow).where(outlived))
    return await _keep_token(session, found.session.id, text, current, expires_at)


def _derived(key: Key, token: str, salt: bytes) -> str:
    return urlsafe_b64encode(key.derive("refresh token", token.encode(), salt)).decode().rstrip("=")


async def _issued_before(session: AsyncSession, token: str) -> IssuedToken:
    statement = select(col(RefreshTokenRow.expires_at)).where(col(RefreshTokenRow.token_hash) == token_hash(token))
    expires_at = await session.scalar(statement)
    if expires_at is None:  # the key was taken out of use within these seconds
        raise Unauthenticated("The session has ended. Sign in again.")
    return IssuedToken(token, expires_at)


async def _keep_token(
    session: AsyncSession, session_id: int, token: str, key: Key, expires_at: ColumnElement[datetime]
) -> IssuedToken:
    statement = insert(RefreshTokenRow).values(
        session_id=session_id,
        token_hash=token_hash(token),
        successor_salt=secrets.token_bytes(SALT_BYTES),
        key_id=key.id,
        expires_at=expires_at,
    )
    return IssuedToken(token, (await session.scalars(statement.returning(col(RefreshTokenRow.expires_at)))).one())


async def _end_reused(work: UnitOfWork, session: SessionRow) -> Unauthenticated:
    logger.warning("A refresh token of session %s was used again; the session has ended", session.id)
    await _revoke(work, session.user_id, [session.id], SessionEnd.TOKEN_REUSED)
    # who acts is not known: it may be the one who stole the token, or the one it was stolen from
    work.record("Session", session.id, before={"ended_by": None}, after={"ended_by": SessionEnd.TOKEN_REUSED})
    return Unauthenticated("This refresh token was used before, so the session has ended for safety. Sign in again.")


async def _end(work: UnitOfWork, viewer: Viewer, session_id: int, reason: SessionEnd) -> bool:
    """End one session of the viewer's; False when there is no such session."""
    theirs = (col(SessionRow.user_id) == viewer.user_id) & (col(SessionRow.id) == session_id)
    locked = select(col(SessionRow.id)).where(theirs, IS_LIVE).with_for_update(key_share=True)
    ids = (await work.session.scalars(locked)).all()
    await _revoke(work, viewer.user_id, ids, reason)
    work.record("Session", session_id, before={"ended_by": None}, after={"ended_by": reason})
    return bool(ids)


async def _revoke(work: UnitOfWork, user_id: int, ids: Sequence[int], reason: SessionEnd) -> None:
    """End sessions that are locked, and have every process forget them."""
    if ids:
        revoked = update(SessionRow).where(col(SessionRow.id).in_(ids))
        await work.session.execute(revoked.values(revoked_at=func.now(), ended_by=reason))
    await work.announce(NoticeKind.USER, user_id)


async def _make_room(work: UnitOfWork, user_id: int) -> None:
    """Forget what has ended, and end the sessions of the account that one more would be too many with."""
    theirs = col(SessionRow.user_id) == user_id
    ended = select(col(SessionRow.id)).where(theirs, ~IS_LIVE)
    await work.session.execute(delete(RefreshTokenRow).where(col(RefreshTokenRow.session_id).in_(ended)))
    old = func.coalesce(col(SessionRow.revoked_at), col(SessionRow.expires_at)) < func.now() - HISTORY
    await work.session.execute(delete(SessionRow).where(theirs, old))
    newest_first = (col(SessionRow.last_used_at).desc(), col(SessionRow.id).desc())
    surplus = select(col(SessionRow.id)).where(theirs, IS_LIVE).order_by(*newest_first).offset(MAX_SESSIONS - 1)
    ids = (await work.session.scalars(surplus.with_for_update(key_share=True))).all()
    if ids:
        await _revoke(work, user_id, ids, SessionEnd.REVOKED)
