"""`doctor`: whether everything the program needs is there, and what to do where it is not."""

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiosmtplib
import typer
from rich.console import Console

from graphql_api.app import create_redis
from graphql_api.cli.database import has_administrator
from graphql_api.cli.description import describe
from graphql_api.cli.failure import ExitCode, shown_address
from graphql_api.cli.servers import servers
from graphql_api.config import Settings, load_settings
from graphql_api.services.readiness import is_migrated
from graphql_api.services.resources import create_database, create_keys, create_storage
from graphql_api.transport.graphiql_page import DIST

OLDEST_POSTGRES = 15
OLDEST_REDIS = 7
SMTP_SECONDS = 5
LEAST_FREE_BYTES = 1 << 30


class Fault(Exception):  # noqa: N818 - what a check finds
    """Something that is not as it must be; the message says what to do."""


@dataclass(frozen=True)
class Check:
    """One question. `ask` returns what is good to know, or raises a `Fault`."""

    name: str
    ask: Callable[[], Awaitable[str]]


def doctor() -> None:
    """Check settings, servers, storage and files; say what to do where something is wrong."""
    console = Console(soft_wrap=True, highlight=False)
    settings = load_settings()
    _print(console, "Settings", "all known and usable", is_good=True)
    with servers(settings) as complete:
        is_well = asyncio.run(_examine(complete, console))
    if not is_well:
        raise typer.Exit(ExitCode.FAILED)


def checks(settings: Settings) -> list[Check]:
    """Everything that is checked, in the order in which it is needed."""

    async def free_disk() -> str:
        return _check_disk(settings.data_dir)

    async def keys() -> str:
        return _check_keys(settings)

    async def graphiql() -> str:
        return _check_graphiql()

    return [
        Check("PostgreSQL", lambda: _check_postgres(settings)),
        Check("Migrations", lambda: _check_migrations(settings)),
        Check("Redis", lambda: _check_redis(settings)),
        Check("Storage", lambda: _check_storage(settings)),
        Check("Free disk", free_disk),
        Check("Keys", keys),
        Check("Administrator", lambda: _check_administrator(settings)),
        Check("Mail", lambda: _check_mail(settings)),
        Check("GraphiQL", graphiql),
    ]


async def _examine(settings: Settings, console: Console) -> bool:
    is_well = True
    for check in checks(settings):
        try:
            detail, is_good = await check.ask(), True
        except Fault as fault:
            detail, is_good = str(fault), False
        except Exception as error:  # noqa: BLE001 - whatever a driver or a disk raises is the finding
            detail, is_good = describe(error), False
        _print(console, check.name, detail, is_good=is_good)
        is_well = is_well and is_good
    return is_well


def _print(console: Console, name: str, detail: str, *, is_good: bool) -> None:
    console.print("[green]OK  [/]" if is_good else "[red]FAIL[/]", end=" ")
    console.print(f"{name:<14}{detail}", markup=False)


async def _check_postgres(settings: Settings) -> str:
    database = create_database(settings)
    try:
        async with database.dedicated() as connection:
            version = connection.get_server_version()
    finally:
        await database.close()
    if version.major < OLDEST_POSTGRES:
        raise Fault(
            f"is version {version.major}; version {OLDEST_POSTGRES} or newer is needed. Point DATABASE_URL at one."
        )
    return f"version {version.major}.{version.minor} at {shown_address(database.url)}"


async def _check_migrations(settings: Settings) -> str:
    database = create_database(settings)
    try:
        if not await is_migrated(database):
            raise Fault("the schema is not the newest. Run `graphql-api migrate`.")
    finally:
        await database.close()
    return "the schema is the newest"


async def _check_redis(settings: Settings) -> str:
    redis = create_redis(settings)
    try:
        server = await redis.info("server")
    finally:
        await redis.aclose()
    if "valkey_version" in server:
        return f"Valkey {server['valkey_version']} at {shown_address(settings.redis_url or '')}"
    version = str(server["redis_version"])
    if int(version.partition(".")[0]) < OLDEST_REDIS:
        raise Fault(f"is version {version}; Redis {OLDEST_REDIS} or any Valkey is needed. Point REDIS_URL at one.")
    return f"version {version} at {shown_address(settings.redis_url or '')}"


async def _check_storage(settings: Settings) -> str:
    storage = create_storage(settings)
    key = f"doctor/{uuid.uuid4().hex}"
    await storage.write(key, _one_chunk(), limit=1)
    await storage.delete(key)
    return "files can be written and deleted"


async def _one_chunk() -> AsyncIterator[bytes]:
    yield b"x"


def _check_disk(folder: Path) -> str:
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < LEAST_FREE_BYTES:
        raise Fault(f"only {free >> 20} MiB are free at {existing}. Make room, or set DATA_DIR to another disk.")
    return f"{free >> 30} GiB at {existing}"


def _check_keys(settings: Settings) -> str:
    """The file is read as the server does it, which refuses one that others can open."""
    create_keys(settings)
    if settings.secret_key is None:
        return f"are in {settings.data_dir.absolute()}, where no other account can read them"
    older = len(settings.previous_secret_keys)
    return "SECRET_KEY" + (f" and {older} in PREVIOUS_SECRET_KEYS" if older else "")


async def _check_administrator(settings: Settings) -> str:
    database = create_database(settings)
    try:
        if not await has_administrator(database):
            raise Fault("nobody can sign in as one. Run `graphql-api create-admin`.")
    finally:
        await database.close()
    return "there is one"


async def _check_mail(settings: Settings) -> str:
    if settings.smtp_url is None:
        return f"SMTP_URL is not set; mails are written to {settings.data_dir.absolute() / 'mail'}"
    address, parts = shown_address(settings.smtp_url), urlsplit(settings.smtp_url)
    server = aiosmtplib.SMTP(
        hostname=parts.hostname, port=parts.port, use_tls=parts.scheme == "smtps", timeout=SMTP_SECONDS
    )
    try:
        async with server:
            return f"goes to {address}, from {settings.mail_from}"
    except (aiosmtplib.SMTPException, OSError) as error:
        raise Fault(f"{address} does not talk SMTP: {describe(error)}. Start it, or correct SMTP_URL.") from error


def _check_graphiql() -> str:
    if not (DIST / "index.html").is_file():
        raise Fault(f"is not built; browsers get a plain console. Run `npm ci && npm run build` in {DIST.parent}.")
    return "is built"
