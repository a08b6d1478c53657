"""Everything put together: each part is built once, here, and handed to those who need it."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Coroutine, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from graphql_api.config import Settings, SettingsError, load_settings
from graphql_api.database.engine import Database
from graphql_api.events.bus import Bus
from graphql_api.events.feed import Feed
from graphql_api.events.identity import log_identity
from graphql_api.events.relay import Relay
from graphql_api.events.retention import forget_old_events
from graphql_api.schema.context import Services
from graphql_api.schema.root import ApiSchema, build_schema
from graphql_api.services.authentication import Authentication
from graphql_api.services.books_watch import watch_books
from graphql_api.services.idempotency import forget_old_keys
from graphql_api.services.import_run import ImportRunner
from graphql_api.services.low_stock_sweep import sweep_low_stock
from graphql_api.services.mail.delivery import create_delivery
from graphql_api.services.mail.runner import MailRunner
from graphql_api.services.noticeboard import Noticeboard
from graphql_api.services.password import Passwords
from graphql_api.services.pdf.renderer import Renderer
from graphql_api.services.periodic import Periodic
from graphql_api.services.readiness import Readiness
from graphql_api.services.resources import create_database, create_keys, create_storage
from graphql_api.services.storage import FileStorage
from graphql_api.services.throttle import Throttle
from graphql_api.services.token import AccessTokens
from graphql_api.transport.boundary import RequestBoundary
from graphql_api.transport.fanout import Fanout
from graphql_api.transport.files import Downloads
from graphql_api.transport.graphiql_page import graphiql_routes
from graphql_api.transport.graphql_http import GraphQLEndpoint
from graphql_api.transport.graphql_sse import Streaming
from graphql_api.transport.graphql_ws import GraphQLSocketEndpoint
from graphql_api.transport.graphql_ws_connection import House
from graphql_api.transport.graphql_ws_limits import SocketLimits
from graphql_api.transport.graphql_ws_operation import Engine
from graphql_api.transport.health import Health
from graphql_api.transport.images import Images
from graphql_api.transport.invoice_pdf import InvoicePdfs
from graphql_api.transport.low_stock_report import LowStockReports
from graphql_api.transport.metrics import MetricsPage
from graphql_api.transport.origin import ClientAddress
from graphql_api.transport.presence import Presence
from graphql_api.transport.problems import http_problem
from graphql_api.transport.stopping import Stopping
from graphql_api.worker import Worker

STOP_SECONDS = 2.0
# Objects after which it is looked which of them are garbage. Next to all go by themselves; with Python's 700, what is
# only in use for a moment is counted among the lasting, and all of those are looked at again and again.
YOUNG_OBJECTS = 20_000
REDIS_SECONDS = 1.0
ALLOWED_HEADERS = (
    "authorization",
    "content-type",
    "graphql-require-preflight",
    "idempotency-key",
    "last-event-id",
    "x-request-id",
)


def create_app(settings: Settings) -> Starlette:
    """The web application.

    Raises:
        SettingsError: DATABASE_URL or REDIS_URL is missing; `graphql-api serve` starts servers for them.
    """
    database = create_database(settings)
    storage = create_storage(settings)
    redis = create_redis(settings)
    worker = create_worker(settings, database, storage) if settings.worker_in_server else None
    bus = create_bus(settings, database)
    services = create_services(settings, database, storage, redis, bus)
    relay = create_relay(database, bus)
    schema = build_schema()
    fanout = Fanout(schema, services)
    presence = Presence(services, settings.connections_per_user)
    stopping = Stopping()

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        try:
            async with (
                listening(services.noticeboard),
                following(services.feed),
                relaying(relay, bus),
                watching(presence),
                delivering(fanout),
                running(worker),
            ):
                with stopping.heard():
                    yield
        finally:
            await redis.aclose()
            await database.close()

    streaming = Streaming(fanout, presence, stopping)
    return Starlette(
        routes=[
            *_graphql_routes(settings, schema, services, streaming),
            *_other_routes(settings, services, Health(Readiness(database, redis))),
        ],
        middleware=[
            Middleware(ClientAddress, proxies=[ip_network(network) for network in settings.trusted_proxies]),
            Middleware(RequestBoundary),
            Middleware(TrustedHostMiddleware, allowed_hosts=list(settings.trusted_hosts), www_redirect=False),
            *_cross_origin(settings),
        ],
        exception_handlers={HTTPException: http_problem},
        lifespan=lifespan,
    )


def _graphql_routes(
    settings: Settings, schema: ApiSchema, services: Services, streaming: Streaming
) -> Sequence[BaseRoute]:
    endpoint = GraphQLEndpoint(
        schema=schema,
        services=services,
        streaming=streaming,
        upload_limit=settings.upload_limit_bytes,
        upload_folder=_upload_folder(settings),
    )
    limits = SocketLimits(operations=settings.operations_per_socket)
    engine = Engine(services, schema, streaming.fanout)
    sockets = GraphQLSocketEndpoint(House(engine, streaming.presence, limits))
    return (
        Route("/graphql", endpoint.handle, methods=["GET", "POST"]),
        WebSocketRoute("/graphql", sockets),
        *graphiql_routes(),
    )


def _other_routes(settings: Settings, services: Services, health: Health) -> Sequence[BaseRoute]:
    return (
        Route("/images/{name}/{variant}.webp", Images(services).get),
        Route("/imports/{id}/rejects.csv", Downloads(services).rejects),
        Route("/invoices/{id}.pdf", InvoicePdfs(services).get),
        Route("/reports/low-stock.txt", LowStockReports(services).text),
        Route("/reports/low-stock.csv", LowStockReports(services).csv),
        Route("/metrics", MetricsPage(services, [ip_network(text) for text in settings.metrics_readers]).get),
        Route("/health/live", health.live),
        Route("/health/ready", health.ready),
        Route("/", _to_graphql),
    )


def app_from_environment() -> Starlette:
    """The web application for server processes that get their settings from the environment alone."""
    return create_served_app(load_settings())


def create_served_app(settings: Settings) -> Starlette:
    """The web application, for a process that does nothing else: what is there by now stays, and is no garbage.

    Raises:
        SettingsError: as `create_app` does.
    """
    app = create_app(settings)
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    return app


def create_redis(settings: Settings) -> Redis:
    """The Redis of the settings; it gives up after a second rather than make a request wait.

    Raises:
        SettingsError: there is none.
    """
    if settings.redis_url is None:
        raise SettingsError("REDIS_URL is not set. `graphql-api serve` starts a Valkey of its own.")
    # many at once wait for a connection; to refuse them would look as if Redis were away
    connections = BlockingConnectionPool.from_url(
        settings.redis_url,
        timeout=REDIS_SECONDS,
        socket_timeout=REDIS_SECONDS,
        socket_connect_timeout=REDIS_SECONDS,
    )
    return Redis.from_pool(connections)


def create_bus(settings: Settings, database: Database) -> Bus:
    """The bus of the settings, for the events of this database and no other."""
    return Bus(settings.redis_url, lambda: log_identity(database))


def create_relay(database: Database, bus: Bus) -> Relay:
    """A relay that hears of every commit of this process."""
    relay = Relay(database.url, bus)
    database.on_commit = relay.wake
    return relay


def create_services(settings: Settings, database: Database, storage: FileStorage, redis: Redis, bus: Bus) -> Services:
    """What all operations of this process share."""
    keys = create_keys(settings)
    noticeboard = Noticeboard(database.url)
    return Services(
        database=database,
        storage=storage,
        upload_limit=settings.upload_limit_bytes,
        keys=keys,
        passwords=Passwords(),
        authentication=Authentication(database, noticeboard, AccessTokens(keys)),
        noticeboard=noticeboard,
        throttle=Throttle(redis, secret=keys.current.secret),
        documents=Renderer(),
        feed=Feed(database, bus),
    )


def create_worker(settings: Settings, database: Database, storage: FileStorage) -> Worker:
    """A worker that runs every kind of job."""
    delivery = create_delivery(settings.smtp_url, settings.data_dir / "mail", settings.mail_from)
    return Worker(
        database.url,
        imports=ImportRunner(database, storage, settings.unpacked_limit_bytes),
        mails=MailRunner(database, delivery, create_keys(settings)),
        periodic=create_periodic(database, settings.event_retention_days),
    )


def create_periodic(database: Database, event_retention_days: int) -> Sequence[Periodic]:
    """What comes round by the clock; times are UTC."""
    return (
        Periodic("books", "17 3 * * *", lambda: watch_books(database)),
        Periodic("low-stock", "*/15 * * * *", lambda: _done(sweep_low_stock(database))),
        Periodic("idempotency-keys", "42 * * * *", lambda: _done(forget_old_keys(database))),
        Periodic("events", "7 * * * *", lambda: _done(forget_old_events(database, event_retention_days))),
    )


async def _done(work: Awaitable[object]) -> None:
    """Do it and forget the answer."""
    await work


@asynccontextmanager
async def listening(noticeboard: Noticeboard) -> AsyncIterator[None]:
    """Hear notices for as long as the block lasts."""
    task = asyncio.create_task(noticeboard.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=STOP_SECONDS)


@asynccontextmanager
async def watching(presence: Presence) -> AsyncIterator[None]:
    """Watch over who is connected for as long as the block lasts."""
    async with _background(presence.run()):
        yield


@asynccontextmanager
async def delivering(fanout: Fanout) -> AsyncIterator[None]:
    """Run subscriptions for as long as the block lasts."""
    async with _background(fanout.run()):
        yield


@asynccontextmanager
async def following(feed: Feed) -> AsyncIterator[None]:
    """Follow events for as long as the block lasts."""
    async with _background(feed.run()):
        yield


@asynccontextmanager
async def relaying(relay: Relay, bus: Bus) -> AsyncIterator[None]:
    """Have events numbered, here or elsewhere, and told of for as long as the block lasts."""
    async with _background(bus.run(), relay.run()):
        yield


@asynccontextmanager
async def _background(*runs: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(run) for run in runs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=STOP_SECONDS)


@asynccontextmanager
async def running(worker: Worker | None) -> AsyncIterator[None]:
    """Run the worker for as long as the block lasts; afterwards it has two seconds to let go of its jobs."""
    if worker is None:
        yield
        return
    task = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        worker.stop()
        await asyncio.wait({task}, timeout=STOP_SECONDS)
        task.cancel()


def _upload_folder(settings: Settings) -> Path | None:
    """A folder on the disk of our data, because /tmp lies in memory on many systems."""
    folder = settings.data_dir.absolute() / "uploads"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder


def _cross_origin(settings: Settings) -> list[Middleware]:
    if not settings.cors_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=("GET", "POST"),
            allow_headers=ALLOWED_HEADERS,
            expose_headers=("x-request-id",),
        )
    ]


async def _to_graphql(_request: Request) -> Response:
    return RedirectResponse("/graphql")
