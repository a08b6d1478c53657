"""Accounts as administrators see and change them."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from graphql_api.app import listening
from graphql_api.database.audit import AuditEntryRow
from graphql_api.database.engine import Database
from graphql_api.database.invitation import InvitationRow
from graphql_api.database.user import Role, UserRow
from graphql_api.schema.context import Services
from graphql_api.schema.node import global_id
from graphql_api.schema.root import ApiSchema
from graphql_api.services.policy import Unauthenticated, Viewer
from tests.client import Client, schema_client
from tests.factories import create_session, create_user
from tests.schema.people import ClientOf, create_viewer
from tests.services.account_case import AccountCase

USERS = (
    "query ($where: UserWhere, $search: String, $orderBy: [UserOrder!], $first: Int, $after: Cursor) "
    "{ users(where: $where, search: $search, orderBy: $orderBy, first: $first, after: $after) "
    "{ totalCount nodes { name } pageInfo { hasNextPage endCursor } } }"
)
UPDATE = (
    "mutation ($input: UpdateUserInput!) { updateUser(input: $input) "
    "{ user { name role isActive version } userErrors { code message path } } }"
)
NODE = "query ($id: ID!) { node(id: $id) { __typename ... on User { email } } }"


@pytest.fixture
async def people(database: Database) -> dict[str, UserRow]:
    """One account of each role, named after it, and an inactive one."""
    async with database.transaction() as session:
        found = {role.value: await create_user(session, name=role.value, role=role) for role in Role}
        found["GONE"] = await create_user(session, name="GONE", role=Role.STAFF, is_active=False)
    return found


def user_client(schema: ApiSchema, services: Services, user: UserRow) -> Client:
    return schema_client(schema, services, Viewer(user.id, user.role, 1))


@pytest.fixture
def admin(schema: ApiSchema, services: Services, people: dict[str, UserRow]) -> Client:
    return user_client(schema, services, people["ADMIN"])


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ["ADMIN", "CUSTOMER", "GONE", "SALESPERSON", "STAFF"]),
        ({"where": {"role": {"in": ["STAFF", "CUSTOMER"]}}}, ["CUSTOMER", "GONE", "STAFF"]),
        ({"where": {"isActive": {"eq": False}}}, ["GONE"]),
        ({"where": {"not": {"isActive": {"eq": True}}}}, ["GONE"]),
        ({"where": {"email": {"contains": "@EXAMPLE"}, "name": {"startsWith": "s"}}}, ["SALESPERSON", "STAFF"]),
        ({"search": "taf"}, ["STAFF"]),
        ({"orderBy": [{"by": "NAME", "direction": "DESC"}], "first": 2}, ["STAFF", "SALESPERSON"]),
    ],
)
@pytest.mark.usefixtures("people")
async def test_accounts_are_listed(admin: Client, variables: dict[str, Any], expected: list[str]) -> None:
    found = (await admin.execute(USERS, **variables))["users"]

    assert [node["name"] for node in found["nodes"]] == expected


async def test_accounts_are_found_by_id_and_paged(admin: Client, people: dict[str, UserRow]) -> None:
    where = {"id": {"in": [global_id("User", people[name].id) for name in ("STAFF", "GONE")]}}
    first = (await admin.execute(USERS, where=where, first=1))["users"]
    rest = (await admin.execute(USERS, where=where, after=first["pageInfo"]["endCursor"]))["users"]

    assert first["totalCount"] == 2
    assert [node["name"] for node in first["nodes"] + rest["nodes"]] == ["GONE", "STAFF"]
    assert rest["pageInfo"]["hasNextPage"] is False


@pytest.mark.parametrize("role", [Role.STAFF, Role.SALESPERSON, Role.CUSTOMER])
async def test_nobody_else_sees_or_changes_accounts(
    schema: ApiSchema, services: Services, people: dict[str, UserRow], role: Role
) -> None:
    client = user_client(schema, services, people[role.value])
    patch = {"id": global_id("User", people[role.value].id), "expectedVersion": 1, "role": "ADMIN"}

    assert (await client.execute_raw(USERS)).codes == ["FORBIDDEN"]
    assert (await client.execute_raw(UPDATE, input=patch)).codes == ["FORBIDDEN"]
    foreign = await client.execute(NODE, id=global_id("User", people["ADMIN"].id))
    own = await client.execute(NODE, id=global_id("User", people[role.value].id))
    assert foreign == {"node": None}
    assert own["node"]["email"] == people[role.value].email


async def test_a_password_hash_is_nowhere_to_be_asked_for(schema: ApiSchema) -> None:
    fields = {
        f"{kind}.{name}".lower()
        for kind in ("User", "Invitation", "Session")
        for name in getattr(schema._schema.type_map[kind], "fields", {})  # noqa: SLF001 - Strawberry has no public name for it
    }

    assert "user.email" in fields
    assert [name for name in fields if "password" in name or "hash" in name or "salt" in name] == []


async def change(client: Client, user: UserRow, **fields: Any) -> dict[str, Any]:
    patch = {"id": global_id("User", user.id), "expectedVersion": user.version, **fields}
    return dict((await client.execute(UPDATE, input=patch))["updateUser"])


async def test_an_administrator_changes_an_account(
    admin: Client, people: dict[str, UserRow], database: Database
) -> None:
    staff = people["STAFF"]
    async with database.transaction() as session:
        await create_session(session, staff)

    promoted = await change(admin, staff, role="SALESPERSON", name=" New  name ")
    stale = await change(admin, staff, isActive=False)
    closed = await change(admin, staff, expectedVersion=2, isActive=False)

    assert promoted["user"] == {"name": "New name", "role": "SALESPERSON", "isActive": True, "version": 2}
    assert [(error["code"], error["path"]) for error in stale["userErrors"]] == [
        ("CONFLICT", ["input", "expectedVersion"])
    ]
    assert closed["user"] == {"name": "New name", "role": "SALESPERSON", "isActive": False, "version": 3}
    assert await AccountCase(database).rows("SELECT ended_by FROM session") == [("DEACTIVATED",)]


@pytest.mark.parametrize(
    ("fields", "path", "code"),
    [
        ({"role": None}, "role", "BAD_USER_INPUT"),
        ({"name": None}, "name", "BAD_USER_INPUT"),
        ({"isActive": None}, "isActive", "BAD_USER_INPUT"),
        ({"name": ""}, "name", "BAD_USER_INPUT"),
        ({"name": "x" * 201}, "name", "BAD_USER_INPUT"),
        ({"name": "Mona\x1b"}, "name", "BAD_USER_INPUT"),
        ({"id": global_id("User", 10**12)}, "id", "NOT_FOUND"),
        ({"id": global_id("Store", 1)}, "id", "BAD_USER_INPUT"),
        ({"id": "what?"}, "id", "BAD_USER_INPUT"),
        ({"expectedVersion": 0}, "expectedVersion", "CONFLICT"),
        ({"role": "CUSTOMER"}, "role", "CONFLICT"),
        ({"isActive": False}, "isActive", "CONFLICT"),
    ],
)
async def test_what_cannot_be_changed_is_named(  # noqa: PLR0913, PLR0917 - what the test is given
    admin: Client, people: dict[str, UserRow], database: Database, fields: dict[str, Any], path: str, code: str
) -> None:
    payload = await change(admin, people["ADMIN"], **fields)

    assert payload["user"] is None
    assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [(code, ["input", path])]
    record = "SELECT outcome, error_code, actor_id FROM audit_entry"
    assert await AccountCase(database).rows(record) == [("REFUSED", code, people["ADMIN"].id)]


async def test_what_is_taken_away_is_gone_at_once_also_from_memory(
    schema: ApiSchema, services: Services, admin: Client, people: dict[str, UserRow], database: Database
) -> None:
    clerk = people["STAFF"]
    async with database.transaction() as session:
        opened = await create_session(session, clerk)
    authentication = services.authentication
    token = authentication.tokens.issue(Viewer(clerk.id, clerk.role, opened.id), 15).text
    async with listening(services.noticeboard):
        while not services.noticeboard.is_current:  # noqa: ASYNC110 - the board has no event for it
            await asyncio.sleep(0.01)
        mine = schema_client(schema, services, await authentication.viewer(token))
        assert (await mine.execute("{ me { role } }")) == {"me": {"role": "STAFF"}}

        await change(admin, clerk, role="CUSTOMER")
        demoted = await authentication.viewer(token)
        await change(admin, clerk, expectedVersion=2, isActive=False)

        assert demoted.role is Role.CUSTOMER
        with pytest.raises(Unauthenticated):
            await authentication.viewer(token)


async def test_an_account_has_a_trail_for_administrators(
    schema: ApiSchema, services: Services, admin: Client, people: dict[str, UserRow]
) -> None:
    await change(admin, people["STAFF"], role="SALESPERSON")
    trail = "{ me { auditTrail { nodes { action } } } }"
    node = "query ($id: ID!) { node(id: $id) { ... on User { auditTrail { nodes { action before after } } } } }"

    found = (await admin.execute(node, id=global_id("User", people["STAFF"].id)))["node"]["auditTrail"]["nodes"]

    assert [entry["action"] for entry in found] == ["updateUser"]
    assert (found[0]["before"]["role"], found[0]["after"]["role"]) == ("STAFF", "SALESPERSON")
    assert (await user_client(schema, services, people["CUSTOMER"]).execute_raw(trail)).codes == ["FORBIDDEN"]


@pytest.mark.parametrize("extra", [{"email": "x@example.com"}, {"passwordHash": "x"}, {"emailVerifiedAt": "now"}])
async def test_nothing_else_can_be_changed(admin: Client, people: dict[str, UserRow], extra: dict[str, str]) -> None:
    patch = {"id": global_id("User", people["STAFF"].id), "expectedVersion": 1, **extra}

    assert (await admin.execute_raw(UPDATE, input=patch)).codes == ["BAD_USER_INPUT"]


async def test_each_mutation_of_a_document_is_judged_by_what_those_before_it_have_changed(
    database: Database, client_of: ClientOf
) -> None:
    # given an administrator, who is not the only one
    await create_viewer(database, Role.ADMIN)
    viewer = await create_viewer(database, Role.ADMIN)
    own_id = global_id("User", viewer.user_id)

    # when a document gives the role up, and goes on as if it had not
    response = await client_of(viewer).execute_raw(
        """mutation ($id: ID!) {
            resigned: updateUser(input: {id: $id, role: STAFF, expectedVersion: 1}) { user { role } }
            name: updateProfile(input: {name: "Nobody special"}) { user { name } }
            invited: inviteUser(input: {email: "friend@example.com", role: ADMIN}) { code } }""",
        id=own_id,
    )

    # then
    assert response.codes == ["FORBIDDEN"]
    assert response.errors[0]["path"] == ["invited"]
    async with database.read() as session:
        assert (await session.get_one(UserRow, viewer.user_id)).name == "Nobody special"
        assert await session.scalar(select(func.count()).select_from(InvitationRow)) == 0


async def test_who_signs_out_does_nothing_more_in_the_same_document(database: Database, client_of: ClientOf) -> None:
    viewer = await create_viewer(database, Role.CUSTOMER)

    response = await client_of(viewer).execute_raw(
        """mutation { logout { userErrors { code } } updateProfile(input: {name: "Late"}) { userErrors { code } } }"""
    )

    assert response.codes == ["UNAUTHENTICATED"]
    async with database.read() as session:
        assert (await session.get_one(UserRow, viewer.user_id)).name != "Late"


async def test_a_refusal_is_recorded_with_what_it_was_about(database: Database, client_of: ClientOf) -> None:
    # given
    staff = await create_viewer(database, Role.STAFF)
    goal = await create_viewer(database, Role.CUSTOMER)

    # when
    await client_of(staff).execute_raw(
        UPDATE, input={"id": global_id("User", goal.user_id), "role": "STAFF", "expectedVersion": 1}
    )
    login = 'mutation ($email: String!) { login(input: {email: $email, password: "wrong"}) { userErrors { code } } }'
    await client_of(None).execute_raw(login, email="somebody@example.com")
    await client_of(None).execute_raw(login, email="a password by mistake")

    # then
    async with database.read() as session:
        entries = (await session.scalars(select(AuditEntryRow).order_by(col(AuditEntryRow.id)))).all()
    assert [(entry.action, entry.entity, entry.entity_id, entry.after) for entry in entries] == [
        ("updateUser", "User", goal.user_id, None),
        ("login", None, None, {"email": "somebody@example.com"}),
        ("login", None, None, None),
    ]
