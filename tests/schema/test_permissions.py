"""The table of rights is whole, consistent, and asked before anything else."""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from inspect import iscoroutinefunction

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
)
from sqlalchemy import select

from graphql_api.database.audit import AuditEntryRow, AuditOutcome
from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.schema.context import Context, Origin, Services
from graphql_api.schema.permissions import ANY_TYPE, FIELDS, INPUTS, ROOT_FIELDS, Policy
from graphql_api.schema.refetch import SOURCES
from graphql_api.schema.root import ApiSchema, build_schema
from graphql_api.services.policy import ACTIONS_OF, ROLES, Action, Unauthenticated, Viewer
from tests.client import Response, schema_client

Ask = Callable[[Policy, Viewer | None], Awaitable[Response]]
SECRET = re.compile(r"cost|profit|margin|cogs", re.IGNORECASE)


@pytest.fixture
def ask(services: Services) -> Ask:
    async def send(policy: Policy, viewer: Viewer | None) -> Response:
        return await schema_client(build_schema(policy), services, viewer).execute_raw("{ stores { totalCount } }")

    return send


# What is asked elsewhere: a price other than the product's hangs on a value, and /metrics is no field.
BY_SERVICES = {Action.SET_PRICES, Action.READ_METRICS}


def core_of(schema: ApiSchema) -> GraphQLSchema:
    return schema._schema  # noqa: SLF001 - Strawberry has no public name for it


def somebody(role: Role) -> Viewer:
    return Viewer(user_id=1, role=role, session_id=1)


def root_types(schema: ApiSchema) -> list[GraphQLObjectType]:
    core = core_of(schema)
    return [root for root in (core.query_type, core.mutation_type, core.subscription_type) if root]


def test_every_root_field_has_its_entry_and_every_entry_its_field(schema: ApiSchema) -> None:
    fields = {name for root in root_types(schema) for name in root.fields}

    assert fields == set(ROOT_FIELDS)


def test_every_action_has_its_roles_and_is_used() -> None:
    used = {*ROOT_FIELDS.values(), *FIELDS.values(), *INPUTS.values()} | {source.action for source in SOURCES.values()}

    assert set(ROLES) == set(Action) == used | BY_SERVICES
    assert not used & BY_SERVICES
    assert all(ROLES[action] for action in Action)
    assert ACTIONS_OF[Role.ADMIN] == set(Action)


def test_whoever_may_read_reports_may_see_costs() -> None:
    """The numbers of reports are not guarded one by one; this is why they need not be."""
    assert ROLES[Action.READ_SALES] <= ROLES[Action.READ_COSTS]


async def test_nobody_has_signed_in_and_so_may_do_nothing(ask: Ask) -> None:
    response = await ask(Policy(), None)

    assert response.codes == ["UNAUTHENTICATED"]
    assert response.data is None or response.data["stores"] is None


async def test_a_token_that_was_not_taken_is_the_reason(schema: ApiSchema, services: Services) -> None:
    problem = Unauthenticated("The access token has expired.")
    context = Context(services, Origin("test-request"), sign_in_problem=problem)

    result = await schema.execute("{ stores { totalCount } }", context_value=context)

    assert result.errors is not None
    assert [error.message for error in result.errors] == ["The access token has expired."]


async def test_a_field_that_is_not_in_the_table_is_refused_to_everybody(ask: Ask) -> None:
    for viewer in (None, *map(somebody, Role)):
        assert (await ask(Policy(root_fields={}), viewer)).codes == ["FORBIDDEN"]


async def test_somebody_without_the_right_is_refused(ask: Ask) -> None:
    response = await ask(Policy(root_fields={"stores": Action.MANAGE_USERS}), somebody(Role.STAFF))

    assert response.codes == ["FORBIDDEN"]
    assert "see and change accounts" in response.errors[0]["message"]


async def test_somebody_with_the_right_gets_the_answer(ask: Ask) -> None:
    response = await ask(Policy(), somebody(Role.CUSTOMER))

    assert response.errors == []
    assert response.data == {"stores": {"totalCount": 0}}


@pytest.mark.parametrize("place", [("Store", "nam"), ("Planet", "name"), (ANY_TYPE, "nam")])
def test_a_rule_without_a_field_keeps_the_server_from_starting(place: tuple[str, str]) -> None:
    with pytest.raises(LookupError, match="to be guarded"):
        build_schema(Policy(fields={place: Action.IMPORT}))


@pytest.mark.parametrize(
    "place", [("ProductWhere", "unitCosts"), ("Planet", "name"), ("ProductOrderField", "unitCost")]
)
def test_a_rule_without_an_input_keeps_the_server_from_starting(place: tuple[str, str]) -> None:
    with pytest.raises(LookupError, match="to be guarded"):
        build_schema(Policy(inputs={place: Action.IMPORT}))


async def test_a_refused_mutation_is_recorded(database: Database, schema: ApiSchema, services: Services) -> None:
    document = 'mutation { archiveProduct(input: {id: "x", expectedVersion: 1}) { userErrors { code } } }'

    for viewer in (None, somebody(Role.CUSTOMER)):
        await schema_client(schema, services, viewer).execute_raw(document)

    async with database.read() as session:
        entries = list(await session.scalars(select(AuditEntryRow)))
    assert [entry.outcome for entry in entries] == [AuditOutcome.REFUSED] * 2
    assert {(entry.action, entry.actor_role, entry.error_code) for entry in entries} == {
        ("archiveProduct", None, "UNAUTHENTICATED"),
        ("archiveProduct", Role.CUSTOMER, "FORBIDDEN"),
    }


def test_fields_below_the_root_pay_nothing_for_the_check(schema: ApiSchema) -> None:
    store = core_of(schema).get_type("Store")
    assert isinstance(store, GraphQLObjectType)

    resolve = store.fields["name"].resolve

    assert resolve is not None
    assert resolve.__name__ == "_get_basic_result"
    assert not iscoroutinefunction(resolve)


class Reach:
    """What somebody of a role can get to: fields that are asked, and inputs that can be given, by type and name."""

    def __init__(self, schema: GraphQLSchema, role: Role) -> None:
        self.schema = schema
        self.actions = ACTIONS_OF[role]
        self.open: set[tuple[str, str]] = set()
        self.seen: set[str] = set()
        for root in filter(None, (schema.query_type, schema.mutation_type, schema.subscription_type)):
            for name in root.fields:
                if ROOT_FIELDS[name] in self.actions:
                    self._field(root, name)

    def _field(self, owner: GraphQLObjectType, name: str) -> None:
        self.open.add((owner.name, name))
        for argument in owner.fields[name].args.values():
            self._input(get_named_type(argument.type))
        for kind in self._objects(get_named_type(owner.fields[name].type)):
            self._object(kind)

    def _objects(self, kind: GraphQLNamedType) -> Iterator[GraphQLObjectType]:
        if isinstance(kind, GraphQLObjectType):
            yield kind
        elif isinstance(kind, GraphQLInterfaceType | GraphQLUnionType):
            yield from self.schema.get_possible_types(kind)

    def _object(self, kind: GraphQLObjectType) -> None:
        if kind.name in self.seen or not self._is_open(kind):
            return
        self.seen.add(kind.name)
        for name in kind.fields:
            if self._may(FIELDS, kind.name, name):
                self._field(kind, name)

    def _is_open(self, kind: GraphQLObjectType) -> bool:
        """`node` leads to every type with an id, but only with its right; the own account is always open."""
        source = SOURCES.get(kind.name)
        return source is None or source.action in self.actions or kind.name == "User"

    def _input(self, kind: GraphQLNamedType) -> None:
        if kind.name in self.seen:
            return
        self.seen.add(kind.name)
        if isinstance(kind, GraphQLEnumType):
            self.open |= {(kind.name, name) for name in kind.values if self._may(INPUTS, kind.name, name)}
        if isinstance(kind, GraphQLInputObjectType):
            for name, part in kind.fields.items():
                if self._may(INPUTS, kind.name, name):
                    self.open.add((kind.name, name))
                    self._input(get_named_type(part.type))

    def _may(self, table: Mapping[tuple[str, str], Action], type_name: str, name: str) -> bool:
        action = table.get((type_name, name)) or table.get((ANY_TYPE, name))
        return action is None or action in self.actions


def secrets_in_reach(schema: ApiSchema, role: Role) -> set[tuple[str, str]]:
    """What names costs or profit among all that a role can get to; names of rights tell no amounts."""
    reach = Reach(core_of(schema), role)
    return {(kind, name) for kind, name in reach.open if SECRET.search(name) and kind != "Action"}


def test_customers_reach_nothing_that_names_costs_or_profit(schema: ApiSchema) -> None:
    assert secrets_in_reach(schema, Role.CUSTOMER) == set()


def test_the_search_for_costs_would_find_them(schema: ApiSchema) -> None:
    found = secrets_in_reach(schema, Role.SALESPERSON)

    assert found >= {
        ("Product", "unitCost"),
        ("InvoiceLine", "profit"),
        ("SalesMeasures", "margin"),
        ("SalesHaving", "cost"),
        ("Measure", "PROFIT"),
        ("ProductOrderField", "UNIT_COST"),
    }
    assert ("CreateProductInput", "unitCost") in secrets_in_reach(schema, Role.STAFF)
