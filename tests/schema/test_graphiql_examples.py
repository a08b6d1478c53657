"""The example operations that GraphiQL opens with are questions this schema answers."""

import pytest
from graphql import GraphQLSchema, OperationType, get_operation_ast, parse, validate

from graphql_api.database.engine import Database
from graphql_api.schema.root import ApiSchema
from graphql_api.transport.graphiql_page import EXAMPLES
from tests.client import Client
from tests.factories import Line, create_invoice, create_product

FILES = sorted(EXAMPLES.glob("*.graphql"))


def documents(*kinds: OperationType) -> list[str]:
    """The examples of these kinds."""
    texts = [file.read_text(encoding="utf-8") for file in FILES]
    return [text for text in texts if (node := get_operation_ast(parse(text))) and node.operation in kinds]


def test_there_are_examples_to_read_and_to_listen() -> None:
    assert len(documents(OperationType.QUERY)) >= 3
    assert len(documents(OperationType.SUBSCRIPTION)) == 1


@pytest.mark.parametrize("document", documents(*OperationType), ids=[file.stem for file in FILES])
def test_an_example_fits_the_schema(schema: ApiSchema, document: str) -> None:
    core: GraphQLSchema = schema._schema  # noqa: SLF001 - Strawberry offers no other way to the graphql-core schema
    assert validate(core, parse(document)) == []


@pytest.mark.parametrize("document", documents(OperationType.QUERY))
async def test_a_query_is_answered(client: Client, database: Database, document: str) -> None:
    async with database.transaction() as session:
        await create_invoice(session, Line(await create_product(session)))

    assert await client.execute(document)
