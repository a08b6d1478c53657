"""What remains of what a client wants no more, and how long one that takes nothing is waited for."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.transport.fanout import Fanout
from graphql_api.transport.line import Line
from tests.transport.conftest import authorization, create_viewer
from tests.transport.event_source import Subscriber
from tests.transport.live_server import LiveServer, cloned_database, live_server, live_settings
from tests.transport.socket_client import PATIENCE, SocketClient, socket_to, until

CHANGES = "subscription { stockChanged { delta } }"
A_MINUTE = 60.0


@pytest.fixture(scope="module")
def database_url(server_url: str, template_name: str) -> Iterator[str]:
    with cloned_database(server_url, template_name) as url:
        yield url


@pytest.fixture(scope="module")
def server(database_url: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(live_settings(database_url, valkey_url, tmp_path_factory.mktemp("server"))) as server:
        yield server


@pytest.fixture
async def headers(server: LiveServer, database: Database) -> dict[str, str]:
    return authorization(server.settings, await create_viewer(database, Role.ADMIN))


@asynccontextmanager
async def welcome(server: LiveServer, headers: dict[str, str]) -> AsyncIterator[SocketClient]:
    async with socket_to(server.socket_url) as client:
        await client.init(headers["authorization"].removeprefix("Bearer "))
        yield client


@pytest.fixture
def opening(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happens to subscriptions that take for ever to begin."""
    happened: list[str] = []

    async def subscribe(*_arguments: Any, **_named: Any) -> None:
        happened.append("begun")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            happened.append("given up")
            raise

    monkeypatch.setattr(Fanout, "subscribe", subscribe)
    return happened


@pytest.mark.parametrize("how", ["complete", "leave"])
async def test_a_subscription_that_nobody_waits_for_is_not_begun(
    server: LiveServer, headers: dict[str, str], opening: list[str], how: str
) -> None:
    async with welcome(server, headers) as client:
        await client.subscribe("s", CHANGES)
        await until(lambda: opening == ["begun"])
        if how == "complete":
            await client.send({"type": "complete", "id": "s"})
            await until(lambda: opening == ["begun", "given up"])
            await client.send({"type": "ping"})
            assert await client.receive() == {"type": "pong"}
    await until(lambda: opening == ["begun", "given up"])


@pytest.mark.parametrize("transport", ["socket", "stream"])
async def test_who_takes_nothing_is_waited_for_a_minute(
    server: LiveServer, headers: dict[str, str], transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadlines: list[float] = []
    create = Line.__init__

    def noted(self: Line, *arguments: Any, **named: Any) -> None:
        create(self, *arguments, **named)
        deadlines.append(self._deadline)  # nobody is to wait a minute for it

    monkeypatch.setattr(Line, "__init__", noted)
    if transport == "socket":
        async with welcome(server, headers):
            pass
    else:
        async with (
            httpx.AsyncClient(timeout=PATIENCE) as http,
            Subscriber(http, server.http_url, headers).subscribed(CHANGES) as source,
        ):
            await source.opened()
    assert deadlines == [A_MINUTE]
