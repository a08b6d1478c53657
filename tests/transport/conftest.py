"""The application in this process, and as a program of its own for what needs sockets."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import httpx
import psutil
import pytest
from starlette.applications import Starlette

from graphql_api import embedded
from graphql_api.app import create_app
from graphql_api.config import Settings, load_settings

STOP_SECONDS = 10


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Valkey of this run's own."""
    folder = tmp_path_factory.mktemp("valkey")
    with embedded.start(folder, postgres=False) as servers:
        yield servers.redis_url
    embedded.remove(folder)


@pytest.fixture
def settings(database_url: str, redis_url: str, tmp_path: Path) -> Settings:
    """Settings for an application on this test's own database and folder."""
    return load_settings(
        tmp_path / "no.env",
        database_url=database_url,
        redis_url=redis_url,
        data_dir=tmp_path / "data",
        upload_limit_bytes=1_000_000,
        worker_in_server=False,
    )


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[Starlette]:
    """The application, running, without a worker."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def http(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client that talks to the application without sockets."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as client:
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
