"""A server that is told to stop: it closes its WebSockets with 1012, and is gone within five seconds."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.services.key import GivenKeys
from graphql_api.services.token import AccessTokens
from tests.factories import create_product, create_stock, create_store
from tests.faults.server_process import ServerProgram, ended, server_programs
from tests.transport.conftest import SECRET_KEY, create_viewer
from tests.transport.live_server import cloned_database
from tests.transport.socket_client import SocketClient, deaf_socket_to, socket_to

SOCKETS = 200
AT_ONCE = 50
ENOUGH = 5.0
PATIENCE = 120.0
STOCK = "subscription { stockChanged { after } }"
# Some 40 KB for each change.
LARGE = "subscription { stockChanged { " + " ".join(f"p{number}: product {{ name }}" for number in range(200)) + " } }"


@pytest.fixture(scope="module")
def database_url(server_url: str, template_name: str) -> Iterator[str]:
    with cloned_database(server_url, template_name) as url:
        yield url


@pytest.fixture
async def token(database: Database) -> str:
    return AccessTokens(GivenKeys(SECRET_KEY)).issue(await create_viewer(database, Role.ADMIN), 15).text


@pytest.fixture
def server(
    database_url: str, valkey_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[ServerProgram]:
    """One server, with as many workers as the test says."""
    settings = {"WORKERS": str(request.param), "CONNECTIONS_PER_USER": "10000"}
    with server_programs(1, database_url, valkey_url, tmp_path, **settings) as (server,):
        yield server


async def connected(stack: AsyncExitStack, server: ServerProgram, token: str, count: int) -> list[SocketClient]:
    """WebSockets with a subscription each."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def connect() -> SocketClient:
        async with turns:
            client = await stack.enter_async_context(
                socket_to(server.socket_url, open_timeout=PATIENCE, ping_interval=None)
            )
            await client.init(token)
            await client.subscribe("s", STOCK)
            await client.send({"type": "ping"})
            assert await client.receive() == {"type": "pong"}
            return client

    return list(await asyncio.gather(*[connect() for _ in range(count)]))


async def code_of(client: SocketClient) -> int:
    """What the server has closed a connection with."""
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                await client.connection.recv()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 0


@pytest.mark.parametrize("server", [1, 2], indirect=True, ids=["one process", "two workers"])
async def test_sockets_are_closed_with_1012_and_the_server_is_gone_in_five_seconds(
    server: ServerProgram, token: str
) -> None:
    async with AsyncExitStack() as stack:
        clients = await connected(stack, server, token, SOCKETS)

        seconds, *codes = await asyncio.gather(ended(server), *[code_of(client) for client in clients])

        assert set(codes) == {1012}
    assert seconds < ENOUGH
    assert server.process.returncode == 0
    log = server.errors.read_text()
    assert "Traceback" not in log
    assert "ERROR" not in log


@pytest.mark.parametrize("server", [1], indirect=True)
async def test_a_client_that_reads_nothing_does_not_hold_the_server_up(
    server: ServerProgram, token: str, database: Database
) -> None:
    async with database.transaction() as session:
        store, product = await create_store(session), await create_product(session, name="x" * 200)
    level = 0

    async def add() -> None:
        nonlocal level
        async with database.transaction() as session:
            await create_stock(session, store, product, 1)
        level += 1

    async with AsyncExitStack() as stack, deaf_socket_to(server.socket_url) as client:
        await client.init(token)
        await client.subscribe("s", LARGE)
        other = await stack.enter_async_context(socket_to(server.socket_url, open_timeout=PATIENCE))
        await other.init(token)
        await other.subscribe("s", STOCK)
        # given that both are told of changes, and one of them reads no more
        heard = [asyncio.create_task(each.receive()) for each in (client, other)]
        while not all(task.done() for task in heard):
            await add()
            await asyncio.sleep(0.05)
        client.connection.transport.pause_reading()
        for _ in range(40):
            await add()
        while (await other.receive())["payload"]["data"]["stockChanged"]["after"] < level:
            pass

        # when, then
        assert await ended(server) < ENOUGH
        client.connection.transport.abort()

    assert server.process.returncode == 0
    assert "Traceback" not in server.errors.read_text()
