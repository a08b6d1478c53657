"""Three servers on one database: what ends at one has ended at all, whatever happens to Valkey, to them, or between."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
from redis import Redis

from graphql_api import embedded
from graphql_api.database.engine import Database
from graphql_api.database.user import UserRow
from graphql_api.services.key_file import NAME, OwnKeys
from graphql_api.services.policy import Viewer
from graphql_api.services.session import Device, Tokens, open_session
from graphql_api.services.token import AccessTokens
from graphql_api.services.unit_of_work import unit_of_work
from tests.factories import create_session, create_user
from tests.faults.server_process import ServerProcess, serving

SERVERS = 3
ROUNDS = int(os.environ.get("REVOCATION_TEST_ROUNDS", "30"))
FREEZES = int(os.environ.get("REVOCATION_TEST_FREEZES", "1"))
TABS = 21
MINE = "{ mySessions { id } }"
LOGOUT = "mutation { logout { endedCount userErrors { code } } }"
REFRESH = """
mutation ($used: String!) { refreshToken(input: {refreshToken: $used}) { refreshToken userErrors { code } } }
"""


class Server:
    """One `graphql-api serve`."""

    def __init__(self, process: ServerProcess) -> None:
        self._server = process
        self.process = process.process

    async def ask(self, document: str, token: str | None = None, **variables: Any) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return dict(await self._server.ask(document, headers, **variables))

    async def lets_in(self, token: str) -> bool:
        """Whether a request with this token is answered; anything but yes and a plain no is a fault."""
        answer = await self.ask(MINE, token)
        if "errors" not in answer:
            return True
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["UNAUTHENTICATED"]
        return False

    async def logout(self, token: str) -> None:
        answer = await self.ask(LOGOUT, token)
        assert answer == {"data": {"logout": {"endedCount": 1, "userErrors": []}}}


@dataclass
class House:
    """The servers, their database, their Valkey, and somebody with an account."""

    database: Database
    valkey: embedded.Embedded
    folder: Path
    user: UserRow
    servers: list[Server] = field(default_factory=list)

    @property
    def tokens(self) -> AccessTokens:
        return AccessTokens(OwnKeys(self.folder))

    async def signed_in(self) -> str:
        """An access token of a new session that every server has seen."""
        async with self.database.transaction() as session:
            viewer = Viewer(self.user.id, self.user.role, (await create_session(session, self.user)).id)
        token = self.tokens.issue(viewer, 15).text
        assert all([await server.lets_in(token) for server in self.servers])
        return token

    async def opened(self) -> Tokens:
        async with unit_of_work(self.database) as work:
            return await open_session(work, self.user, Device(), self.tokens)

    def open_ports(self) -> set[int]:
        """Where connections of the servers and of this process begin that are open at both ends."""
        processes = [psutil.Process(), *(psutil.Process(server.process.pid) for server in self.servers)]
        connections = [one for process in processes for one in process.net_connections("tcp")]
        return {one.laddr.port for one in connections if one.status == psutil.CONN_ESTABLISHED}

    async def let_in_by(self, token: str) -> list[int]:
        """The numbers of the servers that still take a token."""
        answers = await asyncio.gather(*[server.lets_in(token) for server in self.servers])
        return [number for number, is_in in enumerate(answers) if is_in]


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[embedded.Embedded]:
    """A Valkey that can be stopped."""
    with embedded.start(tmp_path / "valkey", postgres=False) as servers:
        yield servers
    embedded.remove(tmp_path / "valkey")


@pytest.fixture
async def house(database: Database, valkey: embedded.Embedded, tmp_path: Path) -> AsyncIterator[House]:
    async with database.transaction() as session:
        user = await create_user(session)
    house = House(database, valkey, tmp_path / "data", user)
    async with AsyncExitStack() as stack:
        # all at once, so that they also make their keys between them
        starts = [
            stack.enter_async_context(serving(database.url, valkey.redis_url, house.folder, DATABASE_POOL_SIZE="3"))
            for _ in range(SERVERS)
        ]
        house.servers = [Server(process) for process in await asyncio.gather(*starts)]
        assert (house.folder / NAME).exists()
        yield house


@asynccontextmanager
async def ended_connections(house: House) -> AsyncIterator[None]:
    """All connections to the database begin to end, as when it restarts; behind the block all have, at both ends."""
    connection = await asyncpg.connect(house.database.url)
    try:
        rows = await connection.fetch(
            "SELECT client_port, pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    finally:
        await connection.close()
    yield
    ports = {row["client_port"] for row in rows}
    # a backend has told of its end, and is in no list any more, a moment before its connection ends
    while ports & house.open_ports():  # noqa: ASYNC110 - the system tells nobody
        await asyncio.sleep(0.01)


async def test_what_ends_at_one_server_has_ended_at_all(house: House) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print("seed", seed)  # noqa: T201 - to run the same rounds again
    chance = random.Random(seed)  # noqa: S311 - a choice of servers
    with Redis.from_url(house.valkey.redis_url) as redis:
        for number in range(ROUNDS):
            token = await house.signed_in()
            if number % 10 == 5:
                redis.flushall()
            await chance.choice(house.servers).logout(token)
            assert await house.let_in_by(token) == [], f"seed {seed}, round {number}"


async def test_the_same_without_valkey(house: House) -> None:
    before = await house.signed_in()
    await asyncio.to_thread(house.valkey.stop)

    for number in range(SERVERS):
        token = await house.signed_in()
        await house.servers[number].logout(token)
        assert await house.let_in_by(token) == []
    assert await house.let_in_by(before) == [0, 1, 2]
    await house.servers[0].logout(before)
    assert await house.let_in_by(before) == []


async def test_a_frozen_server_does_not_let_in_who_was_signed_out_meanwhile(house: House) -> None:
    first, frozen, third = house.servers
    for seconds in (0.0, 0.7, 3.0):
        for _ in range(FREEZES):
            token = await house.signed_in()
            frozen.process.send_signal(signal.SIGSTOP)
            waiting = asyncio.create_task(first.logout(token))
            if not seconds:
                await waiting  # until the server that does not answer is given up
            await asyncio.sleep(seconds)
            late = asyncio.create_task(_ask_after(waiting, frozen, token))
            await asyncio.sleep(0.05)
            frozen.process.send_signal(signal.SIGCONT)
            assert not await late
            assert not await third.lets_in(token)
        # it is one of them again
        other = await house.signed_in()
        await frozen.logout(other)
        assert await house.let_in_by(other) == []


async def _ask_after(change: asyncio.Task[None], server: Server, token: str) -> bool:
    """Ask once a change was answered. If it was already, the question waits at the door of the frozen server."""
    await change
    return await server.lets_in(token)


async def test_killed_servers_keep_nobody_waiting_for_long(house: House) -> None:
    first, second, third = house.servers
    token = await house.signed_in()
    third.process.kill()
    house.servers = [first, second]

    # to wait for the dead one's word would take for good, and no answer takes longer than the client waits
    await first.logout(token)

    assert await house.let_in_by(token) == []
    for _ in range(3):
        again = await house.signed_in()
        await second.logout(again)
        assert await house.let_in_by(again) == []


async def test_lost_connections_let_nobody_in(house: House) -> None:
    for number in range(SERVERS):
        token = await house.signed_in()
        async with ended_connections(house):
            answer = await house.servers[number].ask(LOGOUT, token)
        if "errors" in answer:  # the connection of the change itself was lost
            assert {error["extensions"]["code"] for error in answer["errors"]} == {"SERVICE_UNAVAILABLE"}
            continue
        assert await house.let_in_by(token) == []


async def test_tabs_that_renew_a_session_at_several_servers_stay_signed_in(house: House) -> None:
    # given servers that have answered before: a token that was used is taken for ten seconds more
    await house.signed_in()
    tokens = await house.opened()

    answers = await asyncio.gather(
        *[house.servers[tab % SERVERS].ask(REFRESH, used=tokens.refresh.text) for tab in range(TABS)]
    )

    payloads = [answer["data"]["refreshToken"] for answer in answers]
    assert [payload["userErrors"] for payload in payloads] == [[]] * TABS
    assert len({payload["refreshToken"] for payload in payloads}) == 1
    assert await house.let_in_by(tokens.access.text) == [0, 1, 2]
