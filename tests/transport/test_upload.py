"""Uploads over HTTP: from the form to the imported rows, and what is refused without leaving a trace."""

import asyncio
import contextlib
import json
import socket
import stat
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
import time_machine
from starlette.applications import Starlette

from graphql_api.app import create_app
from graphql_api.config import Settings
from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from tests.sales_files import many_sales, sale, sales_csv
from tests.transport.conftest import RunningServer, authorization, client_of, create_viewer

START = """
mutation ($file: Upload!) {
  startImport(input: {file: $file}) { import { id status } userErrors { code message path } }
}
"""
IMPORT = "query ($id: ID!) { import(id: $id) { status rowsRead rowsInserted rowsUnchanged rowsRejected fileName } }"
OPERATIONS = json.dumps({"query": START, "variables": {"file": None}})
MAP = '{"0": ["variables.file"]}'
PREFLIGHT = {"graphql-require-preflight": "1"}
BOUNDARY = "boundary-of-the-test"
FORM_TYPE = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
PATIENCE_SECONDS = 60.0
MEBIBYTE = 1 << 20

Part = tuple[str, str | None, bytes]


def text_part(name: str, content: str) -> Part:
    return name, None, content.encode()


def file_part(name: str, content: bytes, filename: str = "sales.csv") -> Part:
    return name, filename, content


def form(parts: Iterable[Part], end: bytes = b"--") -> bytes:
    """The parts as a multipart body, in this order."""
    body = b""
    for name, filename, content in parts:
        file = f'; filename="{filename}"' if filename is not None else ""
        body += (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content + b"\r\n"
        )
    return body + f"--{BOUNDARY}".encode() + end + b"\r\n"


SALES = sales_csv(many_sales(50))
GOOD = [text_part("operations", OPERATIONS), text_part("map", MAP), file_part("0", SALES)]


async def traces(settings: Settings, database: Database) -> list[str]:
    """Everything an upload can leave behind: jobs, stored files, spooled files."""
    async with database.dedicated() as connection:
        jobs = await connection.fetchval("SELECT count(*) FROM import_job")
        jobs += await connection.fetchval("SELECT count(*) FROM jobs.pgqueuer")
    files = [path.name for path in settings.data_dir.rglob("*") if path.is_file()]
    return [*files, *["job"] * jobs]


async def ended_import(http: httpx.AsyncClient, url: str, import_id: str) -> dict[str, object]:
    """The import once it has ended."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            response = await http.post(url, json={"query": IMPORT, "variables": {"id": import_id}})
            found: dict[str, object] = response.json()["data"]["import"]
            if found["status"] not in {"QUEUED", "RUNNING"}:
                return found
            await asyncio.sleep(0.05)


async def test_a_file_becomes_rows(settings: Settings, admin_header: dict[str, str]) -> None:
    app = create_app(settings.model_copy(update={"worker_in_server": True}))
    async with app.router.lifespan_context(app), client_of(app, admin_header) as http:
        response = await http.post("/graphql", content=form(GOOD), headers={**FORM_TYPE, **PREFLIGHT})
        payload = response.json()["data"]["startImport"]
        assert payload["userErrors"] == []

        found = await ended_import(http, "/graphql", payload["import"]["id"])

    assert found == {
        "status": "COMPLETED",
        "rowsRead": 50,
        "rowsInserted": 50,
        "rowsUnchanged": 0,
        "rowsRejected": 0,
        "fileName": "sales.csv",
    }


BAD_FORMS: dict[str, list[Part]] = {
    "no parts": [],
    "a file first": [file_part("0", SALES), text_part("operations", OPERATIONS), text_part("map", MAP)],
    "map first": [text_part("map", MAP), text_part("operations", OPERATIONS), file_part("0", SALES)],
    "no map": [text_part("operations", OPERATIONS), file_part("0", SALES)],
    "no file": [text_part("operations", OPERATIONS), text_part("map", MAP)],
    "another file": [text_part("operations", OPERATIONS), text_part("map", MAP), file_part("1", SALES)],
    "one file too many": [*GOOD, file_part("1", SALES)],
    "the same file twice": [*GOOD, file_part("0", SALES)],
    "operations are no JSON": [text_part("operations", "{"), *GOOD[1:]],
    "operations are a batch": [text_part("operations", f"[{OPERATIONS}]"), *GOOD[1:]],
    "operations are null": [text_part("operations", "null"), *GOOD[1:]],
    "map is no JSON": [GOOD[0], text_part("map", "{"), GOOD[2]],
    "map is a list": [GOOD[0], text_part("map", "[]"), GOOD[2]],
    "map holds no lists": [GOOD[0], text_part("map", '{"0": "variables.file"}'), GOOD[2]],
    "map names no such place": [GOOD[0], text_part("map", '{"0": ["variables.nothing"]}'), GOOD[2]],
    "map leads through a text": [GOOD[0], text_part("map", '{"0": ["query.0"]}'), GOOD[2]],
    "map leads to the variables": [GOOD[0], text_part("map", '{"0": ["variables"]}'), GOOD[2]],
    "map leads to a deep list": [GOOD[0], text_part("map", '{"0": ["variables.file.99999999"]}'), GOOD[2]],
    "map names a place twice": [GOOD[0], text_part("map", '{"0": ["variables.file", "variables.file"]}'), GOOD[2]],
    "the place is taken": [
        text_part("operations", json.dumps({"query": START, "variables": {"file": "x"}})),
        *GOOD[1:],
    ],
    "operations are too long": [text_part("operations", " " * MEBIBYTE + OPERATIONS), *GOOD[1:]],
}


@pytest.mark.parametrize("name", BAD_FORMS)
async def test_a_form_that_breaks_a_rule_leaves_nothing(
    http: httpx.AsyncClient, settings: Settings, database: Database, name: str
) -> None:
    response = await http.post("/graphql", content=form(BAD_FORMS[name]), headers={**FORM_TYPE, **PREFLIGHT})

    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert await traces(settings, database) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form at all",
        form(GOOD)[:-20],
        form(GOOD, end=b"\r\n"),
        form(GOOD).replace(b"Content-Disposition", b"Content Disposition"),
        form(GOOD).replace(b"form-data;", b"x: \xff\r\n\r\n"),
    ],
)
async def test_a_malformed_body_leaves_nothing(
    http: httpx.AsyncClient, settings: Settings, database: Database, body: bytes
) -> None:
    response = await http.post("/graphql", content=body, headers={**FORM_TYPE, **PREFLIGHT})

    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert await traces(settings, database) == []


@pytest.mark.parametrize("content_type", ["multipart/form-data", f"multipart/form-data; boundary={'x' * 300}"])
async def test_a_form_needs_a_usable_boundary(http: httpx.AsyncClient, content_type: str) -> None:
    response = await http.post("/graphql", content=form(GOOD), headers={"content-type": content_type, **PREFLIGHT})

    assert response.status_code == 400


async def test_a_form_of_another_site_is_refused(
    http: httpx.AsyncClient, settings: Settings, database: Database
) -> None:
    response = await http.post("/graphql", content=form(GOOD), headers=FORM_TYPE)

    assert response.status_code == 403
    assert response.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert await traces(settings, database) == []


async def test_a_file_beyond_the_limit_is_refused_by_name_and_leaves_nothing(
    http: httpx.AsyncClient, settings: Settings, database: Database
) -> None:
    parts = [*GOOD[:2], file_part("0", b"x" * (settings.upload_limit_bytes + 1))]

    response = await http.post("/graphql", content=form(parts), headers={**FORM_TYPE, **PREFLIGHT})

    (error,) = response.json()["data"]["startImport"]["userErrors"]
    assert error["code"] == "PAYLOAD_TOO_LARGE"
    assert await traces(settings, database) == []


async def test_a_form_beyond_the_limit_is_not_read_to_its_end(
    http: httpx.AsyncClient, settings: Settings, database: Database
) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield form(GOOD[:2], end=b"").rstrip(b"\r\n") + (
            b'\r\nContent-Disposition: form-data; name="0"; filename="x"\r\n\r\n'
        )
        while True:
            sent += 65_536
            yield b"x" * 65_536

    response = await http.post("/graphql", content=endless(), headers={**FORM_TYPE, **PREFLIGHT})

    assert response.status_code == 413
    assert response.json()["errors"][0]["extensions"]["code"] == "PAYLOAD_TOO_LARGE"
    assert sent < settings.upload_limit_bytes + 5 * MEBIBYTE
    assert await traces(settings, database) == []


@pytest.mark.parametrize(
    ("role", "refusal"), [(None, (401, "UNAUTHENTICATED")), (Role.SALESPERSON, (403, "FORBIDDEN"))]
)
async def test_no_byte_is_taken_of_an_upload_of_somebody_who_may_not(
    app: Starlette, settings: Settings, database: Database, role: Role | None, refusal: tuple[int, str]
) -> None:
    taken = list[bytes]()

    async def body() -> AsyncIterator[bytes]:
        taken.append(form(GOOD))
        yield taken[0]

    header = authorization(settings, await create_viewer(database, role)) if role else {}
    async with client_of(app, header) as client:
        response = await client.post("/graphql", content=body(), headers={**FORM_TYPE, **PREFLIGHT})

    (error,) = response.json()["errors"]
    assert (response.status_code, error["extensions"]["code"]) == refusal
    assert taken == []
    assert await traces(settings, database) == []


async def test_an_upload_may_take_longer_than_an_access_token_lives(http: httpx.AsyncClient) -> None:
    with time_machine.travel(datetime.now(UTC), tick=True) as clock:

        async def slowly() -> AsyncIterator[bytes]:
            yield form(GOOD)[:1000]
            clock.shift(timedelta(minutes=20))
            yield form(GOOD)[1000:]

        response = await http.post("/graphql", content=slowly(), headers={**FORM_TYPE, **PREFLIGHT})

    assert response.json()["data"]["startImport"]["userErrors"] == []


async def test_an_upload_of_somebody_who_was_signed_out_meanwhile_leaves_nothing(
    http: httpx.AsyncClient, settings: Settings, database: Database
) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        yield form(GOOD)[:1000]
        await http.post("/graphql", json={"query": "mutation { logout { endedCount } }"})
        yield form(GOOD)[1000:]

    response = await http.post("/graphql", content=slowly(), headers={**FORM_TYPE, **PREFLIGHT})

    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "UNAUTHENTICATED"
    assert await traces(settings, database) == []


async def test_a_text_in_the_place_of_a_file_is_bad_input(http: httpx.AsyncClient) -> None:
    response = await http.post("/graphql", json={"query": START, "variables": {"file": "sales.csv"}})

    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "multipart" in error["message"]


async def test_a_form_without_files_is_an_ordinary_request(http: httpx.AsyncClient) -> None:
    parts = [text_part("operations", '{"query": "{ __typename }"}'), text_part("map", "{}")]

    response = await http.post("/graphql", content=form(parts), headers={**FORM_TYPE, **PREFLIGHT})

    assert response.json() == {"data": {"__typename": "Query"}}


def send_head(url: str, length: int, headers: dict[str, str]) -> socket.socket:
    """Open a connection and announce a form of so many bytes."""
    address = urlsplit(url)
    connection = socket.create_connection((address.hostname or "", address.port or 0))
    head = [
        "POST /graphql HTTP/1.1",
        "Host: localhost",
        "GraphQL-Require-Preflight: 1",
        f"Content-Type: {FORM_TYPE['content-type']}",
        f"Content-Length: {length}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    connection.sendall("\r\n".join([*head, "", ""]).encode())
    return connection


def spooled_bytes(process: psutil.Process) -> int:
    """Bytes in files that have no name but are open, of a process on Linux."""
    total = 0
    for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            state = descriptor.stat()
            total += state.st_size if stat.S_ISREG(state.st_mode) and not state.st_nlink else 0
    return total


async def test_an_upload_that_breaks_off_leaves_nothing(
    server: RunningServer, settings: Settings, database: Database, admin_header: dict[str, str]
) -> None:
    body = form([*GOOD[:2], file_part("0", b"x" * 8 * MEBIBYTE)])
    connection = send_head(server.url, len(body), admin_header)
    connection.sendall(body[: len(body) // 2])
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not spooled_bytes(server.process):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)

    connection.close()

    async with asyncio.timeout(PATIENCE_SECONDS):
        while spooled_bytes(server.process):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.05)
    assert await traces(settings, database) == []
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        assert (await http.post(server.url, json={"query": "{ __typename }"})).status_code == 200


async def test_memory_stays_flat_while_a_large_file_arrives(
    server: RunningServer, admin_header: dict[str, str]
) -> None:
    size = 160 * MEBIBYTE
    block = b"x" * MEBIBYTE
    frame = form([*GOOD[:2], file_part("0", b"|")])
    start, end = frame.split(b"|")
    before = server.process.memory_info().rss
    peak = before

    async def body() -> AsyncIterator[bytes]:
        nonlocal peak
        yield start
        for _ in range(size // MEBIBYTE):
            peak = max(peak, server.process.memory_info().rss)
            yield block
        yield end

    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS, headers=admin_header) as http:
        response = await http.post(server.url, content=body(), headers={**FORM_TYPE, **PREFLIGHT})
        payload = response.json()["data"]["startImport"]
        peak = max(peak, server.process.memory_info().rss)
        found = await ended_import(http, server.url, payload["import"]["id"])

    assert found["status"] == "FAILED"  # a single line without end is no table
    assert peak - before < 64 * MEBIBYTE


async def test_a_file_is_imported_by_a_real_server(server: RunningServer, admin_header: dict[str, str]) -> None:
    content = sales_csv([sale("INV-00000100001"), sale("INV-00000100002", date="nonsense")])
    files: dict[str, tuple[str | None, str | bytes]] = {
        "operations": (None, OPERATIONS),
        "map": (None, MAP),
        "0": ("C:\\fakepath\\März.csv", content),
    }

    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS, headers=admin_header) as http:
        response = await http.post(server.url, files=files, headers=PREFLIGHT)
        found = await ended_import(http, server.url, response.json()["data"]["startImport"]["import"]["id"])

    assert (found["rowsInserted"], found["rowsRejected"], found["fileName"]) == (1, 1, "März.csv")
