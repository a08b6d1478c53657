import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    is_introspection_type,
    is_specified_scalar_type,
)

from graphql_api.schema.root import ApiSchema, print_sdl

COMMITTED = Path(__file__).parents[2] / "schema.graphql"


def test_the_committed_schema_is_the_schema() -> None:
    assert COMMITTED.read_text() == print_sdl()


def own_types(schema: ApiSchema) -> list[GraphQLNamedType]:
    types = schema._schema.type_map.values()  # noqa: SLF001 - Strawberry has no public name for it
    return [kind for kind in types if not is_introspection_type(kind) and not is_specified_scalar_type(kind)]


def described(kind: GraphQLNamedType) -> Iterator[tuple[str, str | None]]:
    """Every place of a type where a client looks for a description, and what stands there."""
    yield kind.name, kind.description
    if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
        for name, field in kind.fields.items():
            yield f"{kind.name}.{name}", field.description
            yield from (
                (f"{kind.name}.{name}({argument}:)", found.description) for argument, found in field.args.items()
            )
    if isinstance(kind, GraphQLInputObjectType):
        yield from ((f"{kind.name}.{name}", field.description) for name, field in kind.fields.items())
    if isinstance(kind, GraphQLEnumType):
        yield from ((f"{kind.name}.{name}", value.description) for name, value in kind.values.items())


def test_everything_a_client_can_see_is_described(schema: ApiSchema) -> None:
    places = dict(place for kind in own_types(schema) for place in described(kind))

    assert len(places) > 100
    assert [place for place, description in places.items() if not (description or "").strip()] == []


def test_every_scalar_of_ours_says_where_it_is_specified(schema: ApiSchema) -> None:
    scalars = [kind for kind in own_types(schema) if isinstance(kind, GraphQLScalarType) and kind.name != "Upload"]

    assert {scalar.name for scalar in scalars} >= {"Decimal", "Date", "Cursor", "BigInt"}
    assert all(scalar.specified_by_url for scalar in scalars)


def test_lists_have_the_names_clients_expect() -> None:
    sdl = print_sdl()

    for noun in ("Store", "Product", "Vendor", "Category", "County", "City", "Invoice", "InvoiceLine"):
        assert f"type {noun}Connection " in sdl
        assert f"type {noun}Edge " in sdl


@pytest.mark.parametrize("module", ["errors", "filters", "report_row", "report_input", "import_mutation", "enums"])
def test_the_schema_does_not_depend_on_what_is_imported_first(module: str) -> None:
    script = (
        f"import graphql_api.schema.{module}; from graphql_api.schema.root import print_sdl; print(print_sdl(), end='')"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout
    assert output == print_sdl()
