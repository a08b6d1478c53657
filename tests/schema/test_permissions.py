from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import iscoroutinefunction

import pytest
from graphql import GraphQLObjectType

from graphql_api.database.engine import Database
from graphql_api.schema.permissions import ACTIONS, Action, Policy, Viewer
from graphql_api.schema.root import ApiSchema, build_schema
from graphql_api.services.storage import FileStorage
from tests.client import Response, schema_client


@dataclass(frozen=True)
class Somebody:
    actions: frozenset[Action]


Ask = Callable[[Policy, Viewer | None], Awaitable[Response]]


@pytest.fixture
def ask(database: Database, storage: FileStorage) -> Ask:
    async def send(policy: Policy, viewer: Viewer | None) -> Response:
        client = schema_client(build_schema(policy), database, storage, viewer)
        return await client.execute_raw("{ stores { totalCount } }")

    return send


def root_types(schema: ApiSchema) -> list[GraphQLObjectType]:
    core = schema._schema  # noqa: SLF001 - Strawberry has no public name for it
    return [root for root in (core.query_type, core.mutation_type, core.subscription_type) if root]


def test_every_root_field_has_its_entry(schema: ApiSchema) -> None:
    fields = {name for root in root_types(schema) for name in root.fields}

    assert fields
    assert fields - ACTIONS.keys() == set()


async def test_without_a_switch_everything_is_refused_by_default(ask: Ask) -> None:
    response = await ask(Policy(), None)

    assert response.codes == ["UNAUTHENTICATED"]
    assert response.data is None or response.data["stores"] is None


async def test_a_field_that_is_not_in_the_table_is_refused_to_everybody(ask: Ask) -> None:
    everything = Somebody(frozenset(Action))

    for viewer in (None, everything):
        assert (await ask(Policy(actions={}), viewer)).codes == ["FORBIDDEN"]


async def test_somebody_without_the_right_is_refused(ask: Ask) -> None:
    response = await ask(Policy(), Somebody(frozenset({Action.READ_SALES})))

    assert response.codes == ["FORBIDDEN"]
    assert "see stores" in response.errors[0]["message"]


async def test_somebody_with_the_right_gets_the_answer(ask: Ask) -> None:
    response = await ask(Policy(), Somebody(frozenset({Action.READ_CATALOGUE})))

    assert response.errors == []
    assert response.data == {"stores": {"totalCount": 0}}


def test_fields_below_the_root_pay_nothing_for_the_check(schema: ApiSchema) -> None:
    store = schema._schema.get_type("Store")  # noqa: SLF001 - Strawberry has no public name for it
    assert isinstance(store, GraphQLObjectType)

    resolve = store.fields["name"].resolve

    assert resolve is not None
    assert resolve.__name__ == "_get_basic_result"
    assert not iscoroutinefunction(resolve)
