from dataclasses import replace
from typing import Any

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.schema.complexity import MAX_REPORTS
from graphql_api.schema.context import Origin, Services
from graphql_api.schema.documents import prepare_document
from graphql_api.schema.root import ApiSchema
from graphql_api.services.throttle_rules import (
    EVERY_MUTATION,
    FILES,
    LIMITS,
    RULES_OF_EVERY_MUTATION,
    Subject,
    rules_of,
)
from tests.client import Client, Response, schema_client
from tests.factories import Line, create_invoice, create_product
from tests.schema.people import ClientOf, create_viewer


def logins(count: int, email: str = "ann@example.com") -> str:
    """One document that tries to sign in so many times."""
    inputs = (f'{{email: "{email.format(number)}", password: "wrong"}}' for number in range(count))
    tries = (f"a{number}: login(input: {given}) {{ userErrors {{ code }} }}" for number, given in enumerate(inputs))
    return f"mutation {{ {' '.join(tries)} }}"


def limit(field: str, subject: Subject) -> int:
    rules = (*rules_of(field), *RULES_OF_EVERY_MUTATION)
    return next(rule.limit.amount for rule in rules if rule.subject is subject)


def refused(response: Response) -> list[str]:
    """The aliases that were refused; the first one ends a document of mutations."""
    return [error["path"][0] for error in response.errors if error["extensions"]["code"] == "RATE_LIMITED"]


@pytest.fixture
def stranger(schema: ApiSchema, services: Services) -> Client:
    return schema_client(schema, services, None, Origin("test-request", "192.0.2.1"))


async def test_aliased_logins_in_one_document_are_counted_one_by_one(stranger: Client) -> None:
    response = await stranger.execute_raw(logins(50))

    assert refused(response) == [f"a{limit('login', Subject.SENDER)}"]
    assert refused(await stranger.execute_raw(logins(1))) == ["a0"]
    error = response.errors[0]
    assert 1 <= error["extensions"]["retryAfter"] <= 600
    assert str(error["extensions"]["retryAfter"]) in error["message"]


async def test_a_hundred_logins_are_a_hundred_however_they_are_sent(stranger: Client) -> None:
    # given
    first, second = logins(50, "user{0}@example.com"), logins(50, "other{0}@example.com")

    # when
    at_once = await stranger.execute_raw(logins(100))
    responses = [await stranger.execute_raw(first), await stranger.execute_raw(second)]

    # then
    assert at_once.codes == ["QUERY_TOO_COMPLEX"], "nothing of it ran"
    assert list(map(refused, responses)) == [[], [f"a{limit('login', Subject.ADDRESS) - 50}"]]


async def test_who_signs_in_is_counted_by_the_address_in_the_input(schema: ApiSchema, services: Services) -> None:
    for number in range(limit("login", Subject.EMAIL)):
        client = schema_client(schema, services, None, Origin("test-request", f"192.0.2.{number}"))
        assert refused(await client.execute_raw(logins(1, " Ann@EXAMPLE.com"))) == []

    elsewhere = schema_client(schema, services, None, Origin("test-request", "198.51.100.7"))

    assert refused(await elsewhere.execute_raw(logins(1))) == ["a0"]
    assert refused(await elsewhere.execute_raw(logins(1, "bob@example.com"))) == []
    variables: dict[str, Any] = {"input": {"email": "ANN@example.com", "password": "x"}}
    by_variable = "mutation ($input: LoginInput!) { login(input: $input) { userErrors { code } } }"
    assert refused(await elsewhere.execute_raw(by_variable, **variables)) == ["login"]


async def test_one_sender_locks_nobody_out_of_an_account(
    stranger: Client, schema: ApiSchema, services: Services
) -> None:
    assert refused(await stranger.execute_raw(logins(50)))

    owner = schema_client(schema, services, None, Origin("test-request", "198.51.100.7"))

    assert refused(await owner.execute_raw(logins(1))) == []


async def test_an_account_has_a_limit_over_all_mutations(database: Database, client_of: ClientOf) -> None:
    # given
    client = client_of(await create_viewer(database, Role.STAFF))
    tries = " ".join(f"a{number}: archiveProduct(input: $x) {{ __typename }}" for number in range(60))
    document = f"mutation ($x: ArchiveProductInput!) {{ {tries} }}"
    most = limit("archiveProduct", Subject.ACCOUNT)

    # when
    responses = [await client.execute_raw(document, x={"id": "x", "expectedVersion": 1}) for _ in range(most // 60 + 1)]

    # then
    assert most % 60 == 0
    assert [refused(response) for response in responses] == [[]] * (most // 60) + [["a0"]]
    other = client_of(await create_viewer(database, Role.STAFF))
    assert refused(await other.execute_raw(document, x={"id": "x", "expectedVersion": 1})) == []


async def test_reports_are_counted_and_other_queries_are_not(
    database: Database, schema: ApiSchema, services: Services
) -> None:
    # given
    counted: list[str] = []

    class Counting:
        async def count(self, rules: Any, _caller: Any) -> None:
            counted.extend(rule.what for rule in rules)

    viewer = await create_viewer(database, Role.STAFF)
    client = schema_client(schema, replace(services, throttle=Counting()), viewer)  # type: ignore[arg-type]  # it counts

    # when
    await client.execute(
        "{ a: overview { stores } b: overview { stores } facets(field: CITY) { value } products { totalCount } }"
    )

    # then
    assert sorted(counted) == ["facets", "overview", "overview"]


async def test_a_printed_invoice_counts_as_a_download(database: Database, client_of: ClientOf) -> None:
    # given somebody who has used up the downloads
    viewer = await create_viewer(database, Role.STAFF)
    async with database.transaction() as session:
        await create_invoice(session, Line(await create_product(session)))
    client, (rule,) = client_of(viewer), rules_of("invoicePdf")

    # when
    hashes = " ".join(f"a{number}: sha256" for number in range(20))
    document = f"{{ invoices(first: 1) {{ nodes {{ pdf {{ {hashes} }} }} }} }}"
    responses = [await client.execute_raw(document) for _ in range(rule.limit.amount // 20 + 1)]

    # then
    assert [set(response.codes) for response in responses] == [set()] * (len(responses) - 1) + [{"RATE_LIMITED"}]


async def test_whoever_may_not_is_not_counted(client_of: ClientOf) -> None:
    many = "{ " + " ".join(f"a{n}: overview {{ stores }}" for n in range(MAX_REPORTS)) + " }"
    client = client_of(None)

    responses = [await client.execute_raw(many) for _ in range(limit_of_reports() // MAX_REPORTS + 1)]

    assert {code for response in responses for code in response.codes} == {"UNAUTHENTICATED"}


@pytest.mark.parametrize("role", [None, Role.STAFF])
async def test_whoever_may_not_invite_takes_no_attempts_from_those_who_may(
    database: Database, client_of: ClientOf, role: Role | None
) -> None:
    # given
    invite = """mutation { inviteUser(input: {email: "new@example.com", role: STAFF}) { code userErrors { code } } }"""
    intruder = client_of(await create_viewer(database, role) if role else None)

    # when
    responses = [await intruder.execute_raw(invite) for _ in range(limit("inviteUser", Subject.EMAIL) + 1)]

    # then
    assert {code for response in responses for code in response.codes} <= {"UNAUTHENTICATED", "FORBIDDEN"}
    admin = client_of(await create_viewer(database, Role.ADMIN))
    assert (await admin.execute(invite))["inviteUser"]["code"]


def limit_of_reports() -> int:
    return next(rule.limit.amount for rule in rules_of("overview"))


def test_every_limited_field_exists(schema: ApiSchema) -> None:
    core = schema._schema  # noqa: SLF001 - Strawberry has no public name for it
    assert core.query_type is not None
    assert core.mutation_type is not None
    assert core.subscription_type is not None

    roots = core.query_type, core.mutation_type, core.subscription_type
    assert set(LIMITS) - FILES <= {name for root in roots for name in root.fields}
    assert set(LIMITS) >= FILES
    assert set(EVERY_MUTATION) == {Subject.ACCOUNT, Subject.STRANGER}


@pytest.mark.parametrize(
    "report",
    [
        "salesReport(groupBy: []) { totalGroups }",
        "stockReport(groupBy: []) { totalGroups }",
        "overview { stores }",
        "facets(field: CITY) { value }",
        "reorderSuggestions { totalCount }",
    ],
)
def test_a_document_holds_a_few_reports(schema: ApiSchema, report: str) -> None:
    def codes(count: int, frame: str = "{ %s }") -> list[Any]:
        document = frame % " ".join(f"a{number}: {report}" for number in range(count))
        prepared = prepare_document(schema._schema, document)  # noqa: SLF001 - as above
        return [(error.extensions or {})["code"] for error in prepared.errors]

    assert codes(MAX_REPORTS) == []
    assert codes(MAX_REPORTS + 1) == ["QUERY_TOO_COMPLEX"]
    spread = "{ %s ...F } fragment F on Query { b: overview { stores } c: overview { stores } }"
    assert codes(MAX_REPORTS - 2, spread) == []
    assert codes(MAX_REPORTS - 1, spread) == ["QUERY_TOO_COMPLEX"]


def test_a_document_checks_the_books_once_and_does_nothing_else_of_that_kind(schema: ApiSchema) -> None:
    def is_refused(document: str) -> bool:
        return bool(prepare_document(schema._schema, document).errors)  # noqa: SLF001 - as above

    assert not is_refused("{ booksCheck { isBalanced checks { name violations { what } } } products { totalCount } }")
    assert is_refused("{ a: booksCheck { isBalanced } b: booksCheck { isBalanced } }")
    assert is_refused("{ booksCheck { isBalanced } overview { stores } }")
