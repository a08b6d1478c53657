"""The own account as clients see it, from the registration to the forgotten password."""

from typing import Any

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.user import Language, Role
from graphql_api.schema.context import Context, Origin, Services
from graphql_api.schema.node import global_id
from graphql_api.schema.root import ApiSchema
from graphql_api.services.errors import ErrorCode
from graphql_api.services.mail.message import MailKind
from graphql_api.services.policy import Unauthenticated, Viewer
from tests.client import Client, schema_client
from tests.factories import PASSWORD, create_session, create_user
from tests.services.account_case import ADDRESS, SECRET, WRONG, AccountCase

ERRORS = "userErrors { code message path }"
REGISTER = "mutation ($input: RegisterInput!) { register(input: $input) { token expiresAt " + ERRORS + " } }"
VERIFY = (
    "mutation ($input: VerifyEmailInput!) { verifyEmail(input: $input) "
    "{ user { id email name role language isActive version } accessToken refreshToken " + ERRORS + " } }"
)
ME = "{ me { id email name role language isActive emailVerifiedAt createdAt version } }"
PROFILE = (
    "mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) { user { name language version } "
    + ERRORS
    + " } }"
)
PASSWORD_CHANGE = (
    "mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { user { id } " + ERRORS + " } }"
)
REQUEST_RESET = (
    "mutation ($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) { token expiresAt "
    + ERRORS
    + " } }"
)
VERIFY_RESET = (
    "mutation ($input: VerifyPasswordResetInput!) { verifyPasswordReset(input: $input) { expiresAt " + ERRORS + " } }"
)
RESET = "mutation ($input: ResetPasswordInput!) { resetPassword(input: $input) { isReset " + ERRORS + " } }"
NEW = "thirteen green bicycles"


@pytest.fixture
def case(database: Database) -> AccountCase:
    return AccountCase(database)


@pytest.fixture
def stranger(schema: ApiSchema, services: Services) -> Client:
    """A client that has not signed in, somewhere where Arabic is spoken."""
    origin = Origin("test-request", "192.0.2.7", "Tests", Language.AR)
    return schema_client(schema, services, None, origin)


async def answer(client: Client, document: str, **fields: Any) -> dict[str, Any]:
    """The payload of the one mutation in a document."""
    data = await client.execute(document, input=fields)
    (payload,) = data.values()
    return dict(payload)


def paths(payload: dict[str, Any]) -> list[list[str]]:
    return [error["path"] for error in payload["userErrors"]]


async def sign_in(case: AccountCase, schema: ApiSchema, services: Services, **fields: Any) -> tuple[Client, Viewer]:
    """A client of an account that has signed in."""
    async with case.database.transaction() as session:
        user = await create_user(session, **{"email": ADDRESS, "name": "Mona", "role": Role.STAFF, **fields})
        opened = await create_session(session, user)
    viewer = Viewer(user.id, user.role, opened.id)
    return schema_client(schema, services, viewer), viewer


async def test_an_account_comes_from_a_registration_and_the_mailed_code(case: AccountCase, stranger: Client) -> None:
    registered = await answer(stranger, REGISTER, email="Mona@Example.com", name="Mona", password=SECRET)
    (mail,) = await case.mails()
    entered = await answer(stranger, VERIFY, token=registered["token"], code=mail.values["code"])

    assert (registered["userErrors"], entered["userErrors"]) == ([], [])
    assert mail.language is Language.AR
    user = entered["user"]
    assert (user["email"], user["role"], user["language"]) == (ADDRESS, "CUSTOMER", "AR")
    assert entered["accessToken"]
    assert entered["refreshToken"]
    record = "SELECT action, outcome, entity, entity_id IS NULL, actor_id IS NULL, address FROM audit_entry ORDER BY id"
    assert await case.rows(record) == [
        ("register", "DONE", "User", True, True, "192.0.2.7"),
        ("verifyEmail", "DONE", "User", False, False, "192.0.2.7"),
    ]
    assert await case.rows("SELECT address, user_agent FROM session") == [("192.0.2.7", "Tests")]


async def test_a_language_may_be_chosen(case: AccountCase, stranger: Client) -> None:
    await answer(stranger, REGISTER, email=ADDRESS, name="Mona", password=SECRET, language="EN")

    assert [mail.language for mail in await case.mails()] == [Language.EN]


@pytest.mark.parametrize("document", [REGISTER, REQUEST_RESET])
async def test_the_answer_does_not_tell_who_has_an_account(case: AccountCase, stranger: Client, document: str) -> None:
    fields = {"name": "Mona", "password": SECRET} if document == REGISTER else {}
    async with case.database.transaction() as session:
        await create_user(session, email=ADDRESS)
        await create_user(session, email="inactive@example.com", is_active=False)

    shapes = []
    for email in (ADDRESS, "inactive@example.com", "nobody@example.com"):
        payload = await answer(stranger, document, email=email, **fields)
        guess = VERIFY if document == REGISTER else VERIFY_RESET
        refused = await answer(stranger, guess, token=payload["token"], code=WRONG)
        shapes.append((set(payload), len(payload["token"]), len(payload["expiresAt"]), payload["userErrors"], refused))

    assert shapes[0] == shapes[1] == shapes[2]
    assert [error["path"] for error in shapes[0][-1]["userErrors"]] == [["input", "code"]]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", ""),
        ("email", "mona"),
        ("email", "m" * 10_000),
        ("name", ""),
        ("name", "x" * 201),
        ("name", "Mona\nLisa"),
        ("name", "Mona \u202esiL"),
        ("password", ""),
        ("password", "password123"),
        ("password", "x" * 10_000),
    ],
)
async def test_a_bad_registration_names_the_field(stranger: Client, field: str, value: str) -> None:
    fields = {"email": ADDRESS, "name": "Mona", "password": SECRET} | {field: value}

    payload = await answer(stranger, REGISTER, **fields)

    assert payload["token"] is None
    assert paths(payload) == [["input", field]]
    assert payload["userErrors"][0]["code"] == ErrorCode.BAD_USER_INPUT


@pytest.mark.parametrize(
    "name",
    ["\u0645\u0646\u0649 \u0627\u0644\u0634\u0627\u0630\u0644\u064a", "Mona \U0001f469\u200d\U0001f4bb", "x" * 200],
)
async def test_a_name_may_be_of_any_script(case: AccountCase, stranger: Client, name: str) -> None:
    registered = await answer(stranger, REGISTER, email=ADDRESS, name=name, password=SECRET)
    code = await case.mailed_code()
    entered = await answer(stranger, VERIFY, token=registered["token"], code=code)

    assert entered["user"]["name"] == name


@pytest.mark.parametrize("field", ["email", "name", "password"])
async def test_a_text_that_cannot_be_stored_is_refused_before_anything_else(stranger: Client, field: str) -> None:
    fields = {"email": ADDRESS, "name": "Mona", "password": SECRET} | {field: "Mona\x00Lisa long enough"}

    response = await stranger.execute_raw(REGISTER, input=fields)

    assert response.codes == ["BAD_USER_INPUT"]


@pytest.mark.parametrize(
    ("document", "fields"),
    [
        (REGISTER, {"email": ADDRESS, "name": "Mona", "password": SECRET}),
        (PROFILE, {"name": "Mona"}),
    ],
)
@pytest.mark.parametrize("extra", [{"role": "ADMIN"}, {"isActive": True}, {"id": "VXNlcjox"}, {"version": 9}])
async def test_nobody_can_choose_the_own_role(
    case: AccountCase, client: Client, document: str, fields: dict[str, str], extra: dict[str, Any]
) -> None:
    response = await client.execute_raw(document, input={**fields, **extra})

    assert response.codes == ["BAD_USER_INPUT"]
    assert next(iter(extra)) in response.errors[0]["message"]
    assert await case.rows("SELECT id FROM one_time_code") == []


async def test_me_is_who_has_signed_in(
    case: AccountCase, schema: ApiSchema, services: Services, stranger: Client
) -> None:
    client, viewer = await sign_in(case, schema, services)

    mine = (await client.execute(ME))["me"]

    assert mine["id"] == global_id("User", viewer.user_id)
    assert (mine["email"], mine["name"], mine["role"], mine["language"]) == (ADDRESS, "Mona", "STAFF", "EN")
    assert (mine["isActive"], mine["version"]) == (True, 1)
    assert await stranger.execute(ME) == {"me": None}


async def test_me_says_why_a_token_was_not_taken(schema: ApiSchema, services: Services) -> None:
    problem = Unauthenticated("The access token has expired.")

    context = Context(services, Origin("test-request"), sign_in_problem=problem)
    result = await schema.execute(ME, context_value=context)

    assert [error.extensions and error.extensions["code"] for error in result.errors or []] == ["UNAUTHENTICATED"]


async def test_a_profile_is_changed_in_part(case: AccountCase, schema: ApiSchema, services: Services) -> None:
    client, _ = await sign_in(case, schema, services)

    renamed = await answer(client, PROFILE, name=" Lisa ")
    translated = await answer(client, PROFILE, language="AR")
    untouched = await answer(client, PROFILE)

    assert renamed["user"] == {"name": "Lisa", "language": "EN", "version": 2}
    assert translated["user"] == {"name": "Lisa", "language": "AR", "version": 3}
    assert untouched["user"] == translated["user"]


@pytest.mark.parametrize("fields", [{"name": None}, {"language": None}, {"name": " "}, {"name": "x" * 201}])
async def test_a_profile_cannot_be_emptied(
    case: AccountCase, schema: ApiSchema, services: Services, fields: dict[str, Any]
) -> None:
    client, _ = await sign_in(case, schema, services)

    payload = await answer(client, PROFILE, **fields)

    assert payload["user"] is None
    assert paths(payload) == [["input", next(iter(fields))]]


async def test_a_password_is_changed_by_who_knows_the_old_one(
    case: AccountCase, schema: ApiSchema, services: Services
) -> None:
    client, viewer = await sign_in(case, schema, services)

    wrong = await answer(client, PASSWORD_CHANGE, oldPassword="something else", newPassword=NEW)
    weak = await answer(client, PASSWORD_CHANGE, oldPassword=PASSWORD, newPassword="password123")
    changed = await answer(client, PASSWORD_CHANGE, oldPassword=PASSWORD, newPassword=NEW)

    assert paths(wrong) == [["input", "oldPassword"]]
    assert paths(weak) == [["input", "newPassword"]]
    assert changed == {"user": {"id": global_id("User", viewer.user_id)}, "userErrors": []}
    assert [mail.kind for mail in await case.mails()] == [MailKind.PASSWORD_CHANGED]
    record = "SELECT action, outcome, actor_id, error_code FROM audit_entry ORDER BY id"
    assert await case.rows(record) == [
        ("changePassword", "REFUSED", viewer.user_id, "BAD_USER_INPUT"),
        ("changePassword", "REFUSED", viewer.user_id, "BAD_USER_INPUT"),
        ("changePassword", "DONE", viewer.user_id, None),
    ]


async def test_a_forgotten_password_is_reset_in_three_steps(
    case: AccountCase, schema: ApiSchema, services: Services, stranger: Client
) -> None:
    await sign_in(case, schema, services)
    requested = await answer(stranger, REQUEST_RESET, email=ADDRESS.upper())
    code = await case.mailed_code()

    early = await answer(stranger, RESET, token=requested["token"], newPassword=NEW)
    wrong = await answer(stranger, VERIFY_RESET, token=requested["token"], code=WRONG)
    right = await answer(stranger, VERIFY_RESET, token=requested["token"], code=code)
    weak = await answer(stranger, RESET, token=requested["token"], newPassword="short")
    done = await answer(stranger, RESET, token=requested["token"], newPassword=NEW)
    again = await answer(stranger, RESET, token=requested["token"], newPassword=NEW)

    assert paths(early) == [["input", "token"]]
    assert paths(wrong) == [["input", "code"]]
    assert right["userErrors"] == []
    assert right["expiresAt"]
    assert paths(weak) == [["input", "newPassword"]]
    assert done == {"isReset": True, "userErrors": []}
    assert (again["isReset"], paths(again)) == (False, [["input", "token"]])
    assert await case.rows("SELECT ended_by FROM session") == [("PASSWORD_CHANGED",)]


@pytest.mark.parametrize("document", [PROFILE, PASSWORD_CHANGE])
async def test_who_has_not_signed_in_has_no_account_to_change(stranger: Client, document: str) -> None:
    fields = {"name": "Mona"} if document == PROFILE else {"oldPassword": PASSWORD, "newPassword": NEW}

    response = await stranger.execute_raw(document, input=fields)

    assert response.codes == ["UNAUTHENTICATED"]
