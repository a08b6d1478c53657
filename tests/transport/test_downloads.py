"""The rejected rows as a file."""

import asyncio
import csv
import io
import socket
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from graphql_api.config import Settings
from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.schema.node import global_id
from tests.sales_files import HEADER, sale, sales_csv
from tests.services.import_case import ImportCase
from tests.transport.conftest import authorization, create_viewer


async def create_import_with_rejects(database: Database, folder: Path) -> int:
    rows = [sale("INV-00000100001"), sale("INV-00000100002", date="nonsense"), sale("INV-00000100003")]
    job = await ImportCase(database, folder).load(sales_csv(rows))
    return job.id


@pytest.mark.parametrize("is_global", [False, True])
async def test_the_rejected_rows_come_as_a_file(
    http: httpx.AsyncClient,
    database: Database,
    tmp_path: Path,
    is_global: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    import_id = await create_import_with_rejects(database, tmp_path)

    response = await http.get(f"/imports/{global_id('Import', import_id) if is_global else import_id}/rejects.csv")

    assert response.status_code == 200
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == f'attachment; filename="import-{import_id}-rejects.csv"'
    header, *rows = csv.reader(io.StringIO(response.text))
    assert header[: len(HEADER)] == list(HEADER)
    (row,) = rows
    assert row[:2] == ["INV-00000100002", "nonsense"]
    assert "BAD_DATE" in row[len(HEADER) :]


LINK = "query ($id: ID!) { import(id: $id) { rejectsUrl } }"


async def test_a_link_opens_without_a_header(
    http: httpx.AsyncClient, stranger: httpx.AsyncClient, database: Database, tmp_path: Path
) -> None:
    # given the link that somebody gets who may see the import
    import_id = global_id("Import", await create_import_with_rejects(database, tmp_path))
    answer = await http.post("/graphql", json={"query": LINK, "variables": {"id": import_id}})
    link = answer.json()["data"]["import"]["rejectsUrl"]

    # when a browser follows it
    response = await stranger.get(link)

    # then it gets the file; and the link is good for no other import
    assert response.status_code == 200
    assert "BAD_DATE" in response.text
    other = link.replace(import_id, global_id("Import", 999))
    assert refusal(await stranger.get(other)) == (401, "UNAUTHENTICATED")


async def test_a_link_is_worthless_once_its_session_has_ended(
    http: httpx.AsyncClient, stranger: httpx.AsyncClient, database: Database, tmp_path: Path
) -> None:
    import_id = global_id("Import", await create_import_with_rejects(database, tmp_path))
    answer = await http.post("/graphql", json={"query": LINK, "variables": {"id": import_id}})
    link = answer.json()["data"]["import"]["rejectsUrl"]

    await http.post("/graphql", json={"query": "mutation { logout { endedCount } }"})

    assert refusal(await stranger.get(link)) == (401, "UNAUTHENTICATED")


async def test_the_access_log_keeps_no_ticket(app: Starlette, caplog: pytest.LogCaptureFixture) -> None:
    # given a server that logs every request
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, log_level="info", http="httptools"))
    with socket.create_server(("127.0.0.1", 0)) as listener, caplog.at_level("INFO", "uvicorn.access"):
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        address, port = listener.getsockname()

        # when
        async with httpx.AsyncClient(timeout=60) as client:
            response = await client.get(f"http://{address}:{port}/imports/1/rejects.csv?ticket=a-good-one")
        server.should_exit = True
        await serving

    # then
    assert refusal(response) == (401, "UNAUTHENTICATED")
    assert "/imports/1/rejects.csv" in caplog.text
    assert "a-good-one" not in caplog.text


@pytest.mark.parametrize("ticket", ["", "nonsense", "a.b.c"])
async def test_strangers_and_bad_tickets_are_refused(
    stranger: httpx.AsyncClient, database: Database, tmp_path: Path, ticket: str
) -> None:
    import_id = await create_import_with_rejects(database, tmp_path)

    without = await stranger.get(f"/imports/{import_id}/rejects.csv")
    response = await stranger.get(f"/imports/{import_id}/rejects.csv", params={"ticket": ticket})

    assert refusal(without) == refusal(response) == (401, "UNAUTHENTICATED")


async def test_an_access_token_is_no_ticket(
    stranger: httpx.AsyncClient, admin_header: dict[str, str], database: Database, tmp_path: Path
) -> None:
    import_id = await create_import_with_rejects(database, tmp_path)
    token = admin_header["authorization"].removeprefix("Bearer ")

    response = await stranger.get(f"/imports/{import_id}/rejects.csv", params={"ticket": token})

    assert refusal(response) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("role", [Role.SALESPERSON, Role.CUSTOMER])
async def test_who_may_not_see_imports_may_not_download(
    stranger: httpx.AsyncClient, settings: Settings, database: Database, tmp_path: Path, role: Role
) -> None:
    import_id = await create_import_with_rejects(database, tmp_path)
    header = authorization(settings, await create_viewer(database, role))

    response = await stranger.get(f"/imports/{import_id}/rejects.csv", headers=header)

    assert refusal(response) == (403, "FORBIDDEN")


def refusal(response: httpx.Response) -> tuple[int, str]:
    """Status and code of a problem."""
    (error,) = response.json()["errors"]
    return response.status_code, error["extensions"]["code"]


@pytest.mark.parametrize(
    "import_id", ["1", "0", "99999999999999999999", "-1", "x", "²", global_id("Import", 1), global_id("Store", 1)]
)
async def test_an_unknown_import_is_not_found(http: httpx.AsyncClient, import_id: str) -> None:
    response = await http.get(f"/imports/{import_id}/rejects.csv")

    assert response.status_code == 404
    assert response.json()["errors"][0]["extensions"]["code"] == "NOT_FOUND"
