"""Counting attempts: in Redis for all processes together, and in this process while Redis is away.

The windows move: an attempt counts for as long as its rule says from the moment it was made. What is refused does not
count, so the time to wait is the time until the oldest attempt leaves the window.
"""

import asyncio
import hashlib
import ipaddress
import logging
import math
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cachetools import LRUCache
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import Redis
from redis.exceptions import RedisError

from graphql_api.services.errors import BadInput, RateLimited
from graphql_api.services.policy import Viewer
from graphql_api.services.throttle_rules import Rule, Subject
from graphql_api.services.user import canonical_email

logger = logging.getLogger(__name__)

# A Redis that does not answer in this time is left alone for a while.
ANSWER_SECONDS = 0.2
REST_SECONDS = 1.0
REMEMBERED_SUBJECTS = 20_000
NETWORK_BITS = 64
AWAY = (RedisError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who tries something: the account, the network address and the e-mail address that the input names."""

    viewer: Viewer | None = None
    address: str | None = None
    email: str | None = None

    def value(self, subject: Subject) -> str | None:
        """What is counted for a kind of subject; None when there is nothing to count for."""
        match subject:
            case Subject.ADDRESS:
                return network_of(self.address)
            case Subject.STRANGER:
                return None if self.viewer else network_of(self.address)
            case Subject.ACCOUNT:
                return str(self.viewer.user_id) if self.viewer else None
            case Subject.EMAIL:
                return None if self.email is None else _one_spelling(self.email)
            case Subject.SENDER:
                return None if self.email is None else f"{network_of(self.address)} {_one_spelling(self.email)}"


def network_of(address: str | None) -> str:
    """What counts as one address: an IPv4 address, the /64 of an IPv6 address; all unknown ones are one."""
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, NETWORK_BITS), strict=False))


def _one_spelling(email: str) -> str:
    """The form that all spellings of an address share; what is no address stands for itself."""
    try:
        return canonical_email(email)
    except BadInput:
        return email


class Memory:
    """The attempts that this process has let through, of the subjects it has seen last."""

    def __init__(self) -> None:
        self._attempts: LRUCache[str, deque[float]] = LRUCache(REMEMBERED_SUBJECTS)

    def wait(self, key: str, rule: Rule, now: float) -> float:
        """Seconds until the next attempt is taken; 0 when it is taken now."""
        attempts = self._attempts.get(key)
        if attempts is None or len(attempts) < rule.limit.amount:
            return 0.0
        return max(0.0, attempts[0] + rule.limit.get_expiry() - now)

    def add(self, key: str, rule: Rule, now: float) -> None:
        """Remember an attempt."""
        attempts = self._attempts.get(key)
        if attempts is None:
            attempts = self._attempts[key] = deque(maxlen=rule.limit.amount)
        attempts.append(now)


class SharedMemory:
    """The attempts that all processes have let through, in Redis.

    A Redis that fails is asked again after a second, by one attempt alone: the others do not wait for it.
    """

    def __init__(self, redis: Redis) -> None:
        pool: Any = redis.connection_pool  # the library's types do not know that it takes one
        storage = RedisStorage("redis://", implementation="redispy", key_prefix="throttle", connection_pool=pool)
        self._limiter = MovingWindowRateLimiter(storage)
        self._is_away = False
        self._rest_until = float("-inf")

    async def wait(self, key: str, rule: Rule) -> float | None:
        """Seconds until the next attempt is taken; 0 when this one was, and counted; None while Redis is away."""
        now = time.monotonic()
        if now < self._rest_until:
            return None
        if self._is_away:
            self._rest_until = now + REST_SECONDS
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                seconds = await self._ask(key, rule)
        except AWAY as error:
            self._leave_alone(error)
            return None
        self._welcome()
        return seconds

    async def _ask(self, key: str, rule: Rule) -> float:
        if await self._limiter.hit(rule.limit, key):
            return 0.0
        window = await self._limiter.get_window_stats(rule.limit, key)
        # something may have left the window since, and then there is no need to wait for the next to leave
        return 0.001 if window.remaining > 0 else max(0.001, window.reset_time - time.time())

    def _leave_alone(self, error: Exception) -> None:
        self._rest_until = time.monotonic() + REST_SECONDS
        if not self._is_away:
            logger.warning("Redis is away, each process counts attempts by itself: %s", type(error).__name__)
        self._is_away = True

    def _welcome(self) -> None:
        if self._is_away:
            logger.info("Redis is back, attempts are counted together again")
        self._is_away = False
        self._rest_until = float("-inf")


class Throttle:
    """Counts attempts and refuses those that are too many.

    Args:
        redis: shared by all processes; None counts in this process alone.
        secret: makes the keys in Redis, so that nobody can tell from them whom they are about.
    """

    def __init__(self, redis: Redis | None, secret: bytes = b"") -> None:
        self._memory = Memory()
        self._shared = SharedMemory(redis) if redis else None
        self._secret = hashlib.blake2b(secret).digest()

    async def count(self, rules: Iterable[Rule], caller: Caller) -> None:
        """Count one attempt.

        Raises:
            RateLimited: there were too many of late.
        """
        for rule in rules:
            value = caller.value(rule.subject)
            if value is not None:
                await self._count(self._key(rule, value), rule)

    async def _count(self, key: str, rule: Rule) -> None:
        # What this process alone has let through is part of the whole, also after Redis has lost its memory.
        now = time.monotonic()
        seconds = self._memory.wait(key, rule, now)
        if not seconds and self._shared:
            answer = await self._shared.wait(key, rule)
            # while Redis was asked in vain, others were let through
            seconds = self._memory.wait(key, rule, now) if answer is None else answer
        if seconds:
            raise RateLimited("Too many attempts. Try again in {retry_after} seconds.", retry_after=math.ceil(seconds))
        self._memory.add(key, rule, now)

    def _key(self, rule: Rule, value: str) -> str:
        text = f"{rule.what}\n{rule.subject}\n{value}"
        return hashlib.blake2b(text.encode(), key=self._secret, digest_size=16).hexdigest()
