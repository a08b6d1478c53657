"""Real servers, real cuts: whatever happens to an answer, the client sends again, and all is done once."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.services.key_file import OwnKeys
from graphql_api.services.policy import Viewer
from graphql_api.services.secret import token_hash
from graphql_api.services.token import AccessTokens
from tests.factories import PASSWORD, create_session, create_user
from tests.faults.server_process import Line, ServerProcess, serving
from tests.proxy import proxied
from tests.sales_files import sale, sales_csv

KEY = "5f0c3b3e-9d0b-4a57-8d3f-1f6c2f6f3a11"
REPEATS = 20
CREATE = """
mutation ($sku: String!) {
  createProduct(input: {sku: $sku, name: "Ale"}) { product { id sku version } userErrors { code message path } }
}
"""
LOGIN = """
mutation ($email: String!, $password: String!) {
  login(input: {email: $email, password: $password}) { accessToken refreshToken userErrors { code } }
}
"""
START = "mutation ($file: Upload!) { startImport(input: {file: $file}) { import { id sha256 } userErrors { code } } }"


class House:
    """A database with an administrator, and what servers on it need."""

    def __init__(self, database: Database, redis_url: str, folder: Path) -> None:
        self.database = database
        self.redis_url = redis_url
        self.folder = folder
        self.email = "ada@example.com"
        self.viewer: Viewer | None = None

    async def fill(self) -> None:
        async with self.database.transaction() as session:
            user = await create_user(session, email=self.email, role=Role.ADMIN)
            self.viewer = Viewer(user.id, Role.ADMIN, (await create_session(session, user)).id)

    def headers(self, key: str = KEY) -> dict[str, str]:
        assert self.viewer
        token = AccessTokens(OwnKeys(self.folder)).issue(self.viewer, lifetime_minutes=15)
        return {"authorization": f"Bearer {token.text}", "idempotency-key": key}

    async def scalar(self, statement: str) -> Any:
        async with self.database.read() as session:
            return await session.scalar(text(statement))

    def stored_files(self) -> list[Path]:
        return [path for path in (self.folder / "storage").rglob("*") if path.is_file()]


@pytest.fixture
async def house(database: Database, redis_url: str, tmp_path: Path) -> House:
    house = House(database, redis_url, tmp_path / "data")
    await house.fill()
    return house


async def test_parallel_repetitions_at_two_servers_have_one_effect_and_equal_answers(house: House) -> None:
    async with AsyncExitStack() as stack:
        starts = [
            stack.enter_async_context(
                serving(house.database.url, house.redis_url, house.folder, DATABASE_POOL_SIZE="3")
            )
            for _ in range(2)
        ]
        servers = list(await asyncio.gather(*starts))
        headers = house.headers()

        answers = await asyncio.gather(
            *[servers[number % 2].ask(CREATE, headers, sku="A-1") for number in range(REPEATS)]
        )

    assert "errors" not in answers[0]
    assert answers[0]["data"]["createProduct"]["userErrors"] == []
    assert answers == [answers[0]] * REPEATS
    assert await house.scalar("SELECT count(*) FROM product") == 1
    assert await house.scalar("SELECT count(*) FROM audit_entry") == 1


async def test_an_answer_that_is_lost_with_the_connection_to_the_database_comes_again(house: House) -> None:
    async with (
        proxied(house.database.url, Line) as (line, url),
        serving(url, house.redis_url, house.folder) as server,
    ):
        headers = house.headers()

        async def nothing() -> None:
            """The line is cut all the same."""

        line.on_commit = nothing
        lost = await server.ask(CREATE, headers, sku="A-1")
        again = await server.ask(CREATE, headers, sku="A-1")

    assert line.cuts == 1
    assert [error["extensions"]["code"] for error in lost["errors"]] == ["SERVICE_UNAVAILABLE"]
    assert "errors" not in again
    assert again["data"]["createProduct"]["userErrors"] == []
    assert await house.scalar("SELECT count(*) FROM product") == 1
    assert await house.scalar("SELECT count(*) FROM audit_entry WHERE outcome = 'DONE'") == 1


async def test_a_file_whose_import_was_committed_unheard_is_kept(house: House) -> None:
    async with (
        proxied(house.database.url, Line) as (line, url),
        serving(url, house.redis_url, house.folder, STORAGE=str(house.folder / "storage")) as server,
    ):
        headers = {**house.headers(), "graphql-require-preflight": "1"}

        async def nothing() -> None:
            """The line is cut all the same."""

        line.on_commit = nothing
        lost = await send_file(server, headers)
        again = await send_file(server, headers)

    assert line.cuts == 1
    assert [error["extensions"]["code"] for error in lost["errors"]] == ["SERVICE_UNAVAILABLE"]
    assert again["data"]["startImport"]["userErrors"] == []
    assert await house.scalar("SELECT count(*) FROM import_job") == 1
    (file,) = house.stored_files()
    assert file.name in await house.scalar("SELECT storage_key FROM import_job")


async def send_file(server: ServerProcess, headers: dict[str, str]) -> Any:
    parts: dict[str, tuple[str | None, bytes | str]] = {
        "operations": (None, json.dumps({"query": START, "variables": {"file": None}})),
        "map": (None, '{"0": ["variables.file"]}'),
        "0": ("sales.csv", sales_csv([sale("a")])),
    }
    return (await server.http.post(server.url, files=parts, headers=headers)).json()


async def test_an_answer_that_dies_with_its_server_comes_from_another_one(house: House) -> None:
    async with proxied(house.database.url, Line) as (line, url):
        async with serving(url, house.redis_url, house.folder) as server:
            headers = house.headers()
            line.on_commit = server.kill
            with pytest.raises(httpx.TransportError):
                await server.ask(CREATE, headers, sku="A-1")
        async with serving(house.database.url, house.redis_url, house.folder) as another:
            again = await another.ask(CREATE, headers, sku="A-1")

    assert line.cuts == 1
    assert "errors" not in again
    payload = again["data"]["createProduct"]
    assert (payload["userErrors"], payload["product"]["version"]) == ([], 1)
    assert await house.scalar("SELECT count(*) FROM product") == 1
    assert await house.scalar("SELECT count(*) FROM audit_entry") == 1


async def test_tokens_that_die_with_their_server_come_from_another_one(house: House) -> None:
    credentials = {"email": house.email, "password": PASSWORD}
    sessions = await house.scalar("SELECT count(*) FROM session")
    async with proxied(house.database.url, Line) as (line, url):
        async with serving(url, house.redis_url, house.folder) as server:
            line.on_commit = server.kill
            with pytest.raises(httpx.TransportError):
                await server.ask(LOGIN, {"idempotency-key": KEY}, **credentials)
        async with serving(house.database.url, house.redis_url, house.folder) as another:
            again = await another.ask(LOGIN, {"idempotency-key": KEY}, **credentials)

    assert line.cuts == 1
    payload = again["data"]["login"]
    assert payload["userErrors"] == []
    assert await house.scalar("SELECT count(*) FROM session") == sessions + 1
    # the only token there is was made by the server that died
    assert await house.scalar("SELECT token_hash FROM refresh_token") == token_hash(payload["refreshToken"])
