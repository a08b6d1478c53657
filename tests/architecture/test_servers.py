"""The whole works on every PostgreSQL found here: our own always, and the system's when it is installed."""

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import asyncpg
import pytest

from graphql_api import embedded
from graphql_api.database import migrate
from graphql_api.database.engine import Database
from graphql_api.embedded.account import Account, hand_over, server_account
from graphql_api.reports.dimensions import Dimension
from graphql_api.reports.question import SalesQuestion
from graphql_api.services.report import sales_report
from tests.conftest import with_database
from tests.ports import kept_port
from tests.sales_files import sale, sales_csv
from tests.services.import_case import ImportCase, counts

OLDEST_VERSION = 15
PATIENCE_SECONDS = "300"
OWN = "our own"
INSTALLED = sorted(folder for folder in Path("/usr/lib/postgresql").glob("*/bin") if (folder / "initdb").exists())


@pytest.fixture(params=[OWN, *INSTALLED], ids=str)
def any_server_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == OWN:
        with embedded.start(tmp_path, valkey=False) as servers:
            yield servers.database_url
        return
    with installed_server(request.param) as url:
        yield url


@contextmanager
def installed_server(programs: Path) -> Iterator[str]:
    """A server of the system's PostgreSQL with its data in a folder that goes when it stops."""
    account = server_account(None)
    # not `tmp_path`: only its owner may enter the folders above it
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    hand_over(folder, account)
    data = f"--pgdata={folder}/data"
    try:
        run(account, programs / "initdb", data, "--auth=trust", "--username=postgres", "--no-sync")
        with kept_port() as port:
            options = f"--options=-p {port} -c listen_addresses=127.0.0.1 -k {folder}"
            run(account, programs / "pg_ctl", "start", "--wait", data, options)
            try:
                yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
            finally:
                run(account, programs / "pg_ctl", "stop", "--wait", data, "--mode=fast")
    finally:
        shutil.rmtree(folder)


def run(account: Account | None, *command: str | Path) -> None:
    user, group = account or (None, None)
    environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", "PGCTLTIMEOUT": PATIENCE_SECONDS}
    # no pipes: the server would hold their other end for as long as it runs
    subprocess.run(command, user=user, group=group, cwd="/", env=environment, stdout=subprocess.DEVNULL, check=True)


async def create_database(server_url: str) -> str:
    name = f"everything_{uuid.uuid4().hex[:8]}"
    connection = await asyncpg.connect(server_url)
    await connection.execute(f"CREATE DATABASE {name}")
    assert connection.get_server_version().major >= OLDEST_VERSION
    await connection.close()
    return with_database(server_url, name)


async def test_migrations_an_import_and_a_report(any_server_url: str, tmp_path: Path) -> None:
    # given a database built by the migrations
    database = Database(await create_database(any_server_url))
    await migrate.upgrade(database)
    await migrate.check(database)
    # when a file is imported, twice
    content = sales_csv([sale("S1000001"), sale("S1000002", county="POLK", county_number="77", city="Ankeny")])
    case = ImportCase(database, tmp_path)
    first, second = await case.load(content), await case.load(content)
    # then it is there once
    assert (counts(first), counts(second)) == ((2, 2, 0, 0, 0), (2, 0, 0, 2, 0))
    async with database.read() as session:
        report = await sales_report(session, SalesQuestion(group_by=(Dimension.COUNTY,)))
    assert sorted(str(row.names[0]) for row in report.rows) == ["LINN", "POLK"]
    assert Decimal(report.grand_total.revenue) / 100 == Decimal("57.00")
    # and the migrations can be taken back
    await migrate.downgrade(database, "base")
    await database.close()
