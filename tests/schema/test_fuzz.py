"""Documents made up from the schema itself, valid and slightly wrong: each gets an answer or a refusal with a code."""

import os
import re
import time
from collections import Counter
from random import Random
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

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.schema.root import ApiSchema
from graphql_api.services.policy import Viewer
from tests.dice import AT_RANDOM
from tests.factories import create_session, create_user
from tests.schema.people import ClientOf
from tests.services.test_report import create_sales

DOCUMENTS = int(os.environ.get("FUZZ_DOCUMENTS", "250"))
DEPTH = 4
EXAMINED = 400
# Of this process's own time; a statement that takes too long has a code that is not among these.
ANSWER_SECONDS = 15.0
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


def some(chance: Random, names: list[str], least: int, most: int) -> list[str]:
    """Some of the names, none twice."""
    return chance.sample(names, min(len(names), chance.randint(least, most)))


def value(chance: Random, kind: GraphQLInputType, depth: int = DEPTH) -> str:
    """A literal of this input type; now and then one that does not fit."""
    if not chance.randrange(60):
        return chance.choice(ODD)
    match kind:
        case GraphQLNonNull():
            return value(chance, kind.of_type, depth)
        case GraphQLList():
            items = range(chance.randint(0, 2))
            return f"[{', '.join(value(chance, kind.of_type, depth - 1) for _ in items)}]"
        case GraphQLInputObjectType():
            return input_object(chance, kind, depth)
        case GraphQLEnumType():
            return str(chance.choice(sorted(kind.values)))
    return chance.choice(VALUES[kind.name])


def input_object(chance: Random, kind: GraphQLInputObjectType, depth: int) -> str:
    optional = [name for name, field in kind.fields.items() if not is_required(field)]
    required = [name for name in kind.fields if name not in optional]
    least = int(kind.is_one_of)
    most = 1 if kind.is_one_of else 2
    chosen = some(chance, optional, least, most)
    if depth <= 0:
        chosen = [name for name in chosen if is_leaf_type(get_named_type(kind.fields[name].type))]
    given = ((name, value(chance, kind.fields[name].type, depth - 1)) for name in [*required, *chosen])
    return "{" + ", ".join(f"{name}: {literal}" for name, literal in given) + "}"


def is_required(argument: GraphQLArgument | GraphQLInputField) -> bool:
    return isinstance(argument.type, GraphQLNonNull) and argument.default_value is Undefined


def arguments(chance: Random, taken: dict[str, GraphQLArgument]) -> str:
    optional = [name for name, argument in taken.items() if not is_required(argument)]
    chosen = [name for name in taken if name not in optional]
    chosen += some(chance, optional, 0, 3)
    given = ", ".join(f"{name}: {value(chance, taken[name].type)}" for name in chosen)
    return f"({given})" if given else ""


def selection(chance: Random, schema: GraphQLSchema, kind: GraphQLOutputType, depth: int = DEPTH) -> str:
    """The fields below one of this type; nothing for a leaf."""
    named = get_named_type(kind)
    if is_leaf_type(named):
        return ""
    assert isinstance(named, GraphQLObjectType | GraphQLInterfaceType)
    names = some(chance, sorted(named.fields), 1, 3)
    fields = [field(chance, schema, named, name, depth) for name in names]
    return "{ " + " ".join(["__typename", *filter(None, fields)]) + " }"


def field(chance: Random, schema: GraphQLSchema, parent: Any, name: str, depth: int) -> str:
    definition = parent.fields[name]
    if depth <= 0 and not is_leaf_type(get_named_type(definition.type)):
        return ""
    below = selection(chance, schema, definition.type, depth - 1)
    return f"{name}{arguments(chance, definition.args)} {below}"


def document(chance: Random, schema: GraphQLSchema) -> str:
    """One operation with one or two root fields."""
    root = chance.choice([schema.query_type] * 9 + [schema.mutation_type])
    assert root is not None
    names = chance.choices(sorted(root.fields), k=chance.randint(1, 2))
    fields = [f"a{index}: {field(chance, schema, root, name, DEPTH)}" for index, name in enumerate(names)]
    kind = "query" if root is schema.query_type else "mutation"
    return f"{kind} {{ {' '.join(fields)} }}"


async def test_every_document_is_answered_or_refused_with_a_code(
    schema: ApiSchema, database: Database, client_of: ClientOf
) -> None:
    """Other documents each time; FUZZ_DOCUMENTS=5000 looks longer."""
    await create_sales(database)
    async with database.transaction() as session:
        user = await create_user(session, role=Role.ADMIN)
        client = client_of(Viewer(user.id, Role.ADMIN, (await create_session(session, user)).id))
    chance = Random(None if AT_RANDOM else DOCUMENTS)  # noqa: S311 - a failure shows its document
    for _ in range(DOCUMENTS):
        text = document(chance, schema._schema)  # noqa: SLF001 - Strawberry has no public name for it
        started = time.process_time()
        answer = await client.execute_raw(text)
        assert set(answer.codes) <= CODES, text
        assert time.process_time() - started < ANSWER_SECONDS, text


def test_the_documents_are_mostly_valid_and_reach_every_root_field(schema: ApiSchema) -> None:
    """What keeps the test above from looking at refusals only."""
    reached: Counter[str] = Counter()
    for seed in range(EXAMINED):
        text = document(Random(seed), schema._schema)  # noqa: S311, SLF001 - the same ones each time; as above
        if not schema.prepare(text).errors:
            reached.update(["valid", *re.findall(r"a\d: (\w+)", text)])

    assert reached["valid"] > EXAMINED / 4
    assert {"salesReport", "facets", "overview", "stores", "invoices", "node"} <= set(reached)
