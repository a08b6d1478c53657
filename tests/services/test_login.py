"""Signing in with a password: what it answers, what it costs, and what it renews."""

import asyncio
import secrets
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
from argon2 import PasswordHasher, extract_parameters
from sqlalchemy import select, update

from graphql_api.database.audit import AuditEntryRow
from graphql_api.database.engine import Database
from graphql_api.database.session import SessionRow
from graphql_api.database.user import Role, UserRow
from graphql_api.services.audit import Act
from graphql_api.services.errors import BadInput
from graphql_api.services.login import Credentials, login, prove_user
from graphql_api.services.password import Passwords
from graphql_api.services.policy import Unauthenticated
from graphql_api.services.session import Device, Tokens, own_sessions
from graphql_api.services.token import AccessTokens
from graphql_api.services.unit_of_work import unit_of_work
from tests.client import CHEAP, TEST_KEYS
from tests.factories import PASSWORD, create_user

ACCESS = AccessTokens(TEST_KEYS)
LAPTOP = Device("192.0.2.7", "Tests/1.0")


@pytest.fixture
async def user(database: Database) -> UserRow:
    async with database.transaction() as session:
        return await create_user(session, role=Role.STAFF)


async def live_sessions(database: Database, user: UserRow) -> Sequence[SessionRow]:
    async with database.read() as session:
        return await own_sessions(session, user.id)


async def signed_in(database: Database, passwords: Passwords, email: str, password: str) -> Tokens:
    async with unit_of_work(database, Act("login")) as work:
        proven = await prove_user(database, passwords, Credentials(email, password))
        return await login(work, proven, LAPTOP, ACCESS)


async def test_the_right_password_opens_a_session(database: Database, user: UserRow) -> None:
    tokens = await signed_in(database, Passwords(CHEAP), f" {user.email.upper()} ", PASSWORD)

    assert tokens.user.id == user.id
    async with database.read() as session:
        entry = (await session.scalars(select(AuditEntryRow))).one()
    assert (entry.actor_id, entry.actor_role, entry.session_id) == (user.id, Role.STAFF, tokens.viewer.session_id)
    assert entry.after == {"userId": user.id, "address": "192.0.2.7", "userAgent": "Tests/1.0"}


async def test_unknown_inactive_and_wrong_are_the_same_answer(database: Database, user: UserRow) -> None:
    async with database.transaction() as session:
        inactive = await create_user(session, is_active=False)
    passwords = Passwords(CHEAP)
    answers = set()
    for email, password in (
        ("nobody@example.com", PASSWORD),
        (user.email, "another password"),
        (user.email, ""),
        (user.email, "x" * 10_000),
        (inactive.email, PASSWORD),
        (inactive.email, "another password"),
    ):
        with pytest.raises(Unauthenticated) as caught:
            await signed_in(database, passwords, email, password)
        answers.add((caught.value.message, caught.value.path))

    assert answers == {("The e-mail address or the password is wrong.", ())}
    assert await live_sessions(database, user) == await live_sessions(database, inactive) == []
    with pytest.raises(BadInput, match="not an e-mail address"):
        await signed_in(database, passwords, "nobody", PASSWORD)


async def test_time_does_not_tell_who_has_an_account(database: Database) -> None:
    # not so cheap that the network alone would decide
    parameters = replace(CHEAP, time_cost=2, memory_cost=2048)
    async with database.transaction() as session:
        kept = PasswordHasher.from_parameters(parameters).hash(PASSWORD)
        user = await create_user(session, password_hash=kept)
        inactive = await create_user(session, password_hash=kept, is_active=False)
    passwords = Passwords(parameters)
    cases = [("nobody@example.com", PASSWORD), (user.email, "wrong password"), (inactive.email, PASSWORD)]
    times: dict[str, list[float]] = {email: [] for email, _ in cases}
    for _ in range(30):
        secrets.SystemRandom().shuffle(cases)
        for email, password in cases:
            began = time.process_time()
            with pytest.raises(Unauthenticated):
                await prove_user(database, passwords, Credentials(email, password))
            times[email].append(time.process_time() - began)

    # the faster half, because the other one shows what else this process does
    typical = [statistics.median(sorted(each)[: len(each) // 2]) for each in times.values()]
    began = time.process_time()
    for _ in range(20):
        await passwords.verify(PASSWORD, None)
    hashing = (time.process_time() - began) / 20
    assert max(typical) - min(typical) < hashing / 3, typical


async def test_an_outdated_hash_is_replaced_by_the_next_login(database: Database, user: UserRow) -> None:
    dearer = replace(CHEAP, time_cost=2)

    await signed_in(database, Passwords(dearer), user.email, PASSWORD)
    async with database.read() as session:
        now = await session.get_one(UserRow, user.id)

    assert now.password_hash != user.password_hash
    assert extract_parameters(now.password_hash).time_cost == 2
    assert now.version == user.version
    await signed_in(database, Passwords(dearer), user.email, PASSWORD)
    async with database.read() as session:
        assert (await session.get_one(UserRow, user.id)).password_hash == now.password_hash


async def test_who_sign_in_while_the_hash_is_renewed_all_get_in(database: Database, user: UserRow) -> None:
    passwords = Passwords(replace(CHEAP, time_cost=2))
    # given several who have proven the old hash, so that the first of them renews it
    proven = [await prove_user(database, passwords, Credentials(user.email, PASSWORD)) for _ in range(3)]

    for one in proven:
        async with unit_of_work(database, Act("login")) as work:
            await login(work, one, LAPTOP, ACCESS)

    assert len(await live_sessions(database, user)) == 3


async def test_a_password_changed_meanwhile_does_not_sign_in(database: Database, user: UserRow) -> None:
    proven = await prove_user(database, Passwords(CHEAP), Credentials(user.email, PASSWORD))
    async with database.transaction() as session:
        changed = PasswordHasher.from_parameters(CHEAP).hash("another password")
        await session.execute(update(UserRow).values(password_hash=changed))

    with pytest.raises(Unauthenticated):
        async with unit_of_work(database, Act("login")) as work:
            await login(work, proven, LAPTOP, ACCESS)
    assert await live_sessions(database, user) == []


async def test_a_flood_of_logins_leaves_connections_for_others(database_url: str) -> None:
    database = Database(database_url, pool_size=2)
    try:
        async with database.transaction() as session:
            user = await create_user(session)
        passwords = Passwords(CHEAP, threads=1, max_waiting=100)
        answers = await asyncio.gather(*[signed_in(database, passwords, user.email, PASSWORD) for _ in range(30)])
    finally:
        await database.close()

    assert len({answer.viewer.session_id for answer in answers}) == 30
