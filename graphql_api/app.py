"""Everything put together: each part is built once, here, and handed to those who need it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from graphql_api.config import Settings, SettingsError, load_settings
from graphql_api.database.engine import Database
from graphql_api.events.feed import Feed
from graphql_api.events.relay import Relay
from graphql_api.schema.context import Services
from graphql_api.schema.root import build_schema
from graphql_api.services.authentication import Authentication
from graphql_api.services.books_watch import watch_books
from graphql_api.services.idempotency import forget_old_keys
from graphql_api.services.import_run import ImportRunner
from graphql_api.services.key import GivenKeys, KeyRing, WeakKeyError
from graphql_api.services.key_file import OwnKeys
from graphql_api.services.low_stock_sweep import sweep_low_stock
from graphql_api.services.mail.delivery import create_delivery
from graphql_api.services.mail.runner import MailRunner
from graphql_api.services.noticeboard import Noticeboard
from graphql_api.services.password import Passwords
from graphql_api.services.pdf.renderer import Renderer
from graphql_api.services.periodic import Periodic
from graphql_api.services.readiness import Readiness
from graphql_api.services.storage import FileStorage
from graphql_api.services.throttle import Throttle
from graphql_api.services.token import AccessTokens
from graphql_api.transport.boundary import RequestBoundary
from graphql_api.transport.files import Downloads
from graphql_api.transport.graphiql_page import graphiql_routes
from graphql_api.transport.graphql_http import GraphQLEndpoint
from graphql_api.transport.health import Health
from graphql_api.transport.images import Images
from graphql_api.transport.invoice_pdf import InvoicePdfs
from graphql_api.transport.low_stock_report import LowStockReports
from graphql_api.transport.metrics import MetricsPage
from graphql_api.transport.origin import ClientAddress
from graphql_api.transport.problems import http_problem
from graphql_api.worker import Worker

STOP_SECONDS = 2.0
REDIS_SECONDS = 1.0
ALLOWED_HEADERS = ("authorization", "content-type", "graphql-require-preflight", "idempotency-key", "x-request-id")


def create_app(settings: Settings) -> Starlette:
    """The web application.

    Raises:
        SettingsError: DATABASE_URL or REDIS_URL is missing; `graphql-api serve` starts servers for them.
    """
    database = create_database(settings)
    storage = create_storage(settings)
    redis = create_redis(settings)
    worker = create_worker(settings, database, storage) if settings.worker_in_server else None
    services = create_services(settings, database, storage, redis)
    relay = Relay(database.url)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        try:
            async with listening(services.noticeboard), following(services.feed, relay), running(worker):
                yield
        finally:
            await redis.aclose()
            await database.close()

    endpoint = GraphQLEndpoint(
        schema=build_schema(),
        services=services,
        upload_limit=settings.upload_limit_bytes,
        upload_folder=_upload_folder(settings),
    )
    health = Health(Readiness(database, redis))
    return Starlette(
        routes=[
            Route("/graphql", endpoint.handle, methods=["GET", "POST"]),
            *graphiql_routes(),
            Route("/images/{name}/{variant}.webp", Images(services).get),
            Route("/imports/{id}/rejects.csv", Downloads(services).rejects),
            Route("/invoices/{id}.pdf", InvoicePdfs(services).get),
            Route("/reports/low-stock.txt", LowStockReports(services).text),
            Route("/reports/low-stock.csv", LowStockReports(services).csv),
            Route("/metrics", MetricsPage(services, [ip_network(text) for text in settings.metrics_readers]).get),
            Route("/health/live", health.live),
            Route("/health/ready", health.ready),
            Route("/", _to_graphql),
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


def app_from_environment() -> Starlette:
    """The web application for server processes that get their settings from the environment alone."""
    return create_app(load_settings())


def create_database(settings: Settings) -> Database:
    """The database of the settings.

    Raises:
        SettingsError: there is none.
    """
    if settings.database_url is None:
        raise SettingsError("DATABASE_URL is not set. `graphql-api serve` starts a PostgreSQL of its own.")
    return Database(
        settings.database_url, pool_size=settings.database_pool_size, timeout=settings.query_timeout_seconds
    )


def create_redis(settings: Settings) -> Redis:
    """The Redis of the settings; it gives up after a second rather than make a request wait.

    Raises:
        SettingsError: there is none.
    """
    if settings.redis_url is None:
        raise SettingsError("REDIS_URL is not set. `graphql-api serve` starts a Valkey of its own.")
    return Redis.from_url(settings.redis_url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS)


def create_keys(settings: Settings) -> KeyRing:
    """The keys of the settings, or else those of the data folder.

    Raises:
        SettingsError: a key could be guessed, or the file of keys in the data folder cannot be used.
    """
    previous = [key.get_secret_value() for key in settings.previous_secret_keys]
    if settings.secret_key is None:
        if previous:
            raise SettingsError("PREVIOUS_SECRET_KEYS needs SECRET_KEY, the key that has replaced them.")
        return OwnKeys(settings.data_dir)
    try:
        return GivenKeys(settings.secret_key.get_secret_value(), previous)
    except WeakKeyError as error:
        raise SettingsError(f"SECRET_KEY or PREVIOUS_SECRET_KEYS cannot be used: {error}") from None


def create_storage(settings: Settings) -> FileStorage:
    """The storage of the settings."""
    return FileStorage(settings.storage)


def create_services(settings: Settings, database: Database, storage: FileStorage, redis: Redis) -> Services:
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
        feed=Feed(database),
    )


def create_worker(settings: Settings, database: Database, storage: FileStorage) -> Worker:
    """A worker that runs every kind of job."""
    delivery = create_delivery(settings.smtp_url, settings.data_dir / "mail", settings.mail_from)
    return Worker(
        database.url,
        imports=ImportRunner(database, storage, settings.unpacked_limit_bytes),
        mails=MailRunner(database, delivery, create_keys(settings)),
        periodic=create_periodic(database),
    )


def create_periodic(database: Database) -> Sequence[Periodic]:
    """What comes round by the clock; times are UTC."""
    return (
        Periodic("books", "17 3 * * *", lambda: watch_books(database)),
        Periodic("low-stock", "*/15 * * * *", lambda: _done(sweep_low_stock(database))),
        Periodic("idempotency-keys", "42 * * * *", lambda: _done(forget_old_keys(database))),
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
async def following(feed: Feed, relay: Relay) -> AsyncIterator[None]:
    """Have events numbered, and follow them, for as long as the block lasts."""
    tasks = [asyncio.create_task(feed.run()), asyncio.create_task(relay.run())]
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
