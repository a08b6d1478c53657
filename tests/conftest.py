"""One PostgreSQL and one Valkey for the whole run; one cloned database for each test that asks."""

import asyncio
import datetime as dt
import gc
import os
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import asyncpg
import pytest
import time_machine
from hypothesis import HealthCheck, settings
from redis import Redis

from graphql_api import embedded
from graphql_api.database import migrate
from graphql_api.database.engine import Database
from graphql_api.embedded import postgres
from graphql_api.embedded.memory import GIBIBYTE
from tests.days import TODAY, seconds_to_midnight
from tests.dice import AT_RANDOM

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own in it, with a name of this run's own
MEMORY_NEEDED = 4 << 30
# What a test that speaks of today may take.
BEFORE_MIDNIGHT = 60.0
PATIENCE_SECONDS = 60
USERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'"
# How long an example takes says how busy the machine is, and nothing about what is tested. Examples are the same each
# time unless others are asked for: a change answers for its own faults, not for what dice find.
settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=not AT_RANDOM
)
settings.load_profile("unhurried")


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
    with _started_for_tests(folder) as servers:
        yield servers.database_url
    # another test process may still use it, and removes it later
    with suppress(embedded.EmbeddedServerError, OSError):
        embedded.remove(folder)
        folder.rmdir()


def _started_for_tests(folder: Path) -> embedded.Embedded:
    """A server for many small databases: for each that comes or goes it looks through all its buffers and files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres, "available_memory", lambda: GIBIBYTE)
        # each copy needs a checkpoint, after which every page would be written whole
        for option in ("fsync", "full_page_writes"):
            patch.setitem(postgres.DURABLE_OPTIONS, option, "off")
        return embedded.start(folder, valkey=False)


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


def with_database(url: str, name: str) -> str:
    """`url` with another database name."""
    return f"{url.rsplit('/', 1)[0]}/{name}"


@pytest.fixture
def not_at_midnight() -> None:
    """Today stays today while the test runs: shortly before midnight it is waited for."""
    wait_for_midnight()


def wait_for_midnight() -> None:
    """Return when the next midnight is far, or just past."""
    if (left := seconds_to_midnight()) < BEFORE_MIDNIGHT:
        time.sleep(left)


@pytest.fixture
def steady_day() -> Iterator[None]:
    """The day that `tests.days` counts from is still the day of this process, if no longer that of the database."""
    wait_for_midnight()
    if dt.datetime.now(dt.UTC).date() == TODAY:
        yield
        return
    with time_machine.travel(dt.datetime.combine(TODAY, dt.time(12), dt.UTC), tick=True):
        yield


class Databases:
    """Makes and removes databases, over one connection: a new one costs PostgreSQL a third of what a clone costs."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        # not that of any test: those end with their tests
        self._loop = asyncio.new_event_loop()
        self._connection: asyncpg.Connection | None = None

    @contextmanager
    def cloned(self, template: str) -> Iterator[str]:
        """The name of a copy of this database, which nobody may use meanwhile; the copy goes with the block."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        try:
            yield name
        finally:
            self.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    @contextmanager
    def filled(self, template: str, fill: Callable[[Database], Awaitable[object]]) -> Iterator[str]:
        """The name of a copy with something in it, to be cloned in its turn."""

        async def open_and_fill() -> None:
            database = Database(self.url(name))
            await fill(database)
            await database.close()

        with self.cloned(template) as name:
            self._loop.run_until_complete(open_and_fill())
            self.wait_until_left(name)
            yield name

    def url(self, name: str) -> str:
        """The URL of a database."""
        return with_database(self._server_url, name)

    def execute(self, statement: str) -> None:
        """Execute a statement that stands in no transaction."""
        self._loop.run_until_complete(self._execute(statement))

    def wait_until_left(self, name: str) -> None:
        """Wait until nobody is in a database: who has hung up still is for a moment, and a copy waits 5 s for that."""
        self._loop.run_until_complete(self._wait_until_left(name))

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._loop.run_until_complete(self._connection.close())
        self._loop.close()

    async def _execute(self, statement: str) -> None:
        connection = await self._connected()
        await connection.execute(statement)

    async def _wait_until_left(self, name: str) -> None:
        connection = await self._connected()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await connection.fetchval(USERS, name):  # noqa: ASYNC110 - another process has no event
                await asyncio.sleep(0.01)

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self._server_url)
        return self._connection


@pytest.fixture(scope="session")
def databases(server_url: str) -> Iterator[Databases]:
    """The databases of this run."""
    with closing(Databases(server_url)) as databases:
        yield databases


@pytest.fixture(scope="session")
def template_name(databases: Databases) -> Iterator[str]:
    """A database built by the migrations, to be cloned; a module may have one with more in it."""
    name = f"template_{uuid.uuid4().hex[:12]}"

    async def build() -> None:
        database = Database(databases.url(name))
        await migrate.upgrade(database)
        await database.close()

    databases.execute(f'CREATE DATABASE "{name}"')
    asyncio.run(build())
    databases.wait_until_left(name)
    yield name
    databases.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def database_url(databases: Databases, template_name: str) -> Iterator[str]:
    """URL of a database of this test's own: migrated, and empty unless its module has another template."""
    with databases.cloned(template_name) as name:
        yield databases.url(name)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The program's view of this test's own database."""
    database = Database(database_url)
    yield database
    await database.close()
