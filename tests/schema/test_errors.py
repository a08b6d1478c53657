import asyncio
import logging

import pytest
import strawberry
from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.schema.context import Context, Origin, Services
from graphql_api.schema.errors import InputError, user_errors
from graphql_api.schema.permissions import Policy
from graphql_api.schema.root import ApiSchema
from graphql_api.services.errors import Conflict, ErrorCode, RateLimited
from graphql_api.services.policy import Action
from graphql_api.services.storage import FileStorage
from tests.client import Client, create_services, schema_client

SECRET = "secret of the house"  # noqa: S105 - a text that must not come out, no password


@strawberry.type
class Trouble:
    @strawberry.field
    async def bug(self) -> str:
        raise ZeroDivisionError(SECRET)

    @strawberry.field
    async def wrong_type(self) -> int:
        return SECRET  # type: ignore[return-value]  # the mistake under test

    @strawberry.field
    async def missing(self) -> str:
        return None  # type: ignore[return-value]  # the mistake under test

    @strawberry.field
    async def conflict(self) -> str:
        raise Conflict("Read it again.", path=("input", "version"))

    @strawberry.field
    async def slow(self, info: strawberry.Info[Context, None]) -> str:
        async with info.context.database.read() as session:
            await session.execute(text("SELECT pg_sleep(5)"))
        return "done"


FIELDS = ("bug", "wrongType", "missing", "conflict", "slow")
POLICY = Policy(root_fields=dict.fromkeys(FIELDS, Action.READ_CATALOGUE), fields={}, inputs={})
TROUBLE = ApiSchema(query=Trouble, policy=POLICY)


@pytest.fixture
def trouble(services: Services) -> Client:
    return schema_client(TROUBLE, services)


@pytest.mark.parametrize("field", ["bug", "wrongType", "missing"])
async def test_what_nobody_expected_is_logged_and_hidden(
    trouble: Client, caplog: pytest.LogCaptureFixture, field: str
) -> None:
    with caplog.at_level(logging.ERROR):
        response = await trouble.execute_raw(f"{{ {field} }}")

    assert response.codes == ["INTERNAL_SERVER_ERROR"]
    assert response.errors[0]["extensions"]["requestId"] == "test-request"
    assert response.errors[0]["path"] == [field]
    assert SECRET not in str(response.errors)
    assert "test-request" in caplog.records[0].getMessage()
    assert caplog.records[0].exc_info is not None


async def test_an_expected_failure_says_what_where_and_why(trouble: Client) -> None:
    response = await trouble.execute_raw("{ conflict }")

    assert response.errors == [
        {
            "message": "Read it again.",
            "locations": [{"line": 1, "column": 3}],
            "path": ["conflict"],
            "extensions": {"code": "CONFLICT", "argumentPath": ["input", "version"]},
        }
    ]


async def test_a_slow_database_is_a_timeout(database_url: str, storage: FileStorage) -> None:
    impatient = Database(database_url, timeout=0.2)

    response = await schema_client(TROUBLE, create_services(impatient, storage)).execute_raw("{ slow }")

    assert response.codes == ["OPERATION_TIMEOUT"]
    await impatient.close()


async def test_a_lost_database_is_unavailable(schema: ApiSchema, storage: FileStorage) -> None:
    nowhere = Database("postgresql://postgres@127.0.0.1:1/postgres")

    response = await schema_client(schema, create_services(nowhere, storage)).execute_raw("{ stores { totalCount } }")

    assert response.codes == ["SERVICE_UNAVAILABLE"]
    await nowhere.close()


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("{ stores {", "GRAPHQL_PARSE_FAILED"),
        ("{ § }", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ stores }", "GRAPHQL_VALIDATION_FAILED"),
        ("query ($a: Int) { stores { totalCount } }", "GRAPHQL_VALIDATION_FAILED"),
        ('{ store(number: "1") { id } }', "GRAPHQL_VALIDATION_FAILED"),
        ('{ invoices(where: {date: {eq: "yesterday"}}) { totalCount } }', "BAD_USER_INPUT"),
        ("query ($n: Int!) { store(number: $n) { id } }", "BAD_USER_INPUT"),
        ("{ stores(first: -1) { totalCount } }", "BAD_USER_INPUT"),
        ("{ stores(where: {number: {eq: null}}) { totalCount } }", "BAD_USER_INPUT"),
        ('{ stores(after: "x") { totalCount } }', "BAD_USER_INPUT"),
        ("{ store { id } }", "BAD_USER_INPUT"),
        ('{ store(id: "x", number: 1) { id } }', "BAD_USER_INPUT"),
        ("{ products(where: {unitPrice: {eq: 1.999}}) { totalCount } }", "BAD_USER_INPUT"),
        ('{ invoices(where: {number: {in: ["1", null]}}) { totalCount } }', "GRAPHQL_VALIDATION_FAILED"),
    ],
)
async def test_every_wrong_document_has_its_code(client: Client, document: str, code: str) -> None:
    # Twice: the second time the findings come from the cache.
    for _ in range(2):
        response = await client.execute_raw(document)
        assert set(response.codes) == {code}


async def test_a_wrong_document_is_reported_before_an_unknown_operation_name(
    schema: ApiSchema, services: Services
) -> None:
    context = Context(services, Origin("test-request"))

    result = await schema.execute("{ stores {", context_value=context, operation_name="Stores")

    assert result.errors
    assert result.errors[0].extensions == {"code": "GRAPHQL_PARSE_FAILED"}


async def test_a_refused_argument_is_named(client: Client) -> None:
    for document, path in (
        ("{ stores(first: 101) { totalCount } }", ["first"]),
        ("{ stores(first: 1, last: 1) { totalCount } }", ["last"]),
        ("{ stores(where: {not: {name: {contains: null}}}) { totalCount } }", ["where", "not", "name", "contains"]),
        (
            "{ stores(where: {near: {latitude: 91, longitude: 0, kilometers: 1}}) { totalCount } }",
            ["where", "near", "latitude"],
        ),
        (
            "{ invoices(where: {store: {near: {latitude: 1, longitude: 0, kilometers: -1}}}) { totalCount } }",
            ["where", "store", "near", "kilometers"],
        ),
        ('{ products(where: {id: {eq: "x"}}) { totalCount } }', ["where", "id", "eq"]),
        ('{ invoices(where: {store: {id: {in: ["x"]}}}) { totalCount } }', ["where", "store", "id", "in"]),
        ('{ products(before: "x") { totalCount } }', ["before"]),
        ('{ product(id: "x") { sku } }', ["id"]),
        ('{ node(id: "x") { id } }', ["id"]),
    ):
        response = await client.execute_raw(document)
        assert response.codes == ["BAD_USER_INPUT"], document
        assert response.errors[0]["extensions"]["argumentPath"] == path, document


async def test_one_failure_leaves_its_siblings_alone(client: Client) -> None:
    response = await client.execute_raw('{ good: store(number: 1) { id } bad: store(id: "x") { id } }')

    assert response.data == {"good": None, "bad": None}
    assert [error["path"] for error in response.errors] == [["bad"]]


async def test_many_requests_at_once_keep_their_own_errors(client: Client) -> None:
    documents = [f"{{ stores(first: {-size}) {{ totalCount }} }}" for size in (1, 2)]

    first, second = await asyncio.gather(*map(client.execute_raw, documents))

    assert "-1" in first.errors[0]["message"]
    assert "-2" in second.errors[0]["message"]


def test_a_mutation_reports_expected_failures_as_data() -> None:
    assert user_errors(Conflict("Again.", path=("version",))) == [
        InputError(code=ErrorCode.CONFLICT, message="Again.", path=["input", "version"])
    ]


def test_what_concerns_the_whole_request_is_never_data() -> None:
    with pytest.raises(RateLimited):
        user_errors(RateLimited("Wait."))
