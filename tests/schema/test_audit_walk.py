"""Every mutation of the schema leaves one entry in the audit record, refused ones too, and none a secret."""

import io
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from graphql import GraphQLField, GraphQLObjectType, get_named_type
from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.database.user import Role, UserRow
from graphql_api.schema.context import Origin, Services
from graphql_api.schema.node import global_id
from graphql_api.schema.permissions import ROOT_FIELDS
from graphql_api.schema.root import ApiSchema
from graphql_api.schema.upload import UploadedFile
from graphql_api.services.invitation import IssuedInvitation, invite
from graphql_api.services.policy import PUBLIC, ROLES, Viewer
from graphql_api.services.session import Device, Tokens, open_session
from graphql_api.services.unit_of_work import UnitOfWork
from tests.client import Client, schema_client
from tests.factories import PASSWORD, create_product, create_session, create_user
from tests.sales_files import sale, sales_csv
from tests.schema.minimal_documents import Document, minimal_document
from tests.services.account_case import ADDRESS, SECRET, AccountCase

ORIGIN = Origin("walk-7", "192.0.2.44", "Walker")
NEW_PASSWORD = "thirteen green bicycles"  # noqa: S105 - of accounts that exist in tests alone
# Fields of payloads that nobody but the caller may ever read.
SECRET_FIELDS = {"accessToken", "refreshToken", "token", "code"}


@dataclass(frozen=True)
class Attempt:
    """A mutation that succeeds, and what the record has to say of it.

    Args:
        entity: the type of what it changes.
        key: of what it changes, or a statement that finds it afterwards.
        input: what is sent.
        viewer: who asks.
        actor: who is known to have acted, when that is not who asks.
        secrets: texts that were used and must stand nowhere.
    """

    entity: str
    key: int | str | None
    input: dict[str, Any] | None = None
    viewer: Viewer | None = None
    actor: int | None = None
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True)
class World:
    """One test's database, with somebody of each role who has signed in."""

    database: Database
    accounts: AccountCase
    services: Services
    schema: ApiSchema
    users: dict[Role, UserRow] = field(default_factory=dict)
    viewers: dict[Role, Viewer] = field(default_factory=dict)

    async def fill(self) -> None:
        """Make the people."""
        async with self.database.transaction() as session:
            for role in Role:
                user = await create_user(session, role=role)
                self.users[role] = user
                self.viewers[role] = Viewer(user.id, role, (await create_session(session, user)).id)

    @property
    def admin(self) -> Viewer:
        return self.viewers[Role.ADMIN]

    @property
    def staff(self) -> Viewer:
        return self.viewers[Role.STAFF]

    def client(self, viewer: Viewer | None) -> Client:
        return schema_client(self.schema, self.services, viewer, ORIGIN)

    def field(self, name: str) -> GraphQLField:
        found: GraphQLField = mutations(self.schema).fields[name]
        return found

    async def scalar(self, statement: str) -> Any:
        return (await self.accounts.rows(statement))[0][0]

    async def import_job(self, status: str, *, dry_run: bool = False) -> int:
        """The key of an import in this state."""
        columns = "kind, mode, on_error, dry_run, mapping, status, file_name, file_size, sha256, storage_key"
        values = f"'SALES', 'INSERT', 'REJECT_ROW', {dry_run}, '{{}}', '{status}', 'sales.csv', 10, 'ab', 'imports/x'"
        await self.accounts.execute(f"INSERT INTO import_job ({columns}) VALUES ({values})")  # noqa: S608 - of this test
        found: int = await self.scalar("SELECT max(id) FROM import_job")
        return found

    async def product(self) -> int:
        """The key of a product that the member of staff has created."""
        async with self.database.transaction() as session:
            return (await create_product(session, created_by=self.users[Role.STAFF])).id

    async def invitation(self) -> IssuedInvitation:
        """An open invitation of somebody without an account."""

        async def write(work: UnitOfWork) -> IssuedInvitation:
            return await invite(work, self.services.keys, email=ADDRESS, role=Role.STAFF, invited_by=None)

        return await self.accounts.act(write)

    async def session(self) -> Tokens:
        """A second session of the member of staff, with its tokens."""
        tokens = self.services.authentication.tokens

        async def write(work: UnitOfWork) -> Tokens:
            work.record("Session", None)
            return await open_session(work, self.users[Role.STAFF], Device(), tokens)

        return await self.accounts.act(write)

    async def reset(self, *, is_verified: bool) -> tuple[str, str]:
        """Token and code of a password reset of the member of staff."""
        email = self.users[Role.STAFF].email
        challenge = await self.accounts.request_reset(email)
        code = await self.accounts.mailed_code()
        if is_verified:
            await self.accounts.verify_reset(challenge.token, code)
        return challenge.token, code

    async def clear_record(self) -> None:
        """Empty the record, as only a superuser can, so that it shows one attempt alone."""
        for statement in (
            "ALTER TABLE audit_entry DISABLE TRIGGER USER",
            "TRUNCATE audit_entry",
            "ALTER TABLE audit_entry ENABLE TRIGGER USER",
        ):
            await self.accounts.execute(statement)

    async def entries(self) -> list[dict[str, Any]]:
        async with self.database.read() as session:
            return [dict(row._mapping) for row in await session.execute(text("SELECT * FROM audit_entry"))]  # noqa: SLF001 - the public name of it in SQLAlchemy

    async def contents(self) -> dict[str, Any]:
        """Every row of every table but the record."""
        tables = await self.accounts.rows(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('public', 'jobs') "
            "AND tablename NOT LIKE 'audit%' ORDER BY 1"
        )
        return {name: sorted(await self.accounts.rows(f"SELECT t::text FROM {name} t")) for (name,) in tables}  # noqa: S608 - names from the catalogue


def mutations(schema: ApiSchema) -> GraphQLObjectType:
    found = schema._schema.mutation_type  # noqa: SLF001 - Strawberry has no public name for it
    assert found is not None
    return found


@pytest.fixture
async def world(database: Database, services: Services, schema: ApiSchema) -> World:
    world = World(database, AccountCase(database), services, schema)
    await world.fill()
    return world


Example = Callable[[World], Awaitable[Attempt]]
EXAMPLES: dict[str, Example] = {}


def example(name: str) -> Callable[[Example], Example]:
    """Register the successful example of a mutation."""

    def register(make: Example) -> Example:
        EXAMPLES[name] = make
        return make

    return register


@example("register")
async def _register(_world: World) -> Attempt:
    person = {"email": ADDRESS, "name": "Mona", "password": SECRET}
    return Attempt("User", None, person, secrets=(SECRET,))


@example("verifyEmail")
async def _verify_email(world: World) -> Attempt:
    challenge = await world.accounts.register()
    code = await world.accounts.mailed_code()
    newest = "SELECT max(id) FROM user_account"
    actor = await world.scalar(newest) + 1
    answer = {"token": challenge.token, "code": code}
    return Attempt("User", newest, answer, actor=actor, secrets=(challenge.token, code, SECRET))


@example("login")
async def _login(world: World) -> Attempt:
    user = world.users[Role.STAFF]
    credentials = {"email": user.email, "password": PASSWORD}
    return Attempt("Session", "SELECT max(id) FROM session", credentials, actor=user.id, secrets=(PASSWORD,))


@example("refreshToken")
async def _refresh_token(world: World) -> Attempt:
    tokens = await world.session()
    token = tokens.refresh.text
    return Attempt(
        "Session",
        tokens.viewer.session_id,
        {"refreshToken": token},
        actor=tokens.viewer.user_id,
        secrets=(token, tokens.access.text),
    )


@example("logout")
async def _logout(world: World) -> Attempt:
    return Attempt("Session", world.staff.session_id, viewer=world.staff)


@example("logoutEverywhere")
async def _logout_everywhere(world: World) -> Attempt:
    return Attempt("User", world.staff.user_id, viewer=world.staff)


@example("revokeSession")
async def _revoke_session(world: World) -> Attempt:
    other = (await world.session()).viewer.session_id
    return Attempt("Session", other, {"id": global_id("Session", other)}, world.staff)


@example("updateProfile")
async def _update_profile(world: World) -> Attempt:
    return Attempt("User", world.staff.user_id, {"name": "New Name"}, world.staff)


@example("changePassword")
async def _change_password(world: World) -> Attempt:
    passwords = {"oldPassword": PASSWORD, "newPassword": NEW_PASSWORD}
    return Attempt("User", world.staff.user_id, passwords, world.staff, secrets=(PASSWORD, NEW_PASSWORD))


@example("requestPasswordReset")
async def _request_password_reset(world: World) -> Attempt:
    return Attempt("User", None, {"email": world.users[Role.STAFF].email})


@example("verifyPasswordReset")
async def _verify_password_reset(world: World) -> Attempt:
    token, code = await world.reset(is_verified=False)
    return Attempt("User", world.staff.user_id, {"token": token, "code": code}, secrets=(token, code))


@example("resetPassword")
async def _reset_password(world: World) -> Attempt:
    token, code = await world.reset(is_verified=True)
    wish = {"token": token, "newPassword": NEW_PASSWORD}
    return Attempt("User", world.staff.user_id, wish, secrets=(token, code, NEW_PASSWORD))


@example("updateUser")
async def _update_user(world: World) -> Attempt:
    key = world.staff.user_id
    wish = {"id": global_id("User", key), "expectedVersion": 1, "role": "SALESPERSON"}
    return Attempt("User", key, wish, world.admin)


@example("inviteUser")
async def _invite_user(world: World) -> Attempt:
    return Attempt("Invitation", "SELECT max(id) FROM invitation", {"email": ADDRESS, "role": "STAFF"}, world.admin)


@example("revokeInvitation")
async def _revoke_invitation(world: World) -> Attempt:
    issued = await world.invitation()
    return Attempt(
        "Invitation", issued.row.id, {"id": global_id("Invitation", issued.row.id)}, world.admin, secrets=(issued.code,)
    )


@example("acceptInvitation")
async def _accept_invitation(world: World) -> Attempt:
    issued = await world.invitation()
    newest = "SELECT max(id) FROM user_account"
    answer = {"email": ADDRESS, "code": issued.code, "name": "Mona", "password": SECRET}
    return Attempt("User", newest, answer, actor=await world.scalar(newest) + 1, secrets=(issued.code, SECRET))


@example("startImport")
async def _start_import(world: World) -> Attempt:
    file = UploadedFile("sales.csv", io.BytesIO(sales_csv([sale("a")])))
    return Attempt("Import", "SELECT max(id) FROM import_job", {"file": file}, world.staff)


@example("confirmImport")
async def _confirm_import(world: World) -> Attempt:
    key = await world.import_job("COMPLETED", dry_run=True)
    return Attempt("Import", "SELECT max(id) FROM import_job", {"id": global_id("Import", key)}, world.staff)


@example("cancelImport")
async def _cancel_import(world: World) -> Attempt:
    key = await world.import_job("QUEUED")
    return Attempt("Import", key, {"id": global_id("Import", key)}, world.staff)


@example("revertImport")
async def _revert_import(world: World) -> Attempt:
    key = await world.import_job("COMPLETED")
    return Attempt("Import", key, {"id": global_id("Import", key)}, world.staff)


@example("createProduct")
async def _create_product(world: World) -> Attempt:
    return Attempt("Product", "SELECT max(id) FROM product", {"sku": "A-1", "name": "Ale"}, world.staff)


@example("updateProduct")
async def _update_product(world: World) -> Attempt:
    key = await world.product()
    wish = {"id": global_id("Product", key), "expectedVersion": 1, "name": "Stout"}
    return Attempt("Product", key, wish, world.staff)


@example("archiveProduct")
async def _archive_product(world: World) -> Attempt:
    key = await world.product()
    return Attempt("Product", key, {"id": global_id("Product", key), "expectedVersion": 1}, world.staff)


@example("updateSettings")
async def _update_settings(world: World) -> Attempt:
    return Attempt("Settings", 1, {"expectedVersion": 1, "taxRate": "6.5"}, world.admin)


def successful_document(world: World, name: str, attempt: Attempt) -> Document:
    """Ask for the mutation, for its errors and for the secrets that it answers with."""
    root_field = world.field(name)
    payload = get_named_type(root_field.type)
    assert isinstance(payload, GraphQLObjectType)
    secrets = " ".join(sorted(SECRET_FIELDS & payload.fields.keys()))
    selection = f"{{ userErrors {{ code message path }} {secrets} }}"
    if attempt.input is None:
        return Document(f"mutation {{ {name} {selection} }}")
    head = f"mutation ($input: {root_field.args['input'].type})"
    return Document(f"{head} {{ {name}(input: $input) {selection} }}", {"input": attempt.input})


async def assert_nothing_secret(world: World, secrets: set[str]) -> None:
    record = str(await world.accounts.rows("SELECT e::text FROM audit_entry e"))
    assert [secret for secret in secrets if secret in record] == []
    assert "argon2" not in record


def test_every_mutation_has_an_example(schema: ApiSchema) -> None:
    assert mutations(schema).fields.keys() == EXAMPLES.keys()


@pytest.mark.parametrize("name", EXAMPLES)
async def test_what_is_done_is_recorded_once(world: World, name: str) -> None:
    attempt = await EXAMPLES[name](world)
    await world.clear_record()
    document = successful_document(world, name, attempt)

    answer: Mapping[str, Any] = (await world.client(attempt.viewer).execute(document.text, **document.variables))[name]

    assert answer["userErrors"] == []
    (entry,) = await world.entries()
    actor = attempt.viewer.user_id if attempt.viewer else attempt.actor
    key = await world.scalar(attempt.key) if isinstance(attempt.key, str) else attempt.key
    assert (entry["action"], entry["outcome"], entry["error_code"]) == (name, "DONE", None)
    assert (entry["entity"], entry["entity_id"]) == (attempt.entity, key)
    assert entry["actor_id"] == actor
    assert (entry["actor_role"] is None) == (entry["session_id"] is None) == (actor is None)
    assert (entry["address"], entry["request_id"]) == (ORIGIN.address, ORIGIN.request_id)
    assert entry["after"]
    returned = {str(answer[name]) for name in SECRET_FIELDS & answer.keys()}
    await assert_nothing_secret(world, {*attempt.secrets, *returned})


@pytest.mark.parametrize("name", EXAMPLES)
async def test_what_a_stranger_is_refused_is_recorded_once_and_changes_nothing(world: World, name: str) -> None:
    await assert_refused(world, name, None)


@pytest.mark.parametrize("name", [name for name in EXAMPLES if Role.CUSTOMER not in ROLES[ROOT_FIELDS[name]]])
async def test_what_a_customer_is_refused_is_recorded_with_the_name(world: World, name: str) -> None:
    await assert_refused(world, name, world.viewers[Role.CUSTOMER])


async def assert_refused(world: World, name: str, viewer: Viewer | None) -> None:
    before = await world.contents()
    document = minimal_document("mutation", name, world.field(name))

    response = await world.client(viewer).execute_raw(document.text, **document.variables)

    (entry,) = await world.entries()
    assert await world.contents() == before
    refusals = [error["code"] for error in ((response.data or {}).get(name) or {}).get("userErrors", [])]
    assert [entry["error_code"]] == response.codes + refusals
    assert refusals == [] if ROOT_FIELDS[name] not in PUBLIC else response.codes == []
    assert (entry["action"], entry["outcome"]) == (name, "REFUSED")
    assert (entry["actor_id"], entry["session_id"]) == ((viewer.user_id, viewer.session_id) if viewer else (None, None))
    assert (entry["address"], entry["request_id"]) == (ORIGIN.address, ORIGIN.request_id)
    assert (entry["before"], entry["after"], entry["entity"]) == (None, None, None)
