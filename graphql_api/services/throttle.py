"""How often something may be tried: counted for each account and each address."""

from redis.asyncio import Redis

from graphql_api.services.policy import Viewer


class Throttle:
    """Counts attempts in Redis, and in this process while Redis is away.

    Args:
        redis: shared by all processes; None counts in this process alone.
    """

    def __init__(self, redis: Redis | None) -> None:
        self._redis = redis

    async def count(self, action: str, viewer: Viewer | None, address: str | None) -> None:
        """Count one attempt.

        Raises:
            RateLimited: there were too many of late.
        """
