"""Run a transaction again that has lost a race against another one."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from graphql_api.services.faults import is_lost_race

logger = logging.getLogger(__name__)

MAX_RETRIES = 5
FIRST_PAUSE = 0.02
SPREAD = 0.5

Result = TypeVar("Result")


async def retry_lost_races(run: Callable[[], Awaitable[Result]]) -> Result:
    """What `run` returns, which is one whole transaction; after a deadlock or serialization failure it runs again.

    Such a transaction has left no trace, so `run` begins with nothing but what the database says. It runs again at
    most 5 times, after pauses that grow from about 20 to about 320 ms, so that those who have met do not meet again.

    Raises:
        Exception: what `run` raised, when that is no lost race, or one lost once too often.
    """
    for pause in _pauses():
        try:
            return await run()
        except Exception as error:
            if not is_lost_race(error):
                raise
            logger.info("A transaction lost a race and runs again in %.0f ms: %r", pause * 1000, error)
        await asyncio.sleep(pause)
    return await run()


def _pauses() -> Iterator[float]:
    """Seconds to wait before each further attempt."""
    for attempt in range(MAX_RETRIES):
        yield FIRST_PAUSE * 2**attempt * random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311 - spreads, hides nothing
