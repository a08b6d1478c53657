"""Who is behind an access token.

The database is asked once for a session; from then on memory answers, for as long as this process hears of changes.
"""

import asyncio
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cachetools import LRUCache
from sqlalchemy import Row, select
from sqlmodel import col

from graphql_api.database.engine import Database
from graphql_api.database.session import SessionEnd, SessionRow
from graphql_api.database.user import UserRow
from graphql_api.services.noticeboard import Noticeboard, NoticeKind
from graphql_api.services.policy import Unauthenticated, Viewer
from graphql_api.services.session import IS_LIVE
from graphql_api.services.token import AccessTokens, Claims

# Accounts whose sessions are remembered, those that were away for the longest time forgotten first.
MAX_ACCOUNTS = 10_000
# Even if everything else failed, what is remembered is not older.
MAX_AGE_SECONDS = 60.0
ENDS: Mapping[SessionEnd, Unauthenticated] = {
    SessionEnd.LOGOUT: Unauthenticated("The session has ended: it was signed out. Sign in again."),
    SessionEnd.REVOKED: Unauthenticated("The session has ended: it was revoked. Sign in again."),
    SessionEnd.PASSWORD_CHANGED: Unauthenticated("The session has ended: the password was changed. Sign in again."),
    SessionEnd.TOKEN_REUSED: Unauthenticated("The session has ended: a refresh token was used twice. Sign in again."),
    SessionEnd.DEACTIVATED: Unauthenticated("The session has ended: the account was deactivated."),
}


@dataclass(frozen=True, slots=True)
class SignIn:
    """What an access token proves: who has signed in, and until when (UTC) the token says so."""

    viewer: Viewer
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class _Remembered:
    """A session that was live when it was read."""

    viewer: Viewer
    read_at: float


class Authentication:
    """Knows who is behind an access token; asks the database once for a session and hears of its end.

    Args:
        database: the truth about sessions.
        noticeboard: tells when what is remembered is out of date.
        tokens: makes and reads access tokens.
    """

    def __init__(self, database: Database, noticeboard: Noticeboard, tokens: AccessTokens) -> None:
        self._database = database
        self._noticeboard = noticeboard
        self.tokens = tokens
        # by account, because that is what notices name; then by session
        self._sessions: LRUCache[int, dict[int, _Remembered]] = LRUCache(MAX_ACCOUNTS)
        self._reading: dict[Claims, asyncio.Task[Viewer]] = {}
        noticeboard.on(NoticeKind.USER, self._forget)

    async def viewer(self, access_token: str) -> Viewer:
        """Whoever the token was given to.

        Raises:
            Unauthenticated: the token is none of ours, is not valid now, or its session has ended.
        """
        return await self._holder(self.tokens.read(access_token))

    async def signed_in(self, access_token: str) -> SignIn:
        """Whoever the token was given to, and until when; for connections that outlive their token.

        Raises:
            Unauthenticated: as `viewer`.
        """
        return SignIn(await self.viewer(access_token), self.tokens.expiry(access_token))

    async def ticket_viewer(self, ticket: str, path: str) -> Viewer:
        """Whoever the ticket for this URL path was given to.

        Raises:
            Unauthenticated: the ticket is none of ours, is for another path, is not valid now, or its session has
                ended.
        """
        return await self._holder(self.tokens.read_ticket(ticket, path))

    async def present_viewer(self, viewer: Viewer) -> Viewer:
        """Somebody who was known a while ago, with the present role.

        Raises:
            Unauthenticated: the session has ended since.
        """
        return await self._holder(Claims(viewer.user_id, viewer.session_id))

    async def present_viewers(self, viewers: Collection[Viewer]) -> Mapping[Viewer, Viewer | Unauthenticated]:
        """People who were known a while ago, with their present roles, or why their sessions have ended.

        One statement for all who are not remembered, so do not ask for more than some hundreds at once.
        """
        answers: dict[Viewer, Viewer | Unauthenticated] = {}
        for viewer in viewers:
            known = self._remembered(Claims(viewer.user_id, viewer.session_id))
            if known is not None:
                answers[viewer] = known
        unknown = [viewer for viewer in viewers if viewer not in answers]
        if unknown:
            answers.update(await self._read_all(unknown))
        return answers

    async def _holder(self, claims: Claims) -> Viewer:
        if not self._noticeboard.is_current:
            # neither memory nor a read that began before is to be trusted
            return await self._read(claims)
        return self._remembered(claims) or await self._read_once(claims)

    def _remembered(self, claims: Claims) -> Viewer | None:
        remembered = self._sessions.get(claims.user_id, {}).get(claims.session_id)
        is_young = remembered is not None and time.monotonic() - remembered.read_at < MAX_AGE_SECONDS
        return remembered.viewer if remembered and is_young and self._noticeboard.is_current else None

    async def _read_once(self, claims: Claims) -> Viewer:
        """Read a session and remember it; who asks for the same one meanwhile gets the same answer."""
        reading = self._reading.get(claims)
        if reading is None:
            reading = asyncio.create_task(self._read(claims))
            self._reading[claims] = reading
            read_at = time.monotonic()
            reading.add_done_callback(lambda task: self._remember(claims, task, read_at))
        # the others still want the answer if this one goes away
        return await asyncio.shield(reading)

    def _remember(self, claims: Claims, reading: asyncio.Task[Viewer], read_at: float) -> None:
        is_read = not reading.cancelled() and reading.exception() is None
        if self._reading.get(claims) is not reading:
            return  # a notice came while it was read
        del self._reading[claims]
        if not is_read:
            return
        account = self._sessions.setdefault(claims.user_id, {})
        account[claims.session_id] = _Remembered(reading.result(), read_at)

    def _forget(self, user_id: int | None) -> None:
        """Forget what is known of an account, and keep nothing of what is being read of it; None: of all accounts."""
        if user_id is None:
            self._sessions.clear()
            self._reading.clear()
            return
        self._sessions.pop(user_id, None)
        for claims in [claims for claims in self._reading if claims.user_id == user_id]:
            del self._reading[claims]

    async def _read_all(self, viewers: Collection[Viewer]) -> Mapping[Viewer, Viewer | Unauthenticated]:
        is_usable = (IS_LIVE & col(UserRow.is_active)).label("is_usable")
        statement = (
            select(SessionRow.id, UserRow.id, UserRow.role, is_usable, SessionRow.ended_by)  # type: ignore[call-overload]  # SQLModel types columns as values
            .join(UserRow, col(SessionRow.user_id) == col(UserRow.id))
            .where(col(SessionRow.id).in_({viewer.session_id for viewer in viewers}))
        )
        async with self._database.read() as session:
            rows = {(row[1], row[0]): row for row in (await session.execute(statement)).all()}
        answers: dict[Viewer, Viewer | Unauthenticated] = {}
        for viewer in viewers:
            row = rows.get((viewer.user_id, viewer.session_id))
            if row is not None and row.is_usable:
                answers[viewer] = Viewer(viewer.user_id, row.role, viewer.session_id)
            else:
                answers[viewer] = _ended(row)
        return answers

    async def _read(self, claims: Claims) -> Viewer:
        statement = (
            select(col(UserRow.role))
            .join(SessionRow, col(SessionRow.user_id) == col(UserRow.id))
            .where(col(UserRow.id) == claims.user_id, col(UserRow.is_active), col(SessionRow.id) == claims.session_id)
            .where(IS_LIVE)
        )
        async with self._database.read() as session:
            role = await session.scalar(statement)
        if role is None:
            raise Unauthenticated("The session has ended. Sign in again.")
        return Viewer(claims.user_id, role, claims.session_id)


def _ended(row: Row[Any] | None) -> Unauthenticated:
    """Why somebody is not signed in any more."""
    if row is None or row.ended_by is None:
        return Unauthenticated("The session has ended. Sign in again.")
    return ENDS[row.ended_by]
