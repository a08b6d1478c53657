"""Server-sent events: who may listen, for how long, and what becomes of those who do not read or whose server stops."""

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from graphql_api.database.base import now_utc
from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.schema.node import global_id
from graphql_api.services.authentication import Authentication
from graphql_api.services.policy import Viewer
from graphql_api.services.resources import create_keys
from graphql_api.services.token import AccessTokens, TokenKind, _Issue
from graphql_api.transport import graphql_sse
from graphql_api.transport.http_connection import HttpConnection
from tests.faults.server_process import serving
from tests.transport.conftest import SECRET_KEY, authorization, create_viewer
from tests.transport.event_source import EVENT_STREAM, PATIENCE, SentEvent
from tests.transport.live_server import LiveServer, cloned_database, live_server, live_settings
from tests.transport.socket_client import until
from tests.transport.stream_shop import CHANGES, Shop, deltas, opened_shop

STREAMS = 8
# Some 30 KB each, so that twenty are more than what lies between a server and a client with little room.
LARGE = "subscription { stockChanged { delta " + " ".join(f"r{number}: reason" for number in range(60)) + " } }"
MANY = list(range(1, 21))


@pytest.fixture(scope="module")
def database_url(server_url: str, template_name: str) -> Iterator[str]:
    with cloned_database(server_url, template_name) as url:
        yield url


@pytest.fixture(scope="module")
def server(database_url: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("server")
    with live_server(live_settings(database_url, valkey_url, folder, connections_per_user=STREAMS)) as server:
        yield server


@pytest.fixture(autouse=True)
def _uncounted(redis_url: str) -> None:
    """Nobody is refused because of what tests before have done."""


@pytest.fixture
async def shop(server: LiveServer, database: Database) -> AsyncIterator[Shop]:
    async with opened_shop(server, database) as shop:
        yield shop


@pytest.fixture
def _rare_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is looked at just because time has passed."""
    monkeypatch.setattr(graphql_sse, "HEARTBEAT_SECONDS", 3600.0)


@pytest.mark.usefixtures("_rare_looks")
async def test_a_stream_ends_with_its_session(shop: Shop) -> None:
    somebody = await shop.somebody(Role.STAFF)
    async with somebody.subscribed(CHANGES) as source:
        await shop.adjust(-1)
        assert await deltas(source, 1) == [-1]
        await somebody.execute("mutation { logout { endedCount } }")
        await shop.adjust(-2)

        last, end = await source.rest()

    assert last.codes == ["UNAUTHENTICATED"]
    assert end.name == "complete"


CHANGE_ROLE = """
mutation ($id: ID!, $role: Role!, $version: Int!) {
  updateUser(input: {id: $id, role: $role, expectedVersion: $version}) { userErrors { message } }
}
"""


async def test_another_role_counts_at_once(shop: Shop) -> None:
    viewer = await create_viewer(shop.database, Role.STAFF)
    user = str(global_id("User", viewer.user_id))
    async with shop.as_viewer(viewer).subscribed(CHANGES) as source:
        await shop.staff.execute(CHANGE_ROLE, id=user, role="SALESPERSON", version=1)
        await shop.adjust(-1)
        assert await deltas(source, 1) == [-1]
        await shop.staff.execute(CHANGE_ROLE, id=user, role="CUSTOMER", version=2)
        await shop.adjust(-2)

        last, end = await source.rest()

    assert last.codes == ["FORBIDDEN"]
    assert end.name == "complete"


async def test_nothing_is_sent_until_it_is_known_what_somebody_may_see_now(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_answer = threading.Event()
    ask = Authentication.present_viewers

    async def ask_slowly(self: Authentication, viewers: Collection[Viewer]) -> Any:
        while not may_answer.is_set():  # noqa: ASYNC110 - the test runs in another thread
            await asyncio.sleep(0.01)
        return await ask(self, viewers)

    # given two streams that have begun
    viewer = await create_viewer(shop.database, Role.STAFF)
    async with shop.as_viewer(viewer).subscribed(CHANGES) as source, shop.staff.subscribed(CHANGES) as other:
        await shop.adjust(-1)
        assert [await deltas(source, 1), await deltas(other, 1)] == [[-1], [-1]]
        # when the role of one changes, the question what it may see takes its time, and stock changes
        monkeypatch.setattr(Authentication, "present_viewers", ask_slowly)
        user = str(global_id("User", viewer.user_id))
        await shop.staff.execute(CHANGE_ROLE, id=user, role="SALESPERSON", version=1)
        await shop.adjust(-2)
        # then the other is told at once, this one after the answer
        told = asyncio.create_task(deltas(source, 1))
        try:
            assert await deltas(other, 1) == [-2]
            await asyncio.sleep(0.1)
            assert not told.done()
        finally:
            may_answer.set()
        assert await told == [-2]


@pytest.mark.usefixtures("_rare_looks")
async def test_a_stream_ends_with_its_access_token(shop: Shop) -> None:
    viewer = await create_viewer(shop.database, Role.STAFF)
    tokens = AccessTokens(create_keys(shop.server.settings))
    issue = _Issue(now_utc().replace(microsecond=0) - timedelta(seconds=48), id="old")
    token = tokens._issue(TokenKind.ACCESS, viewer, 1, issue)  # noqa: SLF001 - nobody is to wait a minute for its end
    somebody = replace(shop.staff, headers={"authorization": f"Bearer {token.text}"})
    async with somebody.subscribed(CHANGES) as source:
        await shop.adjust(-1)

        change, last, end = await source.rest()

    assert change.result["data"]["stockChanged"]["delta"] == -1
    assert last.codes == ["UNAUTHENTICATED"]
    assert "refreshToken" in last.result["errors"][0]["message"]
    assert end.name == "complete"
    assert time.time() > token.expires_at.timestamp() - 0.1


async def test_who_has_left_makes_room(shop: Shop) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(STREAMS):
            await stack.enter_async_context(shop.staff.subscribed(CHANGES))
        assert (await shop.staff.refused(CHANGES))["extensions"]["code"] == "RATE_LIMITED"
    # nobody says goodbye over HTTP: the server has to see that they have gone
    async with asyncio.timeout(PATIENCE):
        while (first := await first_event(shop)).result.get("errors"):
            assert first.codes == ["RATE_LIMITED"]
    assert first.result["data"]["stockChanged"]["delta"] == -1


async def first_event(shop: Shop) -> SentEvent:
    """What somebody is told who subscribes before a bottle goes."""
    async with shop.staff.subscribed(CHANGES) as source:
        await shop.adjust(-1)
        return await source.next()


@dataclass(frozen=True)
class Silent:
    """Somebody who subscribes to large events and reads nothing but the headers until the test does.

    Args:
        reader: what comes.
        connection: what the server has of it.
    """

    reader: asyncio.StreamReader
    connection: HttpConnection

    async def deltas(self, count: int) -> list[int]:
        """The changes, read at last."""
        text, seen = b"", list[int]()
        async with asyncio.timeout(PATIENCE):
            while len(seen) < count:
                text += await self.reader.read(1 << 20)
                seen = [int(found) for found in re.findall(rb'"delta":(-?\d+)', text)]
        return seen

    async def stuck(self) -> None:
        """Wait until the server has something that it cannot get rid of."""
        await until(lambda: self.connection.transport.get_write_buffer_size() > 0)

    async def dropped(self) -> None:
        """Wait until the server has dropped the connection."""
        async with asyncio.timeout(PATIENCE):
            while self.connection.cycle.disconnected is False:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.01)


@asynccontextmanager
async def silent(shop: Shop, viewer: Viewer) -> AsyncIterator[Silent]:
    """A subscription of this kind, over a socket with little room."""
    body = json.dumps({"query": LARGE}).encode()
    head = {**authorization(shop.server.settings, viewer), "host": "localhost", "accept": EVENT_STREAM}
    head |= {"content-type": "application/json", "content-length": str(len(body))}
    lines = ["POST /graphql HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
    before = set(shop.server.uvicorn.server_state.connections)
    with socket.socket() as plug:
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
        plug.setblocking(False)  # noqa: FBT003 - the standard library's own
        await asyncio.get_running_loop().sock_connect(plug, ("127.0.0.1", shop.server.port))
        reader, writer = await asyncio.open_connection(sock=plug, limit=4_096)
        writer.write("\r\n".join(lines).encode() + body)
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        (connection,) = set(shop.server.uvicorn.server_state.connections) - before
        assert isinstance(connection, HttpConnection)
        connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8_192)
        try:
            yield Silent(reader, connection)
        finally:
            writer.close()


async def test_who_does_not_read_costs_the_others_nothing_and_reads_on_later(shop: Shop) -> None:
    # given somebody who reads nothing, and somebody who reads
    viewer = await create_viewer(shop.database, Role.STAFF)
    async with silent(shop, viewer) as slow, shop.staff.subscribed(LARGE) as source:
        # when there are more events than lie between a server and a client
        await shop.adjust(*MANY)
        # then the others have them all, and the server keeps little of what is not read
        assert await deltas(source, len(MANY)) == MANY
        await slow.stuck()
        assert slow.connection.transport.get_write_buffer_size() < 150_000
        # and who reads at last has missed nothing
        assert await slow.deltas(len(MANY)) == MANY


async def test_who_takes_nothing_for_long_is_dropped(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphql_sse, "SEND_SECONDS", 0.2)
    async with silent(shop, await create_viewer(shop.database, Role.STAFF)) as slow:
        await shop.adjust(*MANY)

        await slow.dropped()


async def test_who_may_not_stay_is_dropped_though_he_reads_nothing(shop: Shop) -> None:
    viewer = await create_viewer(shop.database, Role.STAFF)
    async with silent(shop, viewer) as slow:
        await shop.adjust(*MANY)
        await slow.stuck()
        await shop.as_viewer(viewer).execute("mutation { logout { endedCount } }")

        await slow.dropped()


async def test_a_server_that_stops_ends_its_streams_at_once_so_that_they_are_asked_for_again(
    shop: Shop, redis_url: str, tmp_path: Path
) -> None:
    # given a stream of another server, which has had an event
    async with serving(shop.database.url, redis_url, tmp_path, SECRET_KEY=SECRET_KEY) as other:
        async with replace(shop.staff, url=other.url).subscribed(CHANGES) as source:
            await shop.adjust(-1)
            assert await deltas(source, 1) == [-1]
            # when that server is told to stop
            other.process.terminate()
            # then the stream ends, neither broken, as when the server has waited for long, nor complete
            assert await source.rest() == []
        assert await asyncio.to_thread(other.process.wait, PATIENCE) == 0
    # and goes on elsewhere
    await shop.adjust(-2)
    async with shop.staff.subscribed(CHANGES, last_event_id=source.last_id) as source:
        assert await deltas(source, 1) == [-2]
