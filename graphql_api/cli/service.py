"""What `serve` and `worker` run once their servers are there."""

import asyncio
import os
import signal
import socket
from typing import Any

import typer
import uvicorn
from uvicorn.supervisors import Multiprocess

from graphql_api.app import create_app, create_storage, create_worker
from graphql_api.cli.data import prepare_demo
from graphql_api.cli.database import has_administrator, open_database, upgrade
from graphql_api.config import Settings

# Requests get this long to end; the worker and the servers of our own need the rest of five seconds.
DRAIN_SECONDS = 2


def prepare(settings: Settings, *, is_migrating: bool) -> None:
    """Bring the database to the newest schema, and fill an empty one when the settings say so."""
    asyncio.run(_prepare(settings, is_migrating=is_migrating))


def run_server(
    settings: Settings, listener: socket.socket, logging_settings: dict[str, Any], *, is_logging_access: bool
) -> None:
    """Serve until a signal comes; with several processes each builds an app of its own."""
    is_single = settings.workers == 1
    config = uvicorn.Config(
        create_app(settings) if is_single else "graphql_api.app:app_from_environment",
        factory=not is_single,
        workers=settings.workers,
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=logging_settings,
        access_log=is_logging_access,
        server_header=False,
        # whose word on the client's address is taken is decided in transport/origin.py
        proxy_headers=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    if is_single:
        uvicorn.Server(config).run(sockets=[listener])
        return
    os.environ |= {"DATABASE_URL": settings.database_url or "", "REDIS_URL": settings.redis_url or ""}
    Multiprocess(config, sockets=[listener]).run()


def run_worker(settings: Settings) -> None:
    """Run background jobs until a signal comes."""
    asyncio.run(_work(settings))


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
        worker = create_worker(settings, database, create_storage(settings))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, worker.stop)
        typer.echo("The worker waits for jobs.")
        await worker.run()
