"""One schema for all tests; a client on each test's own database."""

from pathlib import Path
from typing import Any

import pytest

from graphql_api.database.engine import Database
from graphql_api.schema.context import Services
from graphql_api.schema.root import ApiSchema, build_schema
from graphql_api.services.policy import Viewer
from graphql_api.services.storage import FileStorage
from tests.client import ADMIN, Client, create_services, schema_client
from tests.schema.listening import Listen, Listener, listen
from tests.schema.people import ClientOf


@pytest.fixture(scope="session")
def schema() -> ApiSchema:
    """The schema as the server offers it."""
    return build_schema()


@pytest.fixture
def storage(tmp_path: Path) -> FileStorage:
    """A folder for uploads of this test's own."""
    return FileStorage(str(tmp_path / "storage"))


@pytest.fixture
def services(database: Database, storage: FileStorage) -> Services:
    """What operations share, on this test's own database."""
    return create_services(database, storage)


@pytest.fixture
def client(schema: ApiSchema, services: Services) -> Client:
    """A client on this test's own database; who asks is an administrator."""
    return schema_client(schema, services)


@pytest.fixture
def client_of(schema: ApiSchema, services: Services) -> ClientOf:
    """Makes clients of anybody on this test's own database."""
    return lambda viewer: schema_client(schema, services, viewer)


@pytest.fixture
def hear(schema: ApiSchema, services: Services) -> Listen:
    """Subscribes on this test's own database; who listens is an administrator unless somebody else is given."""

    async def subscribe(document: str, viewer: Viewer | None = ADMIN, **variables: Any) -> Listener:
        return await listen(schema, services, document, viewer, **variables)

    return subscribe
