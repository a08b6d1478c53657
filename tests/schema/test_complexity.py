import time
from typing import Any

import pytest
from graphql import get_introspection_query
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.schema.complexity import MAX_DEPTH, MAX_LISTS
from graphql_api.schema.documents import MAX_TOKENS, prepare_document
from graphql_api.schema.root import ApiSchema
from tests.client import Client

LINES_OF_INVOICES = """query ($first: Int) { invoices(first: $first) { nodes { number date store { name city }
    lines(first: 100) { nodes { quantity unitPrice revenue profit product { sku name } } } } } }"""


def codes(schema: ApiSchema, document: str) -> set[Any]:
    prepared = prepare_document(schema._schema, document)  # noqa: SLF001 - Strawberry has no public name for it
    return {(error.extensions or {})["code"] for error in prepared.errors}


def bomb(levels: int, leaf: str = "name") -> str:
    """Each fragment spreads the next one twice: 2 to the power of `levels` fields in a few hundred bytes."""
    links = [f"fragment F{n} on Store {{ a: county {{ id }} ...F{n + 1} ...F{n + 1} }}" for n in range(levels)]
    return " ".join(["{ stores { nodes { ...F0 } } }", *links, f"fragment F{levels} on Store {{ {leaf} }}"])


def test_a_bomb_of_nested_fragments_is_refused_at_once(schema: ApiSchema) -> None:
    start = time.process_time()

    assert codes(schema, bomb(60)) == {"QUERY_TOO_COMPLEX"}
    assert time.process_time() - start < 1


def test_a_few_nested_fragments_are_fine(schema: ApiSchema) -> None:
    assert codes(schema, bomb(3)) == set()


def test_introspection_passes(schema: ApiSchema) -> None:
    full = get_introspection_query(specified_by_url=True, schema_description=True, input_value_deprecation=True)

    assert codes(schema, get_introspection_query()) == set()
    assert codes(schema, full) == set()


async def test_a_hundred_lines_of_a_hundred_invoices_pass(client: Client) -> None:
    assert await client.execute(LINES_OF_INVOICES, first=100) == {"invoices": {"nodes": []}}
    assert await client.execute(LINES_OF_INVOICES) == {"invoices": {"nodes": []}}


def many(document: str, field: str) -> str:
    """`document` with one alias of `field` more than a request may have."""
    return document % " ".join(f"a{number}: {field}" for number in range(MAX_LISTS + 1))


@pytest.mark.parametrize(
    "document",
    [
        "{ invoices(first: 100) { nodes { lines(first: 100) { nodes { "
        + " ".join(f"a{n}: quantity" for n in range(30))
        + " } } } } }",
        "{ stores(first: 99999999999999999999) { nodes { id } } }",
        many("{ %s }", "stores(first: 1) { totalCount }"),
        many("{ %s }", "store(number: 1) { id }"),
        many("{ ...F } fragment F on Query { %s }", "store(number: 1) { id }"),
        many("{ invoices { nodes { %s } } }", "lines(first: 1) { totalCount }"),
        "{ invoices { nodes { pdf { sha256 } } } }",
        "{ invoices(first: 5) { nodes { credits { pdf { ...F } } } } } fragment F on InvoicePdf { sha256 }",
        "{ invoices(first: 10) { nodes { pdf { a: sha256 b: sha256 c: sha256 } } } }",
        "{ __schema { types { " + "ofType { " * MAX_DEPTH + "name" + " }" * (MAX_DEPTH + 3),
        "{ unknown " * (MAX_DEPTH + 1) + "}" * (MAX_DEPTH + 1),
        "{ stores(where: " + "{not: " * 70 + "{}" + "}" * 70 + ") { totalCount } }",
        "{ stores { totalCount } } " + "# " + "x" * 300_000,
    ],
)
def test_too_much_is_refused(schema: ApiSchema, document: str) -> None:
    assert codes(schema, document) == {"QUERY_TOO_COMPLEX"}


def test_few_invoices_are_printed_for_their_hash(schema: ApiSchema) -> None:
    assert codes(schema, "{ invoices(first: 20) { nodes { number pdf { url sha256 } } } }") == set()


@pytest.mark.parametrize("document", ["{ a" * 5_000, "{ " + "a " * (MAX_TOKENS + 1) + "}", "[" * 20_000, "#\n" * 5_000])
def test_endless_documents_are_refused(schema: ApiSchema, document: str) -> None:
    assert codes(schema, document) <= {"QUERY_TOO_COMPLEX", "GRAPHQL_PARSE_FAILED"}
    assert codes(schema, document)


async def test_the_value_of_a_variable_decides(client: Client) -> None:
    document = """query ($first: Int) { invoices(first: 100) { nodes { lines(first: $first) { nodes {
        q1: quantity q2: quantity q3: quantity q4: quantity q5: quantity q6: quantity q7: quantity q8: quantity
        r1: revenue r2: revenue r3: revenue r4: revenue r5: revenue r6: revenue r7: revenue r8: revenue
        c1: cost c2: cost c3: cost c4: cost c5: cost c6: cost c7: cost c8: cost c9: cost
        p1: profit p2: profit p3: profit p4: profit p5: profit p6: profit p7: profit p8: profit } } } } }"""

    assert (await client.execute_raw(document, first=100)).codes == ["QUERY_TOO_COMPLEX"]
    assert (await client.execute_raw(document, first=10)).codes == []


async def test_values_may_not_nest_without_end(client: Client) -> None:
    where: dict[str, Any] = {}
    for _ in range(100):
        where = {"not": where}
    document = "query ($where: StoreWhere) { stores(where: $where) { totalCount } }"

    assert (await client.execute_raw(document, where=where)).codes == ["QUERY_TOO_COMPLEX"]
    assert (await client.execute_raw(document, where={"not": {"not": {}}})).codes == []


async def test_values_may_not_be_too_many(client: Client) -> None:
    document = "query ($where: StoreWhere) { stores(where: $where) { totalCount } }"
    many = {"or": [{"number": {"eq": number}} for number in range(20_000)]}

    refused = await client.execute_raw(document, where=many)

    assert refused.codes == ["QUERY_TOO_COMPLEX"]
    assert "12,000" in refused.errors[0]["message"]
    numbers = {"and": [{"number": {"in": list(range(1_000))}}] * 10}
    assert (await client.execute_raw(document, where=numbers)).codes == []


async def test_filters_may_not_nest_deeper_than_services_allow(client: Client) -> None:
    document = "{ stores(where: " + "{not: " * 12 + "{}" + "}" * 12 + ") { totalCount } }"

    response = await client.execute_raw(document)

    assert response.codes == ["QUERY_TOO_COMPLEX"]


def test_cycles_of_fragments_end(schema: ApiSchema) -> None:
    document = "{ stores { nodes { ...A } } } fragment A on Store { ...B } fragment B on Store { name ...A }"

    assert codes(schema, document) == {"GRAPHQL_VALIDATION_FAILED"}


@given(st.text(alphabet='{}()[]:$!.@"#,a1 \n\\'), st.integers(0, 60))
def test_no_document_brings_the_preparation_down(schema: ApiSchema, text: str, position: int) -> None:
    document = LINES_OF_INVOICES[:position] + text + LINES_OF_INVOICES[position:]

    prepared = prepare_document(schema._schema, document)  # noqa: SLF001 - as above

    assert all("code" in (error.extensions or {}) for error in prepared.errors)
