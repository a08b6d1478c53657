"""`serve` and `worker`: the two commands that run until they are told to stop.

What they run takes a second or two to load. It is loaded in a thread while the servers of our own start.
"""

import contextlib
import logging.config
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import FrameType
from typing import Annotated, Any

import typer

from graphql_api.cli.failure import CommandError
from graphql_api.cli.loading import load
from graphql_api.cli.servers import servers
from graphql_api.config import Settings, load_settings

BACKLOG = 2048
SERVICE = "graphql_api.cli.service"


def serve(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    host: Annotated[str | None, typer.Option(help="The address to listen on. Default: HOST, or 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="The port; 0 picks a free one. Default: PORT, or 8000.")] = None,
    workers: Annotated[int | None, typer.Option(help="Server processes. Default: WORKERS, or 1.")] = None,
    demo: Annotated[
        bool | None, typer.Option("--demo/--no-demo", help="Load demonstration data into an empty database.")
    ] = None,
    migrate: Annotated[  # noqa: FBT002 - a switch of the command line
        bool, typer.Option("--migrate/--no-migrate", help="Bring the database up to date first.")
    ] = True,
    access_log: Annotated[bool, typer.Option("--access-log", help="Log every request.")] = False,  # noqa: FBT002 - as above
) -> None:
    """Serve the API; starts PostgreSQL and Valkey of its own unless DATABASE_URL and REDIS_URL are set."""
    settings = load_settings(host=host, port=port, workers=workers, demo=demo)
    logging_settings = log_settings(settings.log_level, is_logging_access=access_log)
    logging.config.dictConfig(logging_settings)
    with (
        _stopped_by_signals(),
        _listen(settings) as listener,
        _loading(SERVICE) as service,
        servers(settings) as complete,
    ):
        service.result().prepare(complete, is_migrating=migrate)
        _print_addresses(settings.host, listener.getsockname()[1])
        service.result().run_server(complete, listener, logging_settings, is_logging_access=access_log)


def worker() -> None:
    """Run background jobs until stopped; as many of these as you like may run."""
    settings = load_settings()
    logging.config.dictConfig(log_settings(settings.log_level))
    with _stopped_by_signals(), _loading(SERVICE) as service, servers(settings) as complete:
        service.result().run_worker(complete)


def log_settings(level: str, *, is_logging_access: bool = False) -> dict[str, Any]:
    """The logging configuration: one line per message on standard error."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"level": level.upper(), "handlers": ["stderr"]},
        "loggers": {
            # their news is how they work, not what the program does
            "alembic": {"level": "WARNING"},
            "pgqueuer": {"level": "WARNING"},
            "uvicorn.error": {"level": "INFO" if level == "debug" else "WARNING"},
            "uvicorn.access": {"level": "INFO" if is_logging_access else "WARNING"},
        },
    }


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Leave the block in good order, and the program with code 0, on SIGTERM and SIGINT."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    yield


@contextlib.contextmanager
def _listen(settings: Settings) -> Iterator[socket.socket]:
    """Take the port before anything else is started; whoever connects early waits."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise CommandError(
            f"Cannot listen on {settings.host}, port {settings.port}: {error.strerror or error}. "
            "Choose another with --host and --port, or HOST and PORT."
        ) from error
    with listener:
        yield listener


@contextlib.contextmanager
def _loading(module: str) -> Iterator[Future[Any]]:
    with ThreadPoolExecutor(1) as executor:
        yield executor.submit(load, module)


def _print_addresses(host: str, port: int) -> None:
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - compared, not bound
    address = f"http://{name}:{port}"
    typer.echo(f"GraphiQL  {address}/graphql  (in a browser)")
    typer.echo(f"Endpoint  {address}/graphql")
    typer.echo(f"Health    {address}/health/ready")
