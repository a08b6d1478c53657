"""A connection beside the program's, and what it sees of events; time for all on a busy machine."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from graphql_api.events import redis_backend
from tests.events.event_case import EventCase

PATIENCE = 60.0


def give_redis_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis may be as slow as the machine is: only what is broken or refused counts as an outage."""
    for limit in ("CONNECT_SECONDS", "PUBLISH_SECONDS"):
        monkeypatch.setattr(redis_backend, limit, PATIENCE)
    monkeypatch.setattr(redis_backend, "SILENCES", PATIENCE / redis_backend.SILENCE_SECONDS)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is about the limits of Redis, unless it takes them back with `monkeypatch.undo`."""
    give_redis_time(monkeypatch)


@pytest.fixture
async def case(database_url: str) -> AsyncIterator[EventCase]:
    """The events of this test's own database."""
    connection = await asyncpg.connect(database_url, server_settings={"timezone": "UTC"})
    yield EventCase(connection)
    await connection.close()
