import asyncio
import math
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits import parse
from redis import Redis as BlockingRedis
from redis.asyncio import Redis
from redis.exceptions import RedisError

from graphql_api import embedded
from graphql_api.database.user import Role
from graphql_api.services.errors import RateLimited
from graphql_api.services.policy import Viewer
from graphql_api.services.throttle import (
    ANSWER_SECONDS,
    REMEMBERED_SUBJECTS,
    REST_SECONDS,
    Caller,
    Memory,
    SharedMemory,
    Throttle,
)
from graphql_api.services.throttle_rules import LIMITS, RULES_OF_EVERY_MUTATION, Rule, Subject, rules_of
from tests.services import throttled_process

KNOCK = Rule("knock", Subject.ADDRESS, parse("10 per minute"))
HOME = Caller(address="192.0.2.1")
PATIENCE = 60.0


async def knock(throttle: Throttle, attempts: int, caller: Caller = HOME, rule: Rule = KNOCK) -> int:
    """How many of so many attempts are taken."""
    taken = 0
    for _ in range(attempts):
        try:
            await throttle.count([rule], caller)
        except RateLimited:
            continue
        taken += 1
    return taken


async def refusal(throttle: Throttle, rule: Rule, caller: Caller = HOME) -> RateLimited:
    """How an attempt is refused."""
    with pytest.raises(RateLimited) as refused:
        await throttle.count([rule], caller)
    return refused.value


ThrottleOf = Callable[..., Throttle]


class Patience:
    """How long everybody waits for Redis: a minute, so that a busy machine does no harm, or as long as the program."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch

    def endless(self) -> None:
        self._patch.setattr("graphql_api.services.throttle.ANSWER_SECONDS", PATIENCE)

    def of_the_program(self) -> None:
        self._patch.setattr("graphql_api.services.throttle.ANSWER_SECONDS", ANSWER_SECONDS)


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Patience:
    return Patience(monkeypatch)


@dataclass
class Questions:
    """What Redis was asked: how many times, by how many at once at most, and by how many right now."""

    count: int = 0
    most: int = 0
    open: int = 0

    def bound(self, began: float) -> int:
        """How many times a Redis that does not answer may have been asked since."""
        return 1 + int((time.monotonic() - began) / REST_SECONDS)


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> Questions:
    asked = Questions()
    ask = SharedMemory._ask  # noqa: SLF001 - to be counted

    async def counted(self: SharedMemory, key: str, rule: Rule) -> float:
        asked.count += 1
        asked.open += 1
        asked.most = max(asked.most, asked.open)
        try:
            return await ask(self, key, rule)
        finally:
            asked.open -= 1

    monkeypatch.setattr(SharedMemory, "_ask", counted)
    return asked


@pytest.fixture
async def throttle_of(patience: Patience) -> AsyncIterator[ThrottleOf]:
    """Makes processes' views of a Redis."""
    patience.endless()
    clients: list[Redis] = []

    def create(url: str, secret: bytes = b"") -> Throttle:
        clients.append(Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE))
        return Throttle(clients[-1], secret)

    yield create
    for client in clients:
        await client.aclose()


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within a minute"
        await asyncio.sleep(0.02)


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A Valkey to do harm to: its URL and its process."""
    with embedded.start(tmp_path, postgres=False) as servers:
        pid_file = tmp_path / "embedded" / "valkey" / "data" / "valkey.pid"
        yield servers.redis_url, psutil.Process(int(pid_file.read_text()))


@pytest.fixture(params=["alone", "together"])
def throttle(request: pytest.FixtureRequest, redis_url: str, throttle_of: ThrottleOf) -> Throttle:
    """Counts in memory alone, or in Redis."""
    return Throttle(None) if request.param == "alone" else throttle_of(redis_url)


async def test_as_many_attempts_are_taken_as_the_rule_says(throttle: Throttle) -> None:
    assert await knock(throttle, 100) == 10
    assert await knock(throttle, 5, Caller(address="192.0.2.2")) == 5


async def test_simultaneous_attempts_are_counted_one_by_one(throttle: Throttle) -> None:
    taken = await asyncio.gather(*(knock(throttle, 1) for _ in range(40)))

    assert sum(taken) == 10


async def test_the_time_to_wait_is_that_until_the_oldest_attempt_leaves_the_window(throttle: Throttle) -> None:
    rule = Rule("long", Subject.ADDRESS, parse("3 per 200 seconds"))
    began = time.monotonic()
    assert await knock(throttle, 3, rule=rule) == 3

    told = (await refusal(throttle, rule)).retry_after
    await asyncio.sleep(1.1)
    later = (await refusal(throttle, rule)).retry_after

    assert math.ceil(200 - (time.monotonic() - began)) <= later < told <= 200


async def test_who_waits_as_long_as_told_is_taken(throttle: Throttle) -> None:
    rule = Rule("short", Subject.ADDRESS, parse("3 per 2 seconds"))

    told = await wait_to_be_told(throttle, rule)
    await asyncio.sleep(told)

    assert 0 < told <= 2
    assert await knock(throttle, 1, rule=rule) == 1


async def wait_to_be_told(throttle: Throttle, rule: Rule) -> int:
    """Attempt until an attempt is refused, however slowly that goes; how long that one has to wait."""
    while True:
        try:
            await throttle.count([rule], HOME)
        except RateLimited as refused:
            return refused.retry_after or 0


async def test_another_process_tells_the_same_time_to_wait(redis_url: str, throttle_of: ThrottleOf) -> None:
    rule = Rule("long", Subject.ADDRESS, parse("3 per 200 seconds"))
    began = time.monotonic()
    assert await knock(throttle_of(redis_url), 3, rule=rule) == 3

    told = (await refusal(throttle_of(redis_url), rule)).retry_after

    assert math.ceil(200 - (time.monotonic() - began)) <= told <= 200


async def test_a_refused_attempt_does_not_lengthen_the_wait(redis_url: str, throttle_of: ThrottleOf) -> None:
    # given an attempt, which others follow much more often than the rule allows
    throttle = throttle_of(redis_url)
    rule = Rule("short", Subject.ADDRESS, parse("1 per 3 seconds"))
    began = time.monotonic()
    assert await knock(throttle, 1, rule=rule) == 1

    async with asyncio.timeout(PATIENCE):
        while not await knock(throttle, 1, rule=rule):  # noqa: ASYNC110 - time changes it
            await asyncio.sleep(0.05)

    # then one of them is taken, and none before it is time
    assert time.monotonic() - began > 2.9


def test_processes_count_together(redis_url: str) -> None:
    command = [sys.executable, "-m", throttled_process.__name__, redis_url, "40"]

    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    taken = [int(process.communicate(timeout=60)[0]) for process in processes]

    assert sum(taken) == 30


async def test_a_killed_redis_is_replaced_by_memory_and_taken_up_again(
    own_valkey: tuple[str, psutil.Process], throttle_of: ThrottleOf, patience: Patience, questions: Questions
) -> None:
    # given
    url, process = own_valkey
    throttle, other = throttle_of(url), throttle_of(url)
    assert await knock(throttle, 4) == 4

    # when
    process.suspend()  # so that it cannot be replaced before the attempts are made
    patience.of_the_program()
    start, asked = time.monotonic(), questions.count
    taken = await knock(throttle, 20)
    asked, bound = questions.count - asked, questions.bound(start)
    process.kill()
    await until(lambda: is_answering(url))
    await asyncio.sleep(REST_SECONDS)
    patience.endless()

    # then
    assert taken == 6
    assert asked <= bound, "it does not wait for each attempt"
    assert await knock(throttle, 20) == 0, "what the process has seen counts on"
    newcomer = Caller(address="192.0.2.9")
    assert await knock(throttle, 6, newcomer) == 6
    assert await knock(other, 20, newcomer) == 4, "processes count together again"


async def test_a_frozen_redis_costs_one_wait_and_not_one_for_each_attempt(
    own_valkey: tuple[str, psutil.Process],
    throttle_of: ThrottleOf,
    patience: Patience,
    questions: Questions,
) -> None:
    # given
    url, process = own_valkey
    throttle, other = throttle_of(url), throttle_of(url)
    assert await knock(throttle, 1) == await knock(other, 1) == 1

    # when
    process.send_signal(signal.SIGSTOP)
    patience.of_the_program()
    start, asked = time.monotonic(), questions.count
    for number in range(200):
        await knock(throttle, 1, Caller(address=f"198.51.100.{number}"))
    asked, bound = questions.count - asked, questions.bound(start)
    together = await asyncio.gather(*(knock(other, 1, Caller(address=f"203.0.113.{number}")) for number in range(50)))
    process.send_signal(signal.SIGCONT)
    await asyncio.sleep(REST_SECONDS)
    patience.endless()

    # then
    assert asked <= bound
    assert (sum(together), questions.most) == (50, 50), "they have waited at the same time"
    assert await knock(throttle, 8) == 8
    assert await knock(other, 5) == 0, "processes count together again"


async def test_one_attempt_finds_out_whether_redis_is_back_and_the_others_do_not_wait(
    own_valkey: tuple[str, psutil.Process], throttle_of: ThrottleOf, patience: Patience, questions: Questions
) -> None:
    # given
    url, process = own_valkey
    throttle = throttle_of(url)
    process.send_signal(signal.SIGSTOP)
    patience.of_the_program()
    await knock(throttle, 1)
    await asyncio.sleep(REST_SECONDS)
    asked = questions.count

    # when
    patience.endless()
    attempts = [asyncio.create_task(knock(throttle, 1, Caller(address=f"203.0.113.{n}"))) for n in range(20)]
    await until(lambda: sum(attempt.done() for attempt in attempts) == 19)

    # then the twentieth goes on waiting, and is answered when Redis is back
    assert (questions.count - asked, questions.open) == (1, 1)
    process.send_signal(signal.SIGCONT)
    assert await asyncio.gather(*attempts) == [1] * 20


async def test_a_flushed_redis_does_not_forgive_what_a_process_remembers(
    redis_url: str, throttle_of: ThrottleOf
) -> None:
    throttle = throttle_of(redis_url)
    assert await knock(throttle, 20) == 10

    with BlockingRedis.from_url(redis_url) as redis:
        redis.flushall()
        redis.script_flush()

    assert await knock(throttle, 20) == 0
    assert await knock(throttle, 20, Caller(address="192.0.2.2")) == 10


async def test_a_redis_that_was_never_there_changes_nothing_but_the_count(
    throttle_of: ThrottleOf, questions: Questions
) -> None:
    throttle = throttle_of("redis://127.0.0.1:1/0")

    start = time.monotonic()

    assert await knock(throttle, 100) == 10
    assert questions.count <= questions.bound(start)


def is_answering(url: str) -> bool:
    try:
        with BlockingRedis.from_url(url, socket_timeout=1, retry=None) as redis:
            return bool(redis.ping())
    except RedisError:
        return False


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        (None, "testclient", True),
    ],
)
async def test_what_counts_as_one_address(first: str | None, second: str | None, is_same: bool) -> None:  # noqa: FBT001 - a parameter
    throttle = Throttle(None)
    assert await knock(throttle, 10, Caller(address=first)) == 10

    assert await knock(throttle, 1, Caller(address=second)) == (0 if is_same else 1)


@pytest.mark.parametrize("spelling", ["ann@example.com", " Ann@Example.COM ", "ANN@EXAMPLE.COM"])
async def test_all_spellings_of_an_address_are_one_account(spelling: str) -> None:
    throttle = Throttle(None)
    rule = Rule("login", Subject.EMAIL, parse("10 per minute"))
    assert await knock(throttle, 10, Caller(email="ann@example.com"), rule) == 10

    assert await knock(throttle, 1, Caller(email=spelling), rule) == 0
    assert await knock(throttle, 1, Caller(email="bob@example.com"), rule) == 1
    assert await knock(throttle, 1, Caller(email="no address"), rule) == 1


async def test_redis_holds_no_addresses(redis_url: str, throttle_of: ThrottleOf) -> None:
    caller = Caller(Viewer(4711, Role.STAFF, 1), "192.0.2.77", "ann@example.com")

    rules = [*rules_of("login"), *rules_of("changePassword"), *RULES_OF_EVERY_MUTATION]
    await throttle_of(redis_url).count(rules, caller)

    with BlockingRedis.from_url(redis_url) as redis:
        keys = [key.decode() for key in redis.scan_iter("*")]
    assert len(keys) == 5
    for known in ("ann", "example", "192.0.2", "4711"):
        assert not any(known in key for key in keys), keys


async def test_the_secret_makes_the_keys(redis_url: str, throttle_of: ThrottleOf) -> None:
    for secret in (b"one", b"two"):
        await throttle_of(redis_url, secret).count([KNOCK], HOME)

    with BlockingRedis.from_url(redis_url) as redis:
        assert redis.dbsize() == 2


async def test_whoever_has_used_up_the_own_attempts_takes_none_from_the_account_aimed_at() -> None:
    # given
    throttle = Throttle(None)
    rules = rules_of("login")
    limit = next(rule.limit.amount for rule in rules if rule.subject is Subject.ADDRESS)
    for number in range(limit):
        await throttle.count(rules, Caller(address="192.0.2.1", email=f"user{number}@example.com"))

    # when
    for _ in range(100):
        with pytest.raises(RateLimited):
            await throttle.count(rules, Caller(address="192.0.2.1", email="ann@example.com"))

    # then
    await throttle.count(rules, Caller(address="192.0.2.2", email="ann@example.com"))


@given(st.lists(st.floats(0, 30, allow_nan=False), max_size=60).map(sorted), st.integers(1, 5), st.integers(1, 10))
def test_no_window_holds_more_than_the_limit_and_no_wait_is_too_long(
    instants: list[float], amount: int, seconds: int
) -> None:
    # given
    memory, taken = Memory(), list[float]()
    rule = Rule("knock", Subject.ADDRESS, parse(f"{amount} per {seconds} seconds"))

    # when
    for now in instants:
        wait = memory.wait("key", rule, now)
        if not wait:
            memory.add("key", rule, now)
            taken.append(now)
        else:
            assert memory.wait("key", rule, now + wait + 1e-6) == 0
            assert memory.wait("key", rule, now + wait - 1e-6) > 0

    # then
    for start in taken:
        assert sum(start <= instant < start + seconds - 1e-6 for instant in taken) <= amount


async def test_memory_is_bounded() -> None:
    throttle = Throttle(None)

    for number in range(REMEMBERED_SUBJECTS + 100):
        await throttle.count([KNOCK], Caller(address=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"))

    assert len(throttle._memory._attempts) == REMEMBERED_SUBJECTS  # noqa: SLF001 - there is no other way to see it


def test_the_rules_are_as_announced() -> None:
    assert {subject for limits in LIMITS.values() for subject in limits} == {
        Subject.ADDRESS,
        Subject.ACCOUNT,
        Subject.EMAIL,
        Subject.SENDER,
    }
    assert [rule.what for rule in rules_of("stores")] == []
    assert [rule.what for rule in RULES_OF_EVERY_MUTATION] == ["mutation", "mutation"]
    assert {rule.subject for rule in rules_of("login")} == {Subject.ADDRESS, Subject.SENDER, Subject.EMAIL}
