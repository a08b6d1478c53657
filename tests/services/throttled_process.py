"""A process that tries something again and again, and tells how often it was let through."""

import asyncio
import sys

from limits import parse
from redis.asyncio import Redis

from graphql_api.services import throttle as throttling
from graphql_api.services.errors import RateLimited
from graphql_api.services.throttle import Caller, Throttle
from graphql_api.services.throttle_rules import Rule, Subject


async def let_through(url: str, attempts: int) -> int:
    """How many of so many attempts are taken, where thirty are the limit of all processes."""
    redis = Redis.from_url(url)
    throttle = Throttle(redis)
    rule = Rule("knock", Subject.ADDRESS, parse("30 per hour"))
    taken = 0
    for _ in range(attempts):
        try:
            await throttle.count([rule], Caller(address="192.0.2.1"))
        except RateLimited:
            continue
        taken += 1
    await redis.aclose()
    return taken


if __name__ == "__main__":
    # a busy machine is not to be taken for a Redis that is away
    throttling.ANSWER_SECONDS = 60.0
    sys.stdout.write(f"{asyncio.run(let_through(sys.argv[1], int(sys.argv[2])))}\n")
