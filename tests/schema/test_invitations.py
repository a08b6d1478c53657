"""Invitations as administrators and invited people see them."""

from typing import Any

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.user import Language, Role, UserRow
from graphql_api.schema.context import Origin, Services
from graphql_api.schema.node import global_id
from graphql_api.schema.root import ApiSchema
from graphql_api.services.policy import Viewer
from tests.client import Client, schema_client
from tests.factories import create_user
from tests.services.account_case import ADDRESS, SECRET, WRONG, AccountCase

ERRORS = "userErrors { code message path }"
INVITE = (
    "mutation ($input: InviteUserInput!) { inviteUser(input: $input) "
    "{ invitation { id email role status invitedBy { name } user { name } } code " + ERRORS + " } }"
)
REVOKE = (
    "mutation ($input: RevokeInvitationInput!) { revokeInvitation(input: $input) { invitation { status revokedAt } "
    + ERRORS
    + " } }"
)
ACCEPT = (
    "mutation ($input: AcceptInvitationInput!) { acceptInvitation(input: $input) "
    "{ user { email name role language } accessToken refreshToken " + ERRORS + " } }"
)
LIST = (
    "query ($where: InvitationWhere) { invitations(where: $where) "
    "{ totalCount nodes { email status invitedBy { name } user { name } } } }"
)


@pytest.fixture
def case(database: Database) -> AccountCase:
    return AccountCase(database)


@pytest.fixture
async def boss(database: Database) -> UserRow:
    async with database.transaction() as session:
        return await create_user(session, name="Boss")


@pytest.fixture
def admin(schema: ApiSchema, services: Services, boss: UserRow) -> Client:
    return schema_client(schema, services, Viewer(boss.id, boss.role, 1))


@pytest.fixture
def stranger(schema: ApiSchema, services: Services) -> Client:
    return schema_client(schema, services, None, Origin("test-request", "192.0.2.7", "Tests", Language.AR))


async def answer(client: Client, document: str, **fields: Any) -> dict[str, Any]:
    """The payload of the one mutation in a document."""
    data = await client.execute(document, input=fields)
    (payload,) = data.values()
    return dict(payload)


def errors(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(error["code"], error["path"]) for error in payload["userErrors"]]


async def accept(client: Client, mailed_code: str, **fields: Any) -> dict[str, Any]:
    return await answer(
        client, ACCEPT, **{"email": ADDRESS, "code": mailed_code, "name": "Mona", "password": SECRET, **fields}
    )


async def test_an_invitation_leads_to_an_account_that_is_signed_in(
    case: AccountCase, admin: Client, stranger: Client
) -> None:
    invited = await answer(admin, INVITE, email="Mona@Example.com", role="SALESPERSON")
    (mail,) = await case.mails()
    entered = await accept(stranger, mail.values["code"])

    assert mail.values["code"] == invited["code"]
    assert invited["invitation"]["status"] == "OPEN"
    assert invited["invitation"]["invitedBy"] == {"name": "Boss"}
    assert entered["userErrors"] == []
    assert entered["user"] == {"email": ADDRESS, "name": "Mona", "role": "SALESPERSON", "language": "AR"}
    assert entered["accessToken"]
    assert entered["refreshToken"]
    (listed,) = (await admin.execute(LIST))["invitations"]["nodes"]
    assert (listed["status"], listed["user"]) == ("ACCEPTED", {"name": "Mona"})
    record = "SELECT action, actor_role, entity FROM audit_entry ORDER BY id"
    assert await case.rows(record) == [
        ("inviteUser", "ADMIN", "Invitation"),
        ("acceptInvitation", "SALESPERSON", "User"),
    ]


async def test_an_invitation_can_be_taken_back(admin: Client, stranger: Client) -> None:
    invited = await answer(admin, INVITE, email=ADDRESS, role="STAFF")
    revoked = await answer(admin, REVOKE, id=invited["invitation"]["id"])

    assert revoked["invitation"]["status"] == "REVOKED"
    assert revoked["invitation"]["revokedAt"]
    assert errors(await accept(stranger, invited["code"])) == [("BAD_USER_INPUT", ["input", "code"])]
    assert errors(await answer(admin, REVOKE, id=global_id("Invitation", 10**12))) == [("NOT_FOUND", ["input", "id"])]
    assert errors(await answer(admin, REVOKE, id=global_id("User", 1))) == [("BAD_USER_INPUT", ["input", "id"])]


async def test_invitations_are_filtered(case: AccountCase, admin: Client) -> None:
    for name in ("open", "expired"):
        await answer(admin, INVITE, email=f"{name}@example.com", role="STAFF")
    await case.execute("UPDATE invitation SET expires_at = now() WHERE email LIKE 'expired%'")

    for status in ("OPEN", "EXPIRED", "REVOKED"):
        found = (await admin.execute(LIST, where={"status": {"eq": status}}))["invitations"]["nodes"]
        assert [node["email"].partition("@")[0].upper() for node in found] == [status][: status != "REVOKED"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"email": "mona", "role": "STAFF"}, ("BAD_USER_INPUT", ["input", "email"])),
        ({"email": "", "role": "STAFF"}, ("BAD_USER_INPUT", ["input", "email"])),
        ({"email": ADDRESS, "role": "CUSTOMER"}, ("BAD_USER_INPUT", ["input", "role"])),
        ({"email": "boss@example.com", "role": "STAFF"}, ("CONFLICT", ["input", "email"])),
    ],
)
async def test_who_cannot_be_invited_is_named(
    case: AccountCase, admin: Client, fields: dict[str, str], expected: tuple[str, list[str]]
) -> None:
    await case.execute("UPDATE user_account SET email = 'boss@example.com'")

    payload = await answer(admin, INVITE, **fields)

    assert (payload["invitation"], payload["code"]) == (None, None)
    assert errors(payload) == [expected]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"email": "mona"}, "email"),
        ({"email": "other@example.com"}, "code"),
        ({"code": WRONG}, "code"),
        ({"code": ""}, "code"),
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "Mona\tLisa"}, "name"),
        ({"password": "password123"}, "password"),
        ({"password": ""}, "password"),
        ({"password": "x" * 10_000}, "password"),
    ],
)
async def test_a_bad_acceptance_names_the_field_and_uses_nothing_up(
    admin: Client, stranger: Client, fields: dict[str, str], path: str
) -> None:
    code = (await answer(admin, INVITE, email=ADDRESS, role="STAFF"))["code"]

    payload = await accept(stranger, code, **fields)

    assert (payload["user"], payload["accessToken"]) == (None, None)
    assert errors(payload) == [("BAD_USER_INPUT", ["input", path])]
    assert (await accept(stranger, code))["user"]["role"] == "STAFF"


@pytest.mark.parametrize("extra", [{"role": "ADMIN"}, {"isActive": True}])
async def test_nobody_can_choose_the_own_role(
    case: AccountCase, admin: Client, stranger: Client, extra: dict[str, Any]
) -> None:
    code = (await answer(admin, INVITE, email=ADDRESS, role="STAFF"))["code"]
    fields = {"email": ADDRESS, "code": code, "name": "Mona", "password": SECRET, **extra}

    response = await stranger.execute_raw(ACCEPT, input=fields)

    assert response.codes == ["BAD_USER_INPUT"]
    assert await case.rows("SELECT id FROM user_account WHERE email = :email", email=ADDRESS) == []


@pytest.mark.parametrize("role", [Role.STAFF, Role.SALESPERSON, Role.CUSTOMER])
async def test_nobody_else_invites_or_sees_invitations(schema: ApiSchema, services: Services, role: Role) -> None:
    client = schema_client(schema, services, Viewer(1, role, 1))

    for document, fields in ((INVITE, {"email": ADDRESS, "role": "ADMIN"}), (REVOKE, {"id": "x"})):
        assert (await client.execute_raw(document, input=fields)).codes == ["FORBIDDEN"]
    assert (await client.execute_raw(LIST)).codes == ["FORBIDDEN"]
