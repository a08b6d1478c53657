"""What `serve` and `worker` run once their servers are there."""

import asyncio
import contextlib
import os
import resource
import signal
import socket
import sys
from typing import Any

import typer
import uvicorn
from starlette.applications import Starlette
from uvicorn.supervisors import Multiprocess

from graphql_api.app import create_bus, create_relay, create_served_app, create_worker, relaying
from graphql_api.cli.data import prepare_demo
from graphql_api.cli.database import has_administrator, open_database, upgrade
from graphql_api.cli.logged_paths import PathsOnly
from graphql_api.config import Settings
from graphql_api.services.resources import create_storage
from graphql_api.transport.graphql_ws_messages import MAX_MESSAGE_BYTES
from graphql_api.transport.http_connection import HttpConnection
from graphql_api.transport.line import DEADLINE_SECONDS
from graphql_api.transport.websocket_connection import WebSocketConnection

# Requests get this long to end; the worker and the servers of our own need the rest of five seconds.
DRAIN_SECONDS = 2
# A WebSocket is asked for a sign of life that often, and given up after as long without an answer.
PING_SECONDS = 20
# A process that says nothing for so long is replaced. On a busy machine one may need more than uvicorn's five seconds
# to begin, and whoever takes its place needs as long.
HEALTH_SECONDS = 60
# The second is where WebSockets are told of.
LOGGERS_OF_ADDRESSES = ("uvicorn.access", "uvicorn.error")


def prepare(settings: Settings, *, is_migrating: bool) -> None:
    """Bring the database to the newest schema, and fill an empty one when the settings say so."""
    asyncio.run(_prepare(settings, is_migrating=is_migrating))


def run_server(
    settings: Settings, listener: socket.socket, logging_settings: dict[str, Any], *, is_logging_access: bool
) -> None:
    """Serve until a signal comes; with several processes each builds an app of its own."""
    _prepare_for_many_connections(listener)
    logged: dict[str, Any] = {"log_config": _without_queries(logging_settings), "access_log": is_logging_access}
    if settings.workers == 1:
        uvicorn.Server(server_config(settings, create_served_app(settings), **logged)).run(sockets=[listener])
        return
    config = server_config(settings, "graphql_api.app:app_from_environment", factory=True, **logged)
    os.environ |= {"DATABASE_URL": settings.database_url or "", "REDIS_URL": settings.redis_url or ""}
    Multiprocess(config, sockets=[listener]).run()


def server_config(settings: Settings, app: Starlette | str, **further: Any) -> uvicorn.Config:
    """How uvicorn serves an application.

    Args:
        settings: say with how many processes.
        app: the application, or where to find what makes it.
        further: settings of uvicorn that have to do with this run.
    """
    return uvicorn.Config(
        app,
        workers=settings.workers,
        http=HttpConnection,
        ws=WebSocketConnection,
        # it would halve the messages per second
        ws_per_message_deflate=False,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        lifespan="on",
        server_header=False,
        # whose word on the client's address is taken is decided in transport/origin.py
        proxy_headers=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        timeout_worker_healthcheck=HEALTH_SECONDS,
        **further,
    )


def run_worker(settings: Settings) -> None:
    """Run background jobs until a signal comes."""
    asyncio.run(_work(settings))


def _without_queries(logging_settings: dict[str, Any]) -> dict[str, Any]:
    """The logging configuration, so that the server, which logs addresses, logs no queries."""
    known = logging_settings["loggers"]
    cut = {name: {**known[name], "filters": ["paths"]} for name in LOGGERS_OF_ADDRESSES}
    return {**logging_settings, "filters": {"paths": {"()": PathsOnly}}, "loggers": known | cut}


def _prepare_for_many_connections(listener: socket.socket) -> None:
    """Have room for thousands, and have the system drop those who take nothing of what was sent to them."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if sys.platform == "linux":
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(DEADLINE_SECONDS * 1000))


async def _prepare(settings: Settings, *, is_migrating: bool) -> None:
    if is_migrating:
        await upgrade(settings)
    async with open_database(settings) as database:
        if settings.demo:
            await prepare_demo(settings, database)
        if not await has_administrator(database):
            typer.echo("Nobody can sign in as administrator yet: `graphql-api create-admin` makes the first account.")


async def _work(settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    async with open_database(settings) as database:
        bus = create_bus(settings, database)
        relay = create_relay(database, bus)
        worker = create_worker(settings, database, create_storage(settings))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, worker.stop)
        typer.echo("The worker waits for jobs.")
        async with relaying(relay, bus):
            await worker.run()
