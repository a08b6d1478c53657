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


FIRST = ("errors", "filters", "report_row", "report_input", "import_mutation", "enums")
# What lies below the schema is loaded once; each module of the schema then comes first in a process of its own.
PRINT_ALL = """
import gc, os, sys
gc.disable()
import strawberry
import graphql_api.services.account, graphql_api.services.import_run, graphql_api.services.report
folder, *modules = sys.argv[1:]
assert not any(name.startswith("graphql_api.schema") for name in sys.modules)
for module in modules:
    child = os.fork()
    if not child:
        __import__("graphql_api.schema." + module)
        from graphql_api.schema.root import print_sdl
        with open(os.path.join(folder, module), "w") as file:
            file.write(print_sdl())
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, module
"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the schema as it is printed when a module was imported before all others."""
    folder = tmp_path_factory.mktemp("printed")
    subprocess.run([sys.executable, "-c", PRINT_ALL, str(folder), *FIRST], check=True)
    return folder


@pytest.mark.parametrize("module", FIRST)
def test_the_schema_does_not_depend_on_what_is_imported_first(printed: Path, module: str) -> None:
    assert (printed / module).read_text() == print_sdl()
