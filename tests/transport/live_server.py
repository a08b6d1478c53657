"""Servers that the tests of one module share, in a thread of this process."""

import asyncio
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import uvicorn

from graphql_api.app import create_app
from graphql_api.cli.service import server_config
from graphql_api.config import Settings, load_settings
from tests.conftest import with_database
from tests.transport.conftest import SECRET_KEY

PATIENCE = 60.0


@dataclass(frozen=True)
class LiveServer:
    """A server that runs.

    Args:
        settings: of its application.
        port: where it listens, on 127.0.0.1.
        uvicorn: what serves it, in a thread.
    """

    settings: Settings
    port: int
    uvicorn: uvicorn.Server

    @property
    def http_url(self) -> str:
        """The endpoint for HTTP."""
        return f"http://127.0.0.1:{self.port}/graphql"

    @property
    def socket_url(self) -> str:
        """The endpoint for WebSockets."""
        return f"ws://127.0.0.1:{self.port}/graphql"


@contextmanager
def cloned_database(server_url: str, template_name: str) -> Iterator[str]:
    """URL of a migrated, empty database, for the tests of one module."""
    name = f"test_{uuid.uuid4().hex[:12]}"

    async def execute(statement: str) -> None:
        connection = await asyncpg.connect(server_url)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(execute(f'CREATE DATABASE "{name}" TEMPLATE "{template_name}" STRATEGY FILE_COPY'))
    try:
        yield with_database(server_url, name)
    finally:
        asyncio.run(execute(f'DROP DATABASE "{name}" WITH (FORCE)'))


def live_settings(database_url: str, redis_url: str, folder: Path, **others: Any) -> Settings:
    """Settings for a server on this database."""
    return load_settings(
        folder / "no.env",
        database_url=database_url,
        redis_url=redis_url,
        data_dir=folder / "data",
        secret_key=SECRET_KEY,
        worker_in_server=False,
        **others,
    )


@contextmanager
def live_server(settings: Settings) -> Iterator[LiveServer]:
    """A server on a free port, until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(server_config(settings, create_app(settings)))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + PATIENCE
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            assert time.monotonic() < deadline, "the server did not start in time"
            time.sleep(0.01)
        yield LiveServer(settings, listener.getsockname()[1], server)
        server.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the server did not stop"
