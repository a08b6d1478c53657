"""Streams of a server that is told to stop: they end because it is told, not because it has waited for long."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack

import httpx
import pytest
import uvicorn

from graphql_api.app import create_app
from graphql_api.cli.service import server_config
from graphql_api.config import Settings
from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from tests.transport.conftest import authorization, create_viewer
from tests.transport.event_source import Subscriber
from tests.transport.socket_client import until

CHANGES = "subscription { stockChanged { delta } }"
STREAMS = 3
# For answers that have begun; whoever ends earlier has not ended because of it.
DRAIN_SECONDS = 600
ENOUGH = 60.0


@pytest.fixture(autouse=True)
def _survived() -> Iterator[None]:
    """The signal ends the server only, which passes it on when it has ended."""
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    yield
    signal.signal(signal.SIGTERM, before)


async def test_streams_end_as_soon_as_the_server_is_told_to_stop(settings: Settings, database: Database) -> None:
    # given streams of a server that would wait for long until answers have ended
    config = server_config(settings, create_app(settings))
    config.timeout_graceful_shutdown = DRAIN_SECONDS
    server = uvicorn.Server(config)
    headers = authorization(settings, await create_viewer(database, Role.ADMIN))
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await until(lambda: server.started)
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=ENOUGH))
        subscriber = Subscriber(http, f"http://127.0.0.1:{listener.getsockname()[1]}/graphql", headers)
        sources = [await stack.enter_async_context(subscriber.subscribed(CHANGES)) for _ in range(STREAMS)]
        for source in sources:
            await source.opened()
        # when it is told
        os.kill(os.getpid(), signal.SIGTERM)
        # then they end, neither broken nor complete, and so does the server
        assert [await source.rest() for source in sources] == [[]] * STREAMS
        async with asyncio.timeout(ENOUGH):
            await serving
