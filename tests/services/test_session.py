"""Sessions: opened, renewed, taken over by nobody, ended."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import func, select, text, update
from sqlmodel import col

from graphql_api.database.audit import AuditEntryRow
from graphql_api.database.engine import Database
from graphql_api.database.session import RefreshTokenRow, SessionEnd, SessionRow
from graphql_api.database.settings import SettingsRow
from graphql_api.database.user import Role, UserRow
from graphql_api.services.audit import Act
from graphql_api.services.errors import NotFound
from graphql_api.services.key import GivenKeys
from graphql_api.services.policy import Unauthenticated, Viewer
from graphql_api.services.secret import token_hash
from graphql_api.services.session import (
    GRACE,
    MAX_SESSIONS,
    Device,
    Tokens,
    end_sessions,
    logout,
    logout_everywhere,
    open_session,
    own_sessions,
    refresh_session,
    revoke_session,
)
from graphql_api.services.token import AccessTokens
from graphql_api.services.unit_of_work import unit_of_work
from tests.client import TEST_KEYS
from tests.factories import create_session, create_user
from tests.waiting import until_held_up

ACCESS = AccessTokens(TEST_KEYS)
LAPTOP = Device("192.0.2.7", "Tests/1.0")
TABS = 20
TIMES = {
    "session": ("created_at", "revoked_at", "last_used_at", "expires_at"),
    "refresh_token": ("created_at", "used_at", "expires_at"),
}


@pytest.fixture
async def user(database: Database) -> UserRow:
    async with database.transaction() as session:
        return await create_user(session, role=Role.STAFF)


async def opened(database: Database, user: UserRow, access: AccessTokens = ACCESS) -> Tokens:
    async with unit_of_work(database, Act("login")) as work:
        tokens = await open_session(work, user, LAPTOP, access)
        work.record("Session", tokens.viewer.session_id, actor=tokens.viewer)
        return tokens


async def refreshed(database: Database, token: str, access: AccessTokens = ACCESS) -> Tokens | Unauthenticated:
    async with unit_of_work(database, Act("refreshToken")) as work:
        return await refresh_session(work, token, access)


async def renewed(database: Database, token: str, access: AccessTokens = ACCESS) -> Tokens:
    tokens = await refreshed(database, token, access)
    assert isinstance(tokens, Tokens)
    return tokens


async def session_of(database: Database, tokens: Tokens) -> SessionRow:
    async with database.read() as session:
        return (await session.scalars(select(SessionRow).where(col(SessionRow.id) == tokens.viewer.session_id))).one()


async def live_sessions(database: Database, user: UserRow) -> Sequence[SessionRow]:
    async with database.read() as session:
        return await own_sessions(session, user.id)


async def token_count(database: Database) -> int:
    async with database.read() as session:
        return await session.scalar(select(func.count()).select_from(RefreshTokenRow)) or 0


async def execute(database: Database, statement: str) -> None:
    async with database.transaction() as session:
        await session.execute(text(statement))


async def let_pass(database: Database, interval: str) -> None:
    """Have so much time pass for everything that the database keeps of sessions."""
    for table, columns in TIMES.items():
        earlier = ", ".join(f"{column} = {column} - interval '{interval}'" for column in columns)
        await execute(database, f"UPDATE {table} SET {earlier}")  # noqa: S608 - literals of this file


async def test_a_session_has_tokens_of_the_lifetimes_that_are_set(database: Database, user: UserRow) -> None:
    await execute(database, "UPDATE settings SET access_token_minutes = 3, refresh_token_days = 7")

    tokens = await opened(database, user)
    row = await session_of(database, tokens)

    assert tokens.viewer == Viewer(user.id, Role.STAFF, row.id)
    assert ACCESS.read(tokens.access.text).session_id == row.id
    assert timedelta(minutes=2) < tokens.access.expires_at - datetime.now(UTC) <= timedelta(minutes=3)
    assert row.expires_at - row.created_at == timedelta(days=7)
    assert tokens.refresh.expires_at == row.expires_at
    assert (row.address, row.user_agent, row.revoked_at) == ("192.0.2.7", "Tests/1.0", None)


async def test_nothing_that_is_kept_opens_a_session(database: Database, user: UserRow) -> None:
    tokens = await opened(database, user)
    await renewed(database, tokens.refresh.text)

    async with database.read() as session:
        rows = (
            await session.execute(text("SELECT t::text FROM refresh_token t UNION SELECT s::text FROM session s"))
        ).all()
        kept = (await session.scalars(select(col(RefreshTokenRow.token_hash)))).all()
    assert token_hash(tokens.refresh.text) in kept
    assert not any(tokens.refresh.text in row[0] for row in rows)
    for stolen in kept:
        with pytest.raises(Unauthenticated):
            await refreshed(database, stolen.hex())


async def test_each_refresh_gives_new_tokens_of_the_same_session(database: Database, user: UserRow) -> None:
    tokens = await opened(database, user)
    seen = {tokens.refresh.text}
    for _ in range(5):
        await let_pass(database, "20 minutes")
        tokens = await renewed(database, tokens.refresh.text)
        assert tokens.refresh.text not in seen
        seen.add(tokens.refresh.text)

    row = await session_of(database, tokens)
    assert row.expires_at - row.last_used_at == timedelta(days=30)
    assert row.last_used_at - row.created_at > timedelta(minutes=80)
    assert len(await live_sessions(database, user)) == 1


async def test_twenty_tabs_that_refresh_at_once_get_one_successor_and_stay_signed_in(
    database: Database, user: UserRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphql_api.services.session.GRACE", 60 * GRACE)
    tokens = await opened(database, user)

    answers = await asyncio.gather(*[renewed(database, tokens.refresh.text) for _ in range(TABS)])

    assert len({answer.refresh.text for answer in answers}) == 1
    assert len({answer.refresh.expires_at for answer in answers}) == 1
    assert len({answer.access.text for answer in answers}) == TABS
    assert {answer.viewer for answer in answers} == {tokens.viewer}
    assert len(await live_sessions(database, user)) == 1
    assert await token_count(database) == 2
    assert isinstance(await refreshed(database, answers[0].refresh.text), Tokens)


async def test_a_lost_answer_can_be_asked_for_again(
    database: Database, user: UserRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a grace of ten minutes for the ten seconds, because a busy machine may take the last of them
    assert timedelta(seconds=10) == GRACE
    monkeypatch.setattr("graphql_api.services.session.GRACE", 60 * GRACE)
    first = await opened(database, user)
    lost = await renewed(database, first.refresh.text)
    await let_pass(database, "9 minutes")

    again = await renewed(database, first.refresh.text)
    assert again.refresh == replace(lost.refresh, expires_at=again.refresh.expires_at)
    # also when the answer came after all, and was used
    following = await renewed(database, lost.refresh.text)
    assert (await renewed(database, lost.refresh.text)).refresh.text == following.refresh.text


async def test_a_token_used_again_later_ends_the_session_for_both(database: Database, user: UserRow) -> None:
    first = await opened(database, user)
    other = await opened(database, user)
    second = await renewed(database, first.refresh.text)
    await let_pass(database, "11 seconds")

    refusal = await refreshed(database, first.refresh.text)

    assert isinstance(refusal, Unauthenticated)
    assert "used before" in refusal.message
    row = await session_of(database, first)
    assert (row.ended_by, row.revoked_at is not None) == (SessionEnd.TOKEN_REUSED, True)
    with pytest.raises(Unauthenticated, match="has ended"):
        await refreshed(database, second.refresh.text)
    assert [row.id for row in await live_sessions(database, user)] == [other.viewer.session_id]
    async with database.read() as session:
        entry = (await session.scalars(select(AuditEntryRow).order_by(col(AuditEntryRow.id).desc()).limit(1))).one()
    assert (entry.action, entry.entity, entry.entity_id) == ("refreshToken", "Session", row.id)
    assert (entry.after, entry.actor_id) == ({"endedBy": "TOKEN_REUSED"}, None)


async def test_a_token_far_back_in_the_family_ends_it_too(database: Database, user: UserRow) -> None:
    first = tokens = await opened(database, user)
    for _ in range(3):
        await let_pass(database, "1 hour")
        tokens = await renewed(database, tokens.refresh.text)

    assert isinstance(await refreshed(database, first.refresh.text), Unauthenticated)
    assert (await session_of(database, first)).ended_by is SessionEnd.TOKEN_REUSED


@pytest.mark.parametrize("jump", [timedelta(hours=-2), timedelta(days=400)])
async def test_the_clock_of_the_database_decides_about_the_grace(
    database: Database, user: UserRow, jump: timedelta
) -> None:
    first = await opened(database, user)
    with time_machine.travel(datetime.now(UTC) + jump, tick=True):
        second = await renewed(database, first.refresh.text)
        repeated = await renewed(database, first.refresh.text)
        await let_pass(database, "11 seconds")
        refusal = await refreshed(database, first.refresh.text)

    assert repeated.refresh == second.refresh
    assert isinstance(refusal, Unauthenticated)


async def test_a_session_that_was_not_used_for_too_long_is_over(database: Database, user: UserRow) -> None:
    tokens = await opened(database, user)
    await let_pass(database, "30 days 1 second")

    with pytest.raises(Unauthenticated, match="not been used for too long"):
        await refreshed(database, tokens.refresh.text)
    assert await live_sessions(database, user) == []


async def test_an_account_that_is_not_active_gets_no_tokens(database: Database, user: UserRow) -> None:
    tokens = await opened(database, user)
    await execute(database, "UPDATE user_account SET is_active = false")

    with pytest.raises(Unauthenticated, match="has ended"):
        await refreshed(database, tokens.refresh.text)
    with pytest.raises(Unauthenticated, match="not active"):
        await opened(database, user)


async def test_a_new_role_counts_from_the_next_tokens(database: Database, user: UserRow) -> None:
    tokens = await opened(database, user)
    await execute(database, "UPDATE user_account SET role = 'CUSTOMER'")

    assert (await renewed(database, tokens.refresh.text)).viewer.role is Role.CUSTOMER


@pytest.mark.parametrize("token", ["", "x", "\ud800", "A" * 43, "' OR true --", "\x00", "x" * 1_000_000])
async def test_a_token_that_is_none_of_ours_is_refused(database: Database, user: UserRow, token: str) -> None:
    tokens = await opened(database, user)
    for wrong in (token, tokens.access.text, tokens.refresh.text[:-1], tokens.refresh.text + "="):
        with pytest.raises(Unauthenticated, match="has ended"):
            await refreshed(database, wrong)
    assert isinstance(await refreshed(database, tokens.refresh.text), Tokens)


async def test_sessions_outlive_the_keys(database: Database, user: UserRow) -> None:
    tokens = await opened(database, user)
    others = AccessTokens(GivenKeys("another-secret-key-of-the-tests-98765"))
    second = await renewed(database, tokens.refresh.text, others)

    assert (await renewed(database, tokens.refresh.text, others)).refresh == second.refresh
    # a key that is dropped within these seconds cannot answer the same successor again, and ends nothing either
    with pytest.raises(Unauthenticated):
        await refreshed(database, tokens.refresh.text)
    assert isinstance(await refreshed(database, second.refresh.text, others), Tokens)


async def test_old_tokens_and_sessions_are_cleared_away(database: Database, user: UserRow) -> None:
    tokens = await opened(database, user)
    for _ in range(3):
        await let_pass(database, "29 days")
        tokens = await renewed(database, tokens.refresh.text)
    assert await token_count(database) == 2

    await let_pass(database, "31 days")
    await opened(database, user)
    assert await token_count(database) == 1
    await let_pass(database, "130 days")
    last = await opened(database, user)
    async with database.read() as session:
        assert (await session.scalars(select(col(SessionRow.id)))).all() == [last.viewer.session_id]


async def test_the_least_used_of_too_many_sessions_ends(database: Database, user: UserRow) -> None:
    first = await opened(database, user)
    second = await opened(database, user)
    for _ in range(MAX_SESSIONS - 2):
        await opened(database, user)
    await let_pass(database, "1 minute")
    await renewed(database, first.refresh.text)

    await asyncio.gather(opened(database, user), opened(database, user))

    assert len(await live_sessions(database, user)) == MAX_SESSIONS
    assert (await session_of(database, first)).revoked_at is None
    assert (await session_of(database, second)).ended_by is SessionEnd.REVOKED


async def test_logging_out_ends_this_session_alone(database: Database, user: UserRow) -> None:
    here, there = await opened(database, user), await opened(database, user)

    async with unit_of_work(database, Act("logout", here.viewer)) as work:
        await logout(work, here.viewer)
        assert len(work.announced) == 1

    assert (await session_of(database, here)).ended_by is SessionEnd.LOGOUT
    with pytest.raises(Unauthenticated):
        await refreshed(database, here.refresh.text)
    assert isinstance(await refreshed(database, there.refresh.text), Tokens)
    with pytest.raises(Unauthenticated):
        async with unit_of_work(database, Act("logout", here.viewer)) as work:
            await logout(work, here.viewer)


async def test_logging_out_everywhere_ends_all_sessions_of_one_account(database: Database, user: UserRow) -> None:
    async with database.transaction() as session:
        somebody = await create_user(session)
        await create_session(session, somebody)
    tokens = [await opened(database, user) for _ in range(3)]

    async with unit_of_work(database, Act("logoutEverywhere", tokens[0].viewer)) as work:
        assert await logout_everywhere(work, tokens[0].viewer) == 3

    assert await live_sessions(database, user) == []
    assert len(await live_sessions(database, somebody)) == 1


async def test_one_session_can_be_kept(database: Database, user: UserRow) -> None:
    here, there = await opened(database, user), await opened(database, user)

    async with unit_of_work(database) as work:
        await end_sessions(work, user.id, SessionEnd.PASSWORD_CHANGED, keep=here.viewer.session_id)

    assert [row.id for row in await live_sessions(database, user)] == [here.viewer.session_id]
    assert (await session_of(database, there)).ended_by is SessionEnd.PASSWORD_CHANGED


async def test_only_own_sessions_can_be_revoked(database: Database, user: UserRow) -> None:
    mine, other = await opened(database, user), await opened(database, user)
    async with database.transaction() as session:
        stranger = await create_session(session, await create_user(session))

    async with unit_of_work(database, Act("revokeSession", mine.viewer)) as work:
        await revoke_session(work, mine.viewer, other.viewer.session_id)
    for session_id in (stranger.id, other.viewer.session_id, 2**62):
        with pytest.raises(NotFound) as caught:
            async with unit_of_work(database, Act("revokeSession", mine.viewer)) as work:
                await revoke_session(work, mine.viewer, session_id)
        assert caught.value.path == ("id",)

    assert (await session_of(database, other)).ended_by is SessionEnd.REVOKED
    async with database.read() as session:
        assert (await session.get_one(SessionRow, stranger.id)).revoked_at is None


async def test_refreshing_and_ending_at_once_never_leaves_a_session_behind(database: Database, user: UserRow) -> None:
    for _ in range(10):
        tokens = await opened(database, user)

        async def end() -> None:
            async with unit_of_work(database) as work:
                await end_sessions(work, user.id, SessionEnd.REVOKED)

        results = await asyncio.gather(
            refreshed(database, tokens.refresh.text),
            end(),
            refreshed(database, tokens.refresh.text),
            return_exceptions=True,
        )
        for result in results:
            assert result is None or isinstance(result, Tokens | Unauthenticated)
            if isinstance(result, Tokens):
                with pytest.raises(Unauthenticated):
                    await refreshed(database, result.refresh.text)
        assert await live_sessions(database, user) == []


async def test_a_session_renewed_in_its_last_moment_ends_with_the_others(database: Database, user: UserRow) -> None:
    # given somebody who renews a session, and has begun before the moment in which it is over
    tokens = await opened(database, user)
    async with unit_of_work(database, Act("refreshToken")) as work:
        await work.session.execute(text("SELECT"))
        await execute(database, "UPDATE session SET expires_at = clock_timestamp()")
        assert isinstance(await refresh_session(work, tokens.refresh.text, ACCESS), Tokens)

        # when all sessions are ended after that moment, and before it is committed
        ending = asyncio.create_task(ended(database, user))
        await until_held_up(database)

    # then
    assert await ending == 1
    assert await live_sessions(database, user) == []


async def ended(database: Database, user: UserRow) -> int:
    async with unit_of_work(database) as work:
        return await end_sessions(work, user.id, SessionEnd.REVOKED)


async def test_settings_are_read_for_each_token(database: Database, user: UserRow) -> None:
    tokens = await opened(database, user)
    async with database.transaction() as session:
        await session.execute(update(SettingsRow).values(access_token_minutes=1, refresh_token_days=1))

    after = await renewed(database, tokens.refresh.text)

    assert after.access.expires_at - datetime.now(UTC) <= timedelta(minutes=1)
    assert after.refresh.expires_at - datetime.now(UTC) <= timedelta(days=1, seconds=5)
