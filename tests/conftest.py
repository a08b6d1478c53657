"""One PostgreSQL and one Valkey for the whole run; one cloned database for each test that asks."""

import asyncio
import gc
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import asyncpg
import pytest
from redis import Redis

from graphql_api import embedded
from graphql_api.database import migrate
from graphql_api.database.engine import Database

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own in it, with a name of this run's own
MEMORY_NEEDED = 4 << 30


def pytest_configure() -> None:
    """While modules are loaded nothing dies: looking for garbage would take a fifth of the time."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Nor do the modules die later: what there is now is never looked at again."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a PostgreSQL server: TEST_DATABASE_URL, or one of our own for this run."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
        return
    folder = _shared_folder(tmp_path_factory)
    with embedded.start(folder, valkey=False) as servers:
        yield servers.database_url
    # another test process may still use it, and removes it later
    with suppress(embedded.EmbeddedServerError, OSError):
        embedded.remove(folder)
        folder.rmdir()


def _shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all parallel test processes of a run, so that they share one server."""
    base = tmp_path_factory.getbasetemp()
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    # a cloned database is hundreds of small files: in memory that takes a tenth of the time
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= MEMORY_NEEDED:
        return MEMORY / f"graphql-api-{sha256(bytes(run)).hexdigest()[:16]}"
    return run / "servers"


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Valkey of this run's own."""
    folder = tmp_path_factory.mktemp("valkey")
    with embedded.start(folder, postgres=False) as servers:
        yield servers.redis_url
    embedded.remove(folder)


@pytest.fixture
def redis_url(valkey_url: str) -> str:
    """URL of a Valkey that is empty when the test begins."""
    with Redis.from_url(valkey_url) as redis:
        redis.flushall()
    return valkey_url


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def with_database(url: str, name: str) -> str:
    """`url` with another database name."""
    return f"{url.rsplit('/', 1)[0]}/{name}"


@pytest.fixture(scope="session")
def template_name(server_url: str) -> Iterator[str]:
    """A database built by the migrations, to be cloned (a few milliseconds each)."""
    name = f"template_{uuid.uuid4().hex[:12]}"

    async def build() -> None:
        await _execute(server_url, f'CREATE DATABASE "{name}"')
        database = Database(with_database(server_url, name))
        await migrate.upgrade(database)
        await database.close()

    asyncio.run(build())
    yield name
    asyncio.run(_execute(server_url, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
async def database_url(server_url: str, template_name: str) -> AsyncIterator[str]:
    """URL of a migrated, empty database of this test's own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    await _execute(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template_name}" STRATEGY FILE_COPY')
    yield with_database(server_url, name)
    await _execute(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The program's view of this test's own database."""
    database = Database(database_url)
    yield database
    await database.close()
