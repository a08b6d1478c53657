"""The two questions of a load balancer, with every part there or missing."""

import asyncio
import socket
from collections.abc import Iterator

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis

from graphql_api import app as app_module
from graphql_api.app import create_app, create_redis
from graphql_api.config import Settings
from graphql_api.services import readiness
from tests.ports import kept_port


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which nobody listens, and nobody else can."""
    with kept_port() as port:
        yield port


@pytest.fixture
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time to open the first connections and to read the migrations, however busy the machine is."""
    monkeypatch.setattr(readiness, "PATIENCE_SECONDS", 60.0)


async def get(settings: Settings, path: str) -> httpx.Response:
    """An answer of an application whose worker is elsewhere."""
    app = create_app(settings.model_copy(update={"worker_in_server": False}))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as client,
    ):
        return await client.get(path)


async def test_a_process_that_answers_is_alive_whatever_else_is_missing(settings: Settings, closed_port: int) -> None:
    lonely = settings.model_copy(update={"database_url": f"postgresql://127.0.0.1:{closed_port}/x"})

    response = await get(lonely, "/health/live")

    assert (response.status_code, response.json()) == (200, {"status": "alive"})


@pytest.mark.usefixtures("_patient")
async def test_with_everything_there_it_is_ready(settings: Settings) -> None:
    response = await get(settings, "/health/ready")

    assert response.status_code == 200
    assert response.json() == {"status": "ready", "database": "ready", "migrations": "ready", "redis": "ready"}
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.usefixtures("_patient")
async def test_without_redis_it_is_not_ready(settings: Settings, closed_port: int) -> None:
    response = await get(
        settings.model_copy(update={"redis_url": f"redis://:secret@127.0.0.1:{closed_port}/0"}), "/health/ready"
    )

    assert response.status_code == 503
    assert response.json() == {
        "status": "unavailable",
        "database": "ready",
        "migrations": "ready",
        "redis": "unreachable",
    }
    assert "secret" not in response.text


async def test_a_database_that_does_not_answer_is_reported_within_a_second(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://u:secret@127.0.0.1:{silent.getsockname()[1]}/x"

        response = await get(settings.model_copy(update={"database_url": url}), "/health/ready")

    assert response.status_code == 503
    assert response.json()["database"] == "unreachable"
    # it never does: what has ended the waiting is our limit, or else the driver's, which is a minute
    assert readiness.PATIENCE_SECONDS == 1.0
    assert response.elapsed.total_seconds() < 30
    assert "secret" not in response.text


@pytest.mark.usefixtures("_patient")
async def test_missing_migrations_are_reported(settings: Settings, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE alembic_version SET version_num = '0000'")
    await connection.close()

    response = await get(settings, "/health/ready")

    assert response.status_code == 503
    assert response.json()["migrations"] == "outdated"


async def test_files_are_read_before_the_second_that_servers_have(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    were_read: list[bool] = []

    async def ping(_redis: Redis) -> bool:
        were_read.append(readiness.newest_revision.cache_info().currsize == 1)
        return True

    readiness.newest_revision.cache_clear()
    monkeypatch.setattr(Redis, "ping", ping)

    await get(settings, "/health/ready")

    assert were_read == [True]


async def test_many_who_need_redis_at_once_wait_for_each_other(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "REDIS_SECONDS", 60.0)
    redis = create_redis(settings)
    assert all(await asyncio.gather(*(redis.ping() for _ in range(300))))
    await redis.aclose()
