"""What the walks over all mutations share: people who have signed in, and an example that succeeds for each."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLField, GraphQLObjectType, get_named_type
from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.database.notification import Severity
from graphql_api.database.user import Role, UserRow
from graphql_api.schema.context import Origin, Services
from graphql_api.schema.node import global_id
from graphql_api.schema.root import ApiSchema
from graphql_api.services.invitation import IssuedInvitation, invite
from graphql_api.services.notification import notify
from graphql_api.services.policy import Viewer
from graphql_api.services.session import Device, Tokens, open_session
from graphql_api.services.translation import Sentence
from graphql_api.services.unit_of_work import UnitOfWork
from tests.client import Client, schema_client
from tests.factories import (
    create_product,
    create_session,
    create_stock,
    create_store,
    create_user,
)
from tests.schema.minimal_documents import Document
from tests.services.account_case import ADDRESS, AccountCase

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
        columns = (
            "kind, mode, on_error, stock_effect, dry_run, mapping, status, file_name, file_size, sha256, storage_key"
        )
        file = "'sales.csv', 10, 'ab', 'imports/x'"
        values = f"'SALES', 'INSERT', 'REJECT_ROW', 'NONE', {dry_run}, '{{}}', '{status}', {file}"
        await self.accounts.execute(f"INSERT INTO import_job ({columns}) VALUES ({values})")  # noqa: S608 - of this test
        found: int = await self.scalar("SELECT max(id) FROM import_job")
        return found

    async def product(self) -> int:
        """The key of a product that the member of staff has created."""
        async with self.database.transaction() as session:
            return (await create_product(session, created_by=self.users[Role.STAFF])).id

    async def stock(self) -> dict[str, str]:
        """The ids of a store and a product of which it has ten bottles."""
        async with self.database.transaction() as session:
            store, product = await create_store(session), await create_product(session)
            await create_stock(session, store, product, 10)
            return {"storeId": global_id("Store", store.id), "productId": global_id("Product", product.id)}

    async def notification(self) -> int:
        """The key of a notification in the list of the member of staff."""

        async def write(work: UnitOfWork) -> int:
            work.record("Notification", None)
            title = Sentence("Low stock")
            (key,) = await notify(work, severity=Severity.INFO, title=title, body=title, roles=[Role.STAFF])
            return key

        return await self.accounts.act(write)

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

    async def contents(self) -> dict[str, list[str]]:
        """Every row of every table but the record."""
        tables = await self.accounts.rows(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('public', 'jobs') "
            "AND tablename NOT LIKE 'audit%' ORDER BY 1"
        )
        # one statement for all: there are many tables, and many tests that look at them
        every = " UNION ALL ".join(f"SELECT '{name}', t::text FROM {name} t" for (name,) in tables)  # noqa: S608 - names from the catalogue
        found: dict[str, list[str]] = {name: [] for (name,) in tables}
        for name, row in await self.accounts.rows(every):
            found[name].append(row)
        return {name: sorted(rows) for name, rows in found.items()}


def mutations(schema: ApiSchema) -> GraphQLObjectType:
    found = schema._schema.mutation_type  # noqa: SLF001 - Strawberry has no public name for it
    assert found is not None
    return found


Example = Callable[[World], Awaitable[Attempt]]
EXAMPLES: dict[str, Example] = {}


def example(name: str) -> Callable[[Example], Example]:
    """Register the successful example of a mutation."""

    def register(make: Example) -> Example:
        EXAMPLES[name] = make
        return make

    return register


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
