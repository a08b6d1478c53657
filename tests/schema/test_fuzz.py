"""Documents made up from the schema itself, valid and slightly wrong: each gets an answer or a refusal with a code."""

import asyncio
import os
import re
import time
from collections import Counter
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    Undefined,
    get_named_type,
    is_leaf_type,
)
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from graphql_api.database.engine import Database
from graphql_api.schema.root import ApiSchema
from graphql_api.services.storage import FileStorage
from tests.client import create_services, schema_client
from tests.services.test_report import create_sales

DOCUMENTS = int(os.environ.get("FUZZ_DOCUMENTS", "250"))
DEPTH = 4
ANSWER_SECONDS = 5.0
# Everything a client can be told, but that something broke, was away or took too long.
CODES = {
    "BAD_USER_INPUT",
    "GRAPHQL_VALIDATION_FAILED",
    "GRAPHQL_PARSE_FAILED",
    "NOT_FOUND",
    "CONFLICT",
    "QUERY_TOO_COMPLEX",
    "UNAUTHENTICATED",
    "RATE_LIMITED",
}

# Values at the limits of what each scalar takes, and a few beyond.
VALUES: dict[str, list[str]] = {
    "Int": ["0", "1", "3", "-1", "100", "1001", "2147483647", "2147483648"],
    "Float": ["0.5", "1e308"],
    "Boolean": ["true", "false"],
    "String": ['""', '"POLK"', '"%_"', '"12"', '"\\u0000"', '"\\ud800"', '"\U0001f600 İ"', f'"{"x" * 300}"'],
    "ID": ['"x"', '""', "5", '"U3RvcmU6MQ=="', '"SW52b2ljZTox"', '"SW1wb3J0OjE="'],
    "Date": ['"2024-01-10"', '"2024-02-29"', '"0001-01-01"', '"9999-12-31"', '"2023-02-29"', '"yesterday"'],
    "DateTime": ['"2024-01-10T00:00:00Z"', '"0001-01-01T00:00:00+14:00"'],
    "Decimal": ['"0"', "12.5", '"-0.01"', '"1e30"', '"NaN"', '"Infinity"', '"1e-30"', "99999999999999999999"],
    "BigInt": ["0", "9007199254740991", "9007199254740992"],
    "Cursor": ['"x"', '""', '"WzEsIi1ub3BlIixbMV1d"'],
    "Upload": ["null", '"x"'],
}
ODD = ["null", "[]", "{}", "NOPE", '"x"', "1.5", "$nope", "[[1]]"]


def value(draw: st.DrawFn, kind: GraphQLInputType, depth: int = DEPTH) -> str:
    """A literal of this input type; now and then one that does not fit."""
    if draw(st.integers(0, 60)) == 0:
        return str(draw(st.sampled_from(ODD)))
    match kind:
        case GraphQLNonNull():
            return value(draw, kind.of_type, depth)
        case GraphQLList():
            items = range(draw(st.integers(0, 2)))
            return f"[{', '.join(value(draw, kind.of_type, depth - 1) for _ in items)}]"
        case GraphQLInputObjectType():
            return input_object(draw, kind, depth)
        case GraphQLEnumType():
            return str(draw(st.sampled_from(sorted(kind.values))))
    return str(draw(st.sampled_from(VALUES[kind.name])))


def input_object(draw: st.DrawFn, kind: GraphQLInputObjectType, depth: int) -> str:
    optional = [name for name, field in kind.fields.items() if not is_required(field)]
    required = [name for name in kind.fields if name not in optional]
    least = int(kind.is_one_of)
    most = 1 if kind.is_one_of else 2
    chosen = draw(st.lists(st.sampled_from(optional), unique=True, min_size=least, max_size=most)) if optional else []
    if depth <= 0:
        chosen = [name for name in chosen if is_leaf_type(get_named_type(kind.fields[name].type))]
    given = ((name, value(draw, kind.fields[name].type, depth - 1)) for name in [*required, *chosen])
    return "{" + ", ".join(f"{name}: {literal}" for name, literal in given) + "}"


def is_required(argument: GraphQLArgument | GraphQLInputField) -> bool:
    return isinstance(argument.type, GraphQLNonNull) and argument.default_value is Undefined


def arguments(draw: st.DrawFn, taken: dict[str, GraphQLArgument]) -> str:
    optional = [name for name, argument in taken.items() if not is_required(argument)]
    chosen = [name for name in taken if name not in optional]
    if optional:
        chosen += draw(st.lists(st.sampled_from(optional), unique=True, max_size=3))
    given = ", ".join(f"{name}: {value(draw, taken[name].type)}" for name in chosen)
    return f"({given})" if given else ""


def selection(draw: st.DrawFn, schema: GraphQLSchema, kind: GraphQLOutputType, depth: int = DEPTH) -> str:
    """The fields below one of this type; nothing for a leaf."""
    named = get_named_type(kind)
    if is_leaf_type(named):
        return ""
    assert isinstance(named, GraphQLObjectType | GraphQLInterfaceType)
    names = draw(st.lists(st.sampled_from(sorted(named.fields)), min_size=1, max_size=3, unique=True))
    fields = [field(draw, schema, named, name, depth) for name in names]
    return "{ " + " ".join(["__typename", *filter(None, fields)]) + " }"


def field(draw: st.DrawFn, schema: GraphQLSchema, parent: Any, name: str, depth: int) -> str:
    definition = parent.fields[name]
    if depth <= 0 and not is_leaf_type(get_named_type(definition.type)):
        return ""
    below = selection(draw, schema, definition.type, depth - 1)
    return f"{name}{arguments(draw, definition.args)} {below}"


@st.composite
def documents(draw: st.DrawFn, schema: GraphQLSchema) -> str:
    """One operation with one or two root fields."""
    root = draw(st.sampled_from([schema.query_type] * 9 + [schema.mutation_type]))
    assert root is not None
    names = draw(st.lists(st.sampled_from(sorted(root.fields)), min_size=1, max_size=2))
    fields = [f"a{index}: {field(draw, schema, root, name, DEPTH)}" for index, name in enumerate(names)]
    kind = "query" if root is schema.query_type else "mutation"
    return f"{kind} {{ {' '.join(fields)} }}"


def test_every_document_is_answered_or_refused_with_a_code(
    schema: ApiSchema, database_url: str, storage: FileStorage
) -> None:
    """Other documents each time; Hypothesis prints how to see a failure again. FUZZ_DOCUMENTS=5000 looks longer."""
    with asyncio.Runner() as runner:
        database = Database(database_url)
        client = schema_client(schema, create_services(database, storage))
        runner.run(create_sales(database))

        @settings(
            max_examples=DOCUMENTS,
            deadline=None,
            database=None,
            print_blob=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(documents(schema._schema))  # noqa: SLF001 - Strawberry has no public name for it
        def examine(document: str) -> None:
            started = time.monotonic()
            answer = runner.run(client.execute_raw(document))
            assert set(answer.codes) <= CODES, document
            assert time.monotonic() - started < ANSWER_SECONDS, document

        try:
            examine()
        finally:
            runner.run(database.close())


def test_the_documents_are_mostly_valid_and_reach_every_root_field(schema: ApiSchema) -> None:
    """What keeps the test above from looking at refusals only."""
    reached: Counter[str] = Counter()

    @settings(max_examples=500, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
    @given(documents(schema._schema))  # noqa: SLF001 - as above
    def count(document: str) -> None:
        reached["all"] += 1
        if not schema.prepare(document).errors:
            reached.update(["valid", *re.findall(r"a\d: (\w+)", document)])

    count()

    assert reached["valid"] > reached["all"] / 4
    assert {"salesReport", "facets", "overview", "stores", "invoices", "node"} <= set(reached)
