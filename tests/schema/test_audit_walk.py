"""Every mutation of the schema leaves one entry in the audit record, refused ones too, and none a secret."""

from collections.abc import Mapping
from typing import Any

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.schema.context import Services
from graphql_api.schema.permissions import ROOT_FIELDS
from graphql_api.schema.root import ApiSchema
from graphql_api.services.policy import PUBLIC, ROLES, Viewer
from tests.schema.minimal_documents import minimal_document
from tests.schema.mutation_examples import EXAMPLES
from tests.schema.mutation_walk import ORIGIN, SECRET_FIELDS, World, mutations, successful_document
from tests.services.account_case import AccountCase


@pytest.fixture
async def world(database: Database, services: Services, schema: ApiSchema) -> World:
    world = World(database, AccountCase(database), services, schema)
    await world.fill()
    return world


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
