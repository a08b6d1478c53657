"""The operations in the examples for clients fit the schema, in whatever language the client is written."""

import re
from pathlib import Path

import pytest
from graphql import GraphQLSchema, build_schema, parse, validate

from tests.architecture.repository import ROOT

EXAMPLES = ROOT / "client_examples"
# How each language marks a text as GraphQL.
MARKED = {
    ".py": re.compile(r'\bgql\("""(.*?)"""\)', re.DOTALL),
    ".ts": re.compile(r"/\* GraphQL \*/ `([^`]*)`"),
}
# What an operation begins with, marked or not.
BEGINNING = re.compile(r"^\s*(query|mutation|subscription)\b[^\n]*\{", re.MULTILINE)
FILES = sorted(path for path in EXAMPLES.iterdir() if path.suffix in MARKED)


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema((ROOT / "schema.graphql").read_text(encoding="utf-8"))


def operations(path: Path) -> list[str]:
    return MARKED[path.suffix].findall(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_operation_fits_the_schema(path: Path, schema: GraphQLSchema) -> None:
    problems = [error for operation in operations(path) for error in validate(schema, parse(operation))]

    assert problems == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_operation_is_overlooked(path: Path) -> None:
    found = operations(path)

    assert len(found) == len(BEGINNING.findall(path.read_text(encoding="utf-8"))) > 0


def test_there_is_an_example_in_each_language() -> None:
    assert {path.suffix for path in FILES} == set(MARKED)
