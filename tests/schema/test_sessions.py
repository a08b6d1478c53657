"""Signing in and out through the API."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlmodel import col

from graphql_api.database.audit import AuditEntryRow, AuditOutcome
from graphql_api.database.engine import Database
from graphql_api.database.session import SessionRow
from graphql_api.database.user import Role, UserRow
from graphql_api.schema.context import Origin, Services
from graphql_api.schema.node import global_id
from graphql_api.schema.root import ApiSchema
from graphql_api.services.policy import Unauthenticated, Viewer
from graphql_api.services.session import GRACE
from tests.client import Client, schema_client
from tests.factories import PASSWORD, create_session, create_user

PAYLOAD = """{
  user { email role } accessToken accessTokenExpiresAt refreshToken refreshTokenExpiresAt
  userErrors { code message path }
}"""
LOGIN = f"""
mutation ($email: String!, $password: String!) {{ login(input: {{email: $email, password: $password}}) {PAYLOAD} }}
"""
REFRESH = f"mutation ($token: String!) {{ refreshToken(input: {{refreshToken: $token}}) {PAYLOAD} }}"
LOGOUT = "mutation { logout { endedCount userErrors { code message path } } }"
LOGOUT_EVERYWHERE = "mutation { logoutEverywhere { endedCount userErrors { code message path } } }"
REVOKE = """
mutation ($id: ID!) { revokeSession(input: {id: $id}) { endedCount userErrors { code message path } } }
"""
MINE = "{ mySessions { id address userAgent createdAt lastUsedAt expiresAt isCurrent } }"
WRONG = "The e-mail address or the password is wrong."
LAPTOP = Origin("test-request", "192.0.2.7", "Tests/1.0")


@pytest.fixture
async def user(database: Database) -> UserRow:
    async with database.transaction() as session:
        return await create_user(session, role=Role.SALESPERSON)


@pytest.fixture
def stranger(schema: ApiSchema, services: Services) -> Client:
    """A client of somebody who has not signed in."""
    return schema_client(schema, services, None, LAPTOP)


async def signed_in(client: Client, user: UserRow, password: str = PASSWORD) -> dict[str, Any]:
    payload = (await client.execute(LOGIN, email=user.email, password=password))["login"]
    return dict(payload)


async def viewer_of(services: Services, payload: dict[str, Any]) -> Viewer:
    return await services.authentication.viewer(payload["accessToken"])


async def entries(database: Database) -> list[AuditEntryRow]:
    async with database.read() as session:
        return list(await session.scalars(select(AuditEntryRow).order_by(col(AuditEntryRow.id))))


@pytest.fixture(autouse=True)
def grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A used token is answered once more for ten minutes, not seconds, whatever else the machine has to do."""
    monkeypatch.setattr("graphql_api.services.session.GRACE", 60 * GRACE)


async def age(database: Database) -> None:
    """Let eleven minutes pass since every use of a refresh token."""
    async with database.transaction() as session:
        await session.execute(text("UPDATE refresh_token SET used_at = used_at - interval '11 minutes'"))


async def test_signing_in_gives_tokens_that_work(stranger: Client, services: Services, user: UserRow) -> None:
    payload = await signed_in(stranger, user)

    assert payload["user"] == {"email": user.email, "role": "SALESPERSON"}
    assert payload["userErrors"] == []
    viewer = await viewer_of(services, payload)
    assert (viewer.user_id, viewer.role) == (user.id, Role.SALESPERSON)
    assert payload["accessTokenExpiresAt"] < payload["refreshTokenExpiresAt"]


@pytest.mark.parametrize("trouble", ["unknown", "wrong password", "inactive"])
async def test_who_may_not_sign_in_learns_no_more_than_that(
    stranger: Client, database: Database, user: UserRow, trouble: str
) -> None:
    async with database.transaction() as session:
        inactive = await create_user(session, is_active=False)
    email = {"unknown": "nobody@example.com", "wrong password": user.email, "inactive": inactive.email}[trouble]
    password = "another password" if trouble == "wrong password" else PASSWORD

    answer = await stranger.execute(LOGIN, email=email, password=password)

    assert answer["login"] == {
        "user": None,
        "accessToken": None,
        "accessTokenExpiresAt": None,
        "refreshToken": None,
        "refreshTokenExpiresAt": None,
        "userErrors": [{"code": "UNAUTHENTICATED", "message": WRONG, "path": ["input"]}],
    }
    (entry,) = await entries(database)
    assert (entry.action, entry.outcome, entry.error_code) == ("login", AuditOutcome.REFUSED, "UNAUTHENTICATED")
    assert (entry.actor_id, entry.address, entry.request_id) == (None, "192.0.2.7", "test-request")


async def test_what_is_no_address_is_pointed_at(stranger: Client) -> None:
    answer = await stranger.execute(LOGIN, email="nobody", password=PASSWORD)

    (error,) = answer["login"]["userErrors"]
    assert (error["code"], error["path"]) == ("BAD_USER_INPUT", ["input", "email"])


async def test_nothing_secret_is_written_down(stranger: Client, database: Database, user: UserRow) -> None:
    first = await signed_in(stranger, user)
    second = (await stranger.execute(REFRESH, token=first["refreshToken"]))["refreshToken"]
    await age(database)
    await stranger.execute(REFRESH, token=first["refreshToken"])

    written = repr([(entry.before, entry.after) for entry in await entries(database)])
    for secret in (
        PASSWORD,
        *(payload[name] for payload in (first, second) for name in ("accessToken", "refreshToken")),
    ):
        assert secret not in written


async def test_tokens_are_renewed_once_each(
    stranger: Client, services: Services, database: Database, user: UserRow
) -> None:
    first = await signed_in(stranger, user)

    answers = await asyncio.gather(*[stranger.execute(REFRESH, token=first["refreshToken"]) for _ in range(20)])
    assert len({answer["refreshToken"]["refreshToken"] for answer in answers}) == 1
    await age(database)
    reused = (await stranger.execute(REFRESH, token=first["refreshToken"]))["refreshToken"]

    assert reused["accessToken"] is None
    (error,) = reused["userErrors"]
    assert (error["code"], error["path"]) == ("UNAUTHENTICATED", ["input"])
    assert "used before" in error["message"]
    with pytest.raises(Unauthenticated):
        await viewer_of(services, answers[0]["refreshToken"])
    last = (await entries(database))[-1]
    assert (last.action, last.outcome, last.after) == ("refreshToken", AuditOutcome.DONE, {"endedBy": "TOKEN_REUSED"})


async def test_sessions_are_listed_with_the_one_in_use_marked(
    schema: ApiSchema, stranger: Client, services: Services, database: Database, user: UserRow
) -> None:
    viewer = await viewer_of(services, await signed_in(stranger, user))
    async with database.transaction() as session:
        other = await create_session(session, user)
        await create_session(session, await create_user(session))

    sessions = (await schema_client(schema, services, viewer).execute(MINE))["mySessions"]

    assert {each["id"]: each["isCurrent"] for each in sessions} == {
        global_id("Session", viewer.session_id): True,
        global_id("Session", other.id): False,
    }
    here = next(each for each in sessions if each["isCurrent"])
    assert (here["address"], here["userAgent"]) == ("192.0.2.7", "Tests/1.0")


async def test_signing_out_here_and_everywhere(
    schema: ApiSchema, stranger: Client, services: Services, database: Database, user: UserRow
) -> None:
    payloads = [await signed_in(stranger, user) for _ in range(3)]
    viewers = [await viewer_of(services, payload) for payload in payloads]
    first, second = (schema_client(schema, services, viewer) for viewer in viewers[:2])

    assert (await first.execute(LOGOUT))["logout"] == {"endedCount": 1, "userErrors": []}
    with pytest.raises(Unauthenticated):
        await viewer_of(services, payloads[0])
    assert (await first.execute(LOGOUT))["logout"]["userErrors"][0]["code"] == "UNAUTHENTICATED"
    assert (await second.execute(LOGOUT_EVERYWHERE))["logoutEverywhere"]["endedCount"] == 2
    for payload in payloads:
        with pytest.raises(Unauthenticated):
            await viewer_of(services, payload)
    assert [(entry.action, entry.outcome.value) for entry in (await entries(database))[3:]] == [
        ("logout", "DONE"),
        ("logout", "REFUSED"),
        ("logoutEverywhere", "DONE"),
    ]


async def test_only_own_sessions_are_revoked(
    schema: ApiSchema, stranger: Client, services: Services, database: Database, user: UserRow
) -> None:
    payloads = [await signed_in(stranger, user) for _ in range(2)]
    here, there = [await viewer_of(services, payload) for payload in payloads]
    async with database.transaction() as session:
        foreign = await create_session(session, await create_user(session))
    client = schema_client(schema, services, here)

    refused = [
        (await client.execute(REVOKE, id=session_id))["revokeSession"]
        for session_id in (
            global_id("Session", foreign.id),
            global_id("Session", 2**50),
            global_id("User", user.id),
            "?",
        )
    ]
    done = (await client.execute(REVOKE, id=global_id("Session", there.session_id)))["revokeSession"]

    errors = [each["userErrors"][0] for each in refused]
    assert [error["code"] for error in errors] == ["NOT_FOUND", "NOT_FOUND", "BAD_USER_INPUT", "BAD_USER_INPUT"]
    assert errors[0] == errors[1]
    assert errors[0]["path"] == ["input", "id"]
    assert done == {"endedCount": 1, "userErrors": []}
    with pytest.raises(Unauthenticated):
        await viewer_of(services, payloads[1])
    async with database.read() as session:
        assert (await session.get_one(SessionRow, foreign.id)).revoked_at is None


@pytest.mark.parametrize("document", [MINE, LOGOUT, LOGOUT_EVERYWHERE])
async def test_who_has_not_signed_in_has_no_sessions(stranger: Client, document: str) -> None:
    response = await stranger.execute_raw(document)

    assert response.codes == ["UNAUTHENTICATED"]
