"""The migrations build what the code expects, can be taken back, and can be done again."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment

from graphql_api.database import migrate
from graphql_api.database.engine import Database
from graphql_api.services.unit_of_work import JOB_SETTINGS
from tests.architecture.catalog import describe_database, describe_schema

JOBS_SCHEMA = Path(__file__).with_name("jobs_schema.txt")
# Jobs are never deleted, and these tables hold hundreds of rows: a revert may read them whole.
UNINDEXED = {f"{table}.import_id" for table in ("category", "county", "place", "product", "store", "vendor")}
FOREIGN_KEYS = """
SELECT c.conrelid::regclass::text AS "table", a.attname AS "column",
    EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1]
        AND coalesce(pg_get_expr(i.indpred, i.indrelid) = format('(%s IS NOT NULL)', a.attname), true))
    AS is_indexed
FROM pg_constraint c JOIN pg_attribute a ON (a.attrelid, a.attnum) = (c.conrelid, c.conkey[1])
WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace
"""


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def test_tables_and_migrations_agree(database: Database) -> None:
    await migrate.check(database)


async def test_down_leaves_nothing_and_up_again_the_same(database: Database, connection: asyncpg.Connection) -> None:
    before = await describe_database(connection)
    assert len(before) > 100
    await migrate.downgrade(database, "base")
    assert await describe_database(connection) == []
    await migrate.upgrade(database)
    assert await describe_database(connection) == before


async def test_every_foreign_key_has_an_index(connection: asyncpg.Connection) -> None:
    keys = await connection.fetch(FOREIGN_KEYS)
    bare = {f"{key['table']}.{key['column']}" for key in keys if not key["is_indexed"]}
    assert len(keys) > 10
    assert bare == UNINDEXED


async def test_the_job_engine_is_the_one_the_migrations_know(connection: asyncpg.Connection) -> None:
    """A newer job engine with other tables needs a migration; then renew the file with what this prints."""
    found = await describe_schema(connection, "jobs")
    assert "\n".join(found).split("\n") == JOBS_SCHEMA.read_text().rstrip("\n").split("\n")


async def test_a_fresh_job_engine_has_the_same_tables(connection: asyncpg.Connection) -> None:
    migrated = await describe_schema(connection, "jobs")
    await connection.execute("DROP SCHEMA jobs CASCADE")
    await connection.execute(QueryBuilderEnvironment(JOB_SETTINGS).build_install_query())
    assert await describe_schema(connection, "jobs") == migrated
