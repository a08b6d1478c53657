"""The commands as processes, on servers that they start themselves."""

import asyncio
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import asyncpg
import httpx

from graphql_api import embedded
from graphql_api.database.engine import Database
from graphql_api.imports.run import WRITE_LOCK
from tests.cli.conftest import ADMIN, Installation, last_json, served_url, sign_in, stop
from tests.cli.held_line import HeldLine
from tests.proxy import proxied
from tests.sales_files import many_sales, sales_csv
from tests.transport.test_upload import MAP, OPERATIONS, PREFLIGHT

PATIENCE_SECONDS = 120.0
IMPORTS = "{ imports(first: 1) { nodes { status rowsRead rowsInserted } } }"


def write_sales(folder: Path, count: int, name: str = "sales.csv") -> Path:
    path = folder / name
    path.write_bytes(sales_csv(many_sales(count)))
    return path


def latest_import(url: str, header: dict[str, str]) -> dict[str, Any]:
    answer = httpx.post(url, json={"query": IMPORTS}, headers=header, timeout=PATIENCE_SECONDS).json()
    nodes: list[dict[str, Any]] = answer["data"]["imports"]["nodes"]
    return nodes[0]


def readiness(url: str) -> httpx.Response:
    return httpx.get(url.replace("/graphql", "/health/ready"), timeout=PATIENCE_SECONDS)


def test_serve_import_and_stop_on_servers_of_our_own(installation: Installation) -> None:
    # given a file that was imported before any server ran
    path = write_sales(installation.folder, 200)
    first = installation.run_from_nothing("import", str(path), "--json")
    assert (first.returncode, first.stdout.count("\n")) == (0, 1), first.stderr
    result = last_json(first.stdout)
    assert (result["status"], result["rowsInserted"], result["rowsRejected"]) == ("COMPLETED", 200, 0)

    # when the server starts, and somebody makes an account
    process = installation.start_from_nothing("serve", "--port", "0")
    url = served_url(process)
    assert installation.run("create-admin", **ADMIN).returncode == 0

    # then it is ready, as soon as all have answered in time, and knows the rows
    wait_until(lambda: readiness(url).json()["status"] == "ready")
    assert "server" not in readiness(url).headers
    assert latest_import(url, sign_in(url))["rowsInserted"] == 200

    # and the same file again, beside the server, changes nothing
    second = installation.run("import", str(path), "--json")
    result = last_json(second.stdout)
    assert (second.returncode, result["rowsInserted"], result["rowsUnchanged"]) == (0, 0, 200)

    # and it stops in good order
    code, errors = stop(process)
    assert (code, errors) == (0, "")


def test_a_running_import_survives_the_stop_of_the_server(installation: Installation) -> None:
    # given a server in the middle of an import
    count = 20_000
    content = write_sales(installation.folder, count).read_bytes()
    assert installation.run("create-admin", **ADMIN).returncode == 0
    process = installation.start("serve", "--port", "0")
    url = served_url(process)
    header = sign_in(url)
    files: dict[str, tuple[str | None, str | bytes]] = {
        "operations": (None, OPERATIONS),
        "map": (None, MAP),
        "0": ("sales.csv", content),
    }
    with embedded.start(installation.folder / "var") as servers, nothing_imported(servers.database_url):
        started = httpx.post(url, files=files, headers={**PREFLIGHT, **header}, timeout=PATIENCE_SECONDS)
        assert started.json()["data"]["startImport"]["userErrors"] == []
        wait_until(lambda: latest_import(url, header)["status"] == "RUNNING")

        # when it is stopped, then it does not wait for the import, which gets no further
        assert stop(process)[0] == 0

    # and the next server brings the import to its end, for the same token
    process = installation.start("serve", "--port", "0", "--workers", "2")
    url = served_url(process)
    wait_until(lambda: latest_import(url, header)["status"] not in {"QUEUED", "RUNNING"})
    assert latest_import(url, header) == {"status": "COMPLETED", "rowsRead": count, "rowsInserted": count}
    assert stop(process)[0] == 0


@contextmanager
def nothing_imported(database_url: str) -> Iterator[None]:
    """No import writes a block while this lasts."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(database_url))
        try:
            runner.run(connection.execute("SELECT pg_advisory_lock($1)", WRITE_LOCK))
            yield
        finally:
            runner.run(connection.close())


def wait_until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


async def test_ctrl_c_cancels_an_import_and_takes_it_back(
    installation: Installation, database: Database, redis_url: str
) -> None:
    # given an import that has begun to write, and has not come to its end
    path = write_sales(installation.folder, 20_000)
    async with proxied(database.url, HeldLine) as (line, url), database.dedicated() as connection:
        process = installation.start("import", str(path), "--json", DATABASE_URL=url, REDIS_URL=redis_url)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await line.is_held.wait()
            assert await connection.fetchval("SELECT count(*) FROM invoice_line") > 0

            # when the user presses Ctrl-C
            process.send_signal(signal.SIGINT)
            while await connection.fetchval("SELECT status FROM import_job") != "CANCELLING":  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)
        line.may_go_on.set()
        output, errors = await asyncio.to_thread(process.communicate, timeout=PATIENCE_SECONDS)

        # then it says so, and nothing of it remains
        assert process.returncode == 130, errors
        assert "Cancelling" in errors
        assert last_json(output)["status"] == "CANCELLED"
        assert await connection.fetchval("SELECT count(*) FROM invoice_line") == 0


def test_an_unknown_setting_ends_with_its_name(installation: Installation) -> None:
    (installation.folder / ".env").write_text("DATABSE_URL=postgresql://x\n")

    result = installation.run("serve")

    assert result.returncode == 2
    assert result.stderr.startswith("Error: DATABSE_URL in line 1 of .env is not a setting.")
    assert "Traceback" not in result.stderr


def test_a_port_in_use_ends_with_what_to_do(installation: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = installation.run("serve", "--port", str(taken.getsockname()[1]))

    assert result.returncode == 1
    assert "--port" in result.stderr
    assert not (installation.folder / "var").exists()


def test_an_unreachable_database_ends_with_its_address_and_without_its_password(installation: Installation) -> None:
    url = "postgresql://someone:secret@127.0.0.1:1/x"

    result = installation.run("serve", "--port", "0", DATABASE_URL=url, REDIS_URL="redis://127.0.0.1:1")

    assert result.returncode == 1
    assert "PostgreSQL at 127.0.0.1:1" in result.stderr
    assert "secret" not in result.stderr
    assert "Traceback" not in result.stderr


def test_debug_shows_where_an_error_arose(installation: Installation) -> None:
    result = installation.run("--debug", "migrate", DATABASE_URL="postgresql://127.0.0.1:1/x", REDIS_URL="redis://x")

    assert result.returncode == 1
    assert "Traceback" in result.stderr


async def test_the_worker_runs_until_it_is_told_to_stop(
    installation: Installation, database_url: str, redis_url: str
) -> None:
    process = installation.start_from_nothing("worker", DATABASE_URL=database_url, REDIS_URL=redis_url)
    first_line = await asyncio.to_thread(cast("IO[str]", process.stdout).readline)

    code, errors = stop(process)

    assert first_line == "The worker waits for jobs.\n"
    assert (code, errors) == (0, "")
