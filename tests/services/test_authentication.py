"""Who is behind a token: asked once of the database, remembered while notices are heard, forgotten at once."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, update
from sqlalchemy.engine import Connection
from sqlmodel import col

from graphql_api.app import listening
from graphql_api.database.engine import Database
from graphql_api.database.session import SessionEnd, SessionRow
from graphql_api.database.user import Role, UserRow
from graphql_api.services.authentication import Authentication
from graphql_api.services.noticeboard import Noticeboard, NoticeKind
from graphql_api.services.policy import Unauthenticated, Viewer
from graphql_api.services.session import end_sessions
from graphql_api.services.token import AccessTokens
from graphql_api.services.unit_of_work import unit_of_work
from tests.client import TEST_KEYS
from tests.factories import create_session, create_user

TOKENS = AccessTokens(TEST_KEYS)
MANY = 50


@dataclass
class Case:
    """A process that listens, and somebody who has signed in."""

    database: Database
    noticeboard: Noticeboard
    authentication: Authentication
    viewer: Viewer

    @property
    def token(self) -> str:
        return TOKENS.issue(self.viewer, 15).text

    async def seen(self) -> Viewer:
        return await self.authentication.viewer(self.token)

    async def revoke(self) -> None:
        async with unit_of_work(self.database) as work:
            await end_sessions(work, self.viewer.user_id, SessionEnd.REVOKED)
        await self.noticeboard.settled(work.announced)


async def create_viewer(
    database: Database, *, lifetime: timedelta = timedelta(days=30), is_active: bool = True
) -> Viewer:
    async with database.transaction() as session:
        user = await create_user(session, role=Role.STAFF, is_active=is_active)
        return Viewer(user.id, user.role, (await create_session(session, user, lifetime=lifetime)).id)


@pytest.fixture
async def case(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Case]:
    # a database that takes long to answer is not to be taken for one that is away
    monkeypatch.setattr("graphql_api.services.noticeboard.TRUST_SECONDS", 60.0)
    monkeypatch.setattr("graphql_api.services.noticeboard.SETTLE_SECONDS", 60.1)
    noticeboard = Noticeboard(database.url)
    authentication = Authentication(database, noticeboard, AccessTokens(TEST_KEYS))
    async with listening(noticeboard):
        async with asyncio.timeout(60):
            while not noticeboard.is_current:  # noqa: ASYNC110 - the network makes it so
                await asyncio.sleep(0.01)
        yield Case(database, noticeboard, authentication, await create_viewer(database))


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements that are sent while the block runs."""
    statements: list[str] = []

    def count(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", count)
    try:
        yield statements
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", count)


async def test_a_session_is_read_once_for_many_requests(case: Case) -> None:
    with counted(case.database) as statements:
        for _ in range(200):
            assert await case.seen() == case.viewer

    assert len(statements) == 1


async def test_many_requests_of_a_session_nobody_has_seen_make_one_read(case: Case) -> None:
    with counted(case.database) as statements:
        seen = await asyncio.gather(*[case.seen() for _ in range(MANY)])

    assert set(seen) == {case.viewer}
    assert len(statements) == 1


async def test_a_request_that_is_given_up_takes_nothing_from_the_others(case: Case) -> None:
    requests = [asyncio.create_task(case.seen()) for _ in range(MANY)]
    await asyncio.sleep(0)
    requests[0].cancel()

    assert set(await asyncio.gather(*requests[1:])) == {case.viewer}


async def test_an_ended_session_is_refused_at_once(case: Case) -> None:
    await case.seen()

    await case.revoke()

    with pytest.raises(Unauthenticated, match="The session has ended"):
        await case.seen()


async def test_a_change_of_role_counts_at_once(case: Case) -> None:
    await case.seen()

    async with unit_of_work(case.database) as work:
        await work.session.execute(update(UserRow).values(role=Role.CUSTOMER))
        await work.announce(NoticeKind.USER, case.viewer.user_id)
    await case.noticeboard.settled(work.announced)

    assert (await case.seen()).role is Role.CUSTOMER


async def test_what_ends_for_one_account_stays_for_the_others(case: Case) -> None:
    other = Case(case.database, case.noticeboard, case.authentication, await create_viewer(case.database))
    await case.seen()
    await other.seen()

    await case.revoke()

    with counted(case.database) as statements:
        assert await other.seen() == other.viewer
    assert statements == []


@pytest.mark.parametrize("trouble", ["inactive", "expired", "unknown", "of somebody else"])
async def test_a_token_without_a_live_session_is_refused(case: Case, trouble: str) -> None:
    database = case.database
    viewers = {
        "inactive": await create_viewer(database, is_active=False),
        "expired": await create_viewer(database, lifetime=timedelta(seconds=-1)),
        "unknown": Viewer(case.viewer.user_id, Role.STAFF, 2**62),
        "of somebody else": Viewer((await create_viewer(database)).user_id, Role.STAFF, case.viewer.session_id),
    }

    with pytest.raises(Unauthenticated, match="The session has ended"):
        await case.authentication.viewer(TOKENS.issue(viewers[trouble], 15).text)


async def test_a_ticket_is_refused_when_its_session_has_ended(case: Case) -> None:
    ticket = TOKENS.issue_ticket(case.viewer, "/file", 5).text
    assert await case.authentication.ticket_viewer(ticket, "/file") == case.viewer
    with pytest.raises(Unauthenticated):
        await case.authentication.viewer(ticket)

    await case.revoke()

    with pytest.raises(Unauthenticated, match="The session has ended"):
        await case.authentication.ticket_viewer(ticket, "/file")


async def test_a_bad_token_costs_no_query(case: Case) -> None:
    with counted(case.database) as statements:
        for text in ("", "x", case.token[:-2]):
            with pytest.raises(Unauthenticated):
                await case.authentication.viewer(text)

    assert statements == []


class SlowRead:
    """Holds the reads of sessions between what they have seen and what they tell."""

    def __init__(self, authentication: Authentication, monkeypatch: pytest.MonkeyPatch) -> None:
        self.has_read = asyncio.Event()
        self.may_tell = asyncio.Event()
        self._read = authentication._read  # noqa: SLF001 - to be slowed down
        monkeypatch.setattr(authentication, "_read", self._slowly)

    async def _slowly(self, claims: object) -> Viewer:
        viewer = await self._read(claims)  # type: ignore[arg-type]  # passed on as it came
        self.has_read.set()
        await self.may_tell.wait()
        return viewer


async def test_what_was_read_before_a_notice_is_not_kept_after_it(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = SlowRead(case.authentication, monkeypatch)
    early = asyncio.create_task(case.seen())
    await slow.has_read.wait()

    await case.revoke()
    # who asks now must not get what was read before either
    late = asyncio.create_task(case.seen())
    await asyncio.sleep(0.05)
    slow.may_tell.set()

    assert await early == case.viewer  # it asked before the session had ended
    with pytest.raises(Unauthenticated):
        await late
    with pytest.raises(Unauthenticated):
        await case.seen()


async def test_what_was_read_before_notices_could_be_missed_is_not_kept(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SlowRead(case.authentication, monkeypatch)
    early = asyncio.create_task(case.seen())
    await slow.has_read.wait()
    case.authentication._forget(None)  # noqa: SLF001 - what the noticeboard calls
    slow.may_tell.set()
    await early

    with counted(case.database) as statements:
        await case.seen()
    assert len(statements) == 1


async def test_without_notices_the_database_is_asked_each_time(database: Database) -> None:
    viewer = await create_viewer(database)
    noticeboard = Noticeboard(database.url)
    case = Case(database, noticeboard, Authentication(database, noticeboard, TOKENS), viewer)

    with counted(database) as statements:
        assert await case.seen() == await case.seen() == viewer
        await asyncio.gather(*[case.seen() for _ in range(3)])
    assert len(statements) == 5
    async with database.transaction() as session:
        ended = update(SessionRow).where(col(SessionRow.id) == viewer.session_id)
        await session.execute(ended.values(expires_at=col(SessionRow.created_at)))
    with pytest.raises(Unauthenticated):
        await case.seen()


async def test_nothing_is_remembered_longer_than_a_minute(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    await case.seen()
    monkeypatch.setattr("graphql_api.services.authentication.MAX_AGE_SECONDS", 0.0)

    with counted(case.database) as statements:
        await case.seen()
    assert len(statements) == 1


async def test_a_failed_read_is_not_remembered(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_claims: object) -> Viewer:
        raise ConnectionRefusedError

    with monkeypatch.context() as patch:
        patch.setattr(case.authentication, "_read", fail)
        with pytest.raises(ConnectionRefusedError):
            await case.seen()

    assert await case.seen() == case.viewer


async def test_a_sign_in_tells_until_when_its_token_is_good(case: Case) -> None:
    before = datetime.now(UTC).replace(microsecond=0)

    sign_in = await case.authentication.signed_in(case.token)

    assert sign_in.viewer == case.viewer
    assert before <= sign_in.expires_at - timedelta(minutes=15) <= datetime.now(UTC)
    await case.revoke()
    with pytest.raises(Unauthenticated, match="The session has ended"):
        await case.authentication.signed_in(case.token)


async def test_many_are_asked_about_with_one_statement(case: Case) -> None:
    viewers = [await create_viewer(case.database) for _ in range(MANY)]

    with counted(case.database) as statements:
        present = await case.authentication.present_viewers(viewers)

    assert present == {viewer: viewer for viewer in viewers}
    assert len(statements) == 1


async def test_whoever_is_remembered_is_not_asked_about(case: Case) -> None:
    await case.seen()

    with counted(case.database) as statements:
        assert await case.authentication.present_viewers([case.viewer]) == {case.viewer: case.viewer}
        assert await case.authentication.present_viewers([]) == {}
    assert statements == []


async def test_each_learns_the_present_role_or_why_the_session_has_ended(case: Case) -> None:
    known = {end: await create_viewer(case.database) for end in SessionEnd}
    promoted = await create_viewer(case.database)
    async with unit_of_work(case.database) as work:
        for end, viewer in known.items():
            await end_sessions(work, viewer.user_id, end)
        await work.session.execute(
            update(UserRow).where(col(UserRow.id) == promoted.user_id).values(role=Role.CUSTOMER)
        )
    others = {
        "inactive": await create_viewer(case.database, is_active=False),
        "expired": await create_viewer(case.database, lifetime=timedelta(seconds=-1)),
        "of somebody else": Viewer(promoted.user_id, Role.STAFF, case.viewer.session_id),
    }

    present = await case.authentication.present_viewers([*known.values(), promoted, *others.values()])

    assert present[promoted] == Viewer(promoted.user_id, Role.CUSTOMER, promoted.session_id)
    assert {end: str(present[viewer]) for end, viewer in known.items()} == {
        SessionEnd.LOGOUT: "The session has ended: it was signed out. Sign in again.",
        SessionEnd.REVOKED: "The session has ended: it was revoked. Sign in again.",
        SessionEnd.PASSWORD_CHANGED: "The session has ended: the password was changed. Sign in again.",
        SessionEnd.TOKEN_REUSED: "The session has ended: a refresh token was used twice. Sign in again.",
        SessionEnd.DEACTIVATED: "The session has ended: the account was deactivated.",
    }
    assert {str(present[viewer]) for viewer in others.values()} == {"The session has ended. Sign in again."}
