"""The application in this process, and as a program of its own for what needs sockets."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, cast

import httpx
import psutil
import pytest
from starlette.applications import Starlette

from graphql_api.app import create_app
from graphql_api.config import Settings, load_settings
from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.schema.root import build_schema
from graphql_api.services.policy import Viewer
from graphql_api.services.resources import create_keys
from graphql_api.services.token import AccessTokens
from tests.factories import create_session, create_user

STOP_SECONDS = 60
SECRET_KEY = "a-secret-key-of-the-tests-0123456789"  # noqa: S105 - of servers that live as long as a test


@pytest.fixture(scope="package", autouse=True)
def _one_schema() -> Iterator[None]:
    """One schema for all applications of this process: to put it together takes longer than most tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("graphql_api.app.build_schema", cache(build_schema))
        yield


@pytest.fixture
def settings(database_url: str, redis_url: str, tmp_path: Path) -> Settings:
    """Settings for an application on this test's own database and folder."""
    return load_settings(
        tmp_path / "no.env",
        database_url=database_url,
        redis_url=redis_url,
        data_dir=tmp_path / "data",
        secret_key=SECRET_KEY,
        upload_limit_bytes=1_000_000,
        worker_in_server=False,
    )


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[Starlette]:
    """The application, running, without a worker."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


async def create_viewer(database: Database, role: Role) -> Viewer:
    """Somebody with an account and a session."""
    async with database.transaction() as session:
        user = await create_user(session, role=role)
        return Viewer(user.id, role, (await create_session(session, user)).id)


def authorization(settings: Settings, viewer: Viewer) -> dict[str, str]:
    """The header that signs somebody in, as the program itself would have given it out."""
    token = AccessTokens(create_keys(settings)).issue(viewer, lifetime_minutes=15)
    return {"authorization": f"Bearer {token.text}"}


@pytest.fixture
async def admin(database: Database) -> Viewer:
    """An administrator who has signed in."""
    return await create_viewer(database, Role.ADMIN)


@pytest.fixture
def admin_header(settings: Settings, admin: Viewer) -> dict[str, str]:
    """The administrator's `Authorization`."""
    return authorization(settings, admin)


@asynccontextmanager
async def client_of(app: Starlette, headers: dict[str, str] | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client that talks to an application without sockets, and sends these headers."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
        yield client


@pytest.fixture
async def stranger(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of somebody who has not signed in."""
    async with client_of(app) as client:
        yield client


@pytest.fixture
async def http(app: Starlette, admin_header: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of an administrator."""
    async with client_of(app, admin_header) as client:
        yield client


@dataclass(frozen=True)
class RunningServer:
    """`graphql-api serve` as a process."""

    process: psutil.Process
    url: str
    folder: Path


@pytest.fixture
def server(settings: Settings) -> Iterator[RunningServer]:
    """A real server on a free port."""
    environment = {
        **os.environ,
        "DATABASE_URL": settings.database_url or "",
        "REDIS_URL": settings.redis_url or "",
        "DATA_DIR": str(settings.data_dir),
        "SECRET_KEY": SECRET_KEY,
        "UPLOAD_LIMIT_BYTES": "1GiB",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", "from graphql_api.cli import main; main()", "serve", "--port", "0"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        lines = iter(cast("IO[str]", process.stdout))
        url = next(line for line in lines if line.startswith("Endpoint")).split()[1]
        yield RunningServer(psutil.Process(process.pid), url, settings.data_dir)
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)
        cast("IO[str]", process.stdout).close()
