"""The example operations that GraphiQL opens with are questions this schema answers."""

import pytest
from graphql import GraphQLSchema, parse, validate

from graphql_api.database.engine import Database
from graphql_api.schema.root import ApiSchema
from graphql_api.transport.graphiql_page import EXAMPLES
from tests.client import Client
from tests.factories import Line, create_invoice, create_product

FILES = sorted(EXAMPLES.glob("*.graphql"))
NAMES = [file.stem for file in FILES]


def test_there_are_examples() -> None:
    assert len(FILES) >= 3


@pytest.mark.parametrize("document", [file.read_text(encoding="utf-8") for file in FILES], ids=NAMES)
async def test_an_example_is_answered(client: Client, schema: ApiSchema, database: Database, document: str) -> None:
    async with database.transaction() as session:
        await create_invoice(session, Line(await create_product(session)))
    core: GraphQLSchema = schema._schema  # noqa: SLF001 - Strawberry offers no other way to the graphql-core schema
    assert validate(core, parse(document)) == []
    assert await client.execute(document)
