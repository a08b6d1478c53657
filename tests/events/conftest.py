"""A connection beside the program's, and what it sees of events."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.events.event_case import EventCase


@pytest.fixture
async def case(database_url: str) -> AsyncIterator[EventCase]:
    """The events of this test's own database."""
    connection = await asyncpg.connect(database_url, server_settings={"timezone": "UTC"})
    yield EventCase(connection)
    await connection.close()
