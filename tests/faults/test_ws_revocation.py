"""Two servers on one database: what ends at one ends the WebSockets of all, within a second and with no event more.

A busy machine may need longer for that, as for all else: then it is as long as some changes take to be told to others.
"""

import asyncio
import itertools
import json
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from graphql_api.database.engine import Database
from graphql_api.database.product import ProductRow
from graphql_api.database.store import StoreRow
from graphql_api.database.user import Role, UserRow
from graphql_api.schema.node import global_id
from graphql_api.services.key import GivenKeys
from graphql_api.services.policy import Viewer
from graphql_api.services.token import AccessTokens
from tests.factories import PASSWORD, create_product, create_session, create_stock, create_store, create_user
from tests.faults.server_process import ServerProgram, server_programs
from tests.transport.conftest import SECRET_KEY
from tests.transport.live_server import cloned_database
from tests.transport.socket_client import SocketClient, socket_to, until

SERVERS = 2
SOCKETS = 3
ENOUGH = 120.0
# Changes that are told to others one after the other, which takes a second.
SOON = 5
STOCK = "subscription { stockChanged { delta } }"
PRODUCTS = "subscription { productChanged { product { name } } }"
LOGOUT = "mutation { logout { userErrors { message } } }"
REVOKE = 'mutation { revokeSession(input: {id: "%s"}) { userErrors { message } } }'
CHANGE_PASSWORD = """
mutation {
  changePassword(input: {oldPassword: "%s", newPassword: "another violet lantern"}) { userErrors { message } }
}
"""  # noqa: S105 - a document
DEACTIVATE = (
    'mutation { updateUser(input: {id: "%s", expectedVersion: 1, isActive: false}) { userErrors { message } } }'
)
SET_ROLE = 'mutation { updateUser(input: {id: "%s", expectedVersion: 1, role: %s}) { userErrors { message } } }'


@dataclass
class Listener:
    """A WebSocket that writes down what comes."""

    client: SocketClient
    messages: list[dict[str, Any]] = field(default_factory=list)
    closed: tuple[int, str] | None = None
    closed_at: float = 0.0

    async def listen(self) -> None:
        """Until the server ends it."""
        try:
            while True:
                # for as long as it takes, unlike those who wait for an answer
                self.messages.append(json.loads(await self.client.connection.recv()))
        except ConnectionClosed as closed:
            self.closed_at = time.monotonic()
            self.closed = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")

    @property
    def deltas(self) -> list[int]:
        """The changes of stock that have come."""
        data = [message["payload"]["data"] for message in self.messages if message["type"] == "next"]
        return [found["stockChanged"]["delta"] for found in data if "stockChanged" in found]


@dataclass
class House:
    """The servers, their database, and a product in a store."""

    database: Database
    servers: list[ServerProgram]
    http: httpx.AsyncClient
    store: StoreRow
    product: ProductRow
    stack: AsyncExitStack

    async def person(self, role: Role = Role.STAFF) -> Viewer:
        """Somebody with an account who has signed in."""
        async with self.database.transaction() as session:
            return await self._sign_in(session, await create_user(session, role=role))

    async def again(self, viewer: Viewer) -> Viewer:
        """Another session of the same account."""
        async with self.database.transaction() as session:
            return await self._sign_in(session, await session.get_one(UserRow, viewer.user_id))

    async def _sign_in(self, session: Any, user: UserRow) -> Viewer:
        return Viewer(user.id, user.role, (await create_session(session, user)).id)

    async def listener(self, viewer: Viewer, number: int, *queries: str) -> Listener:
        """A WebSocket of somebody at a server, with these subscriptions."""
        listener = Listener(
            await self.stack.enter_async_context(socket_to(self.servers[number].socket_url, open_timeout=ENOUGH))
        )
        await listener.client.init(token_of(viewer))
        for name, query in enumerate(queries):
            await listener.client.subscribe(str(name), query)
        task = asyncio.create_task(listener.listen())
        self.stack.callback(task.cancel)
        return listener

    async def listeners(self, viewer: Viewer, *queries: str) -> list[Listener]:
        """Some at each server."""
        return [await self.listener(viewer, number % SERVERS, *queries) for number in range(SOCKETS * SERVERS)]

    async def ask(self, viewer: Viewer, document: str, number: int = 0) -> None:
        """A mutation that must succeed."""
        headers = {"authorization": f"Bearer {token_of(viewer)}"}
        answer = await self.http.post(self.servers[number].http_url, json={"query": document}, headers=headers)
        assert [found["userErrors"] for found in answer.json()["data"].values()] == [[]], answer.text

    async def add(self, quantity: int) -> None:
        """A change of stock."""
        async with self.database.transaction() as session:
            await create_stock(session, self.store, self.product, quantity)

    async def rename(self, name: str) -> None:
        """A change of the product."""
        async with self.database.transaction() as session:
            product = await session.get_one(ProductRow, self.product.id)
            product.name = name

    async def heard_by(self, *listeners: Listener) -> None:
        """Return when all of these hear changes."""
        async with asyncio.timeout(ENOUGH):
            while not all(listener.deltas for listener in listeners):
                await self.add(1)
                await asyncio.sleep(0.1)

    async def told_to(self, listener: Listener) -> None:
        """Return when one more change was told to this one; without a word to the relay that takes 0.1 to 0.3 s."""
        count = len(listener.messages)
        await self.add(1)
        await until(lambda: len(listener.messages) > count)


def token_of(viewer: Viewer) -> str:
    return AccessTokens(GivenKeys(SECRET_KEY)).issue(viewer, 15).text


async def closed(*listeners: Listener) -> None:
    await until(lambda: all(listener.closed for listener in listeners))


@pytest.fixture(scope="module")
def database_url(server_url: str, template_name: str) -> Iterator[str]:
    with cloned_database(server_url, template_name) as url:
        yield url


@pytest.fixture(scope="module")
def servers(
    database_url: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[ServerProgram]]:
    with server_programs(SERVERS, database_url, valkey_url, tmp_path_factory.mktemp("servers")) as servers:
        yield servers


@pytest.fixture
async def house(database: Database, servers: list[ServerProgram]) -> AsyncIterator[House]:
    async with database.transaction() as session:
        store, product = await create_store(session), await create_product(session)
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=ENOUGH))
        yield House(database, servers, http, store, product, stack)


async def test_whatever_ends_a_session_ends_its_sockets_everywhere_within_a_second(house: House) -> None:
    admin = await house.person(Role.ADMIN)
    bystander = await house.listener(await house.person(), 1, STOCK)
    for turn, end in enumerate(("logout", "revoked", "password", "deactivated"), 1):
        viewer = await house.person()
        other_session = await house.again(viewer)
        listeners = await house.listeners(viewer, STOCK)
        others = [await house.listener(other_session, number, STOCK) for number in range(SERVERS)]
        await house.heard_by(*listeners, *others)

        document, actor, reason = {
            "logout": (LOGOUT, viewer, "it was signed out. Sign in again."),
            "revoked": (
                REVOKE % global_id("Session", viewer.session_id),
                other_session,
                "it was revoked. Sign in again.",
            ),
            "password": (CHANGE_PASSWORD % PASSWORD, other_session, "the password was changed. Sign in again."),
            "deactivated": (
                DEACTIVATE % global_id("User", viewer.user_id),
                admin,
                "the account was deactivated.",
            ),
        }[end]
        await house.ask(actor, document)
        answered = time.monotonic()
        await house.add(10_000)  # after the answer, so nobody who was shut out may hear of it

        for _ in range(SOON):
            await house.told_to(bystander)
        soon = max(answered + 1.0, time.monotonic())
        await closed(*listeners)
        assert max(listener.closed_at for listener in listeners) < soon, end
        await until(lambda turn=turn: bystander.deltas.count(10_000) == turn)  # type: ignore[misc]  # bound at once
        assert {listener.closed for listener in listeners} == {(4403, f"The session has ended: {reason}")}, end
        assert not any(10_000 in listener.deltas for listener in listeners), end
        if end == "deactivated":
            await closed(*others)
            continue
        await until(lambda others=others: all(10_000 in other.deltas for other in others))  # type: ignore[misc]  # bound at once
    assert bystander.closed is None


async def test_a_change_of_role_takes_subscriptions_away_and_leaves_the_socket(house: House) -> None:
    admin, viewer = await house.person(Role.ADMIN), await house.person(Role.SALESPERSON)
    listeners = await house.listeners(viewer, STOCK, PRODUCTS)
    await house.heard_by(*listeners)
    async with asyncio.timeout(ENOUGH):
        for number in itertools.count():
            await house.rename(f"NAME {number}")
            await asyncio.sleep(0.1)
            if all({message.get("id") for message in found.messages} >= {"0", "1"} for found in listeners):
                break

    await house.ask(admin, SET_ROLE % (global_id("User", viewer.user_id), "CUSTOMER"))
    await house.add(10_000)
    await house.rename("RENAMED")

    told = {"id": "1", "type": "next", "payload": {"data": {"productChanged": {"product": {"name": "RENAMED"}}}}}
    await until(lambda: all(told in found.messages for found in listeners))
    for listener in listeners:
        (error,) = [message for message in listener.messages if message["type"] == "error"]
        assert error["id"] == "0"
        assert [problem["extensions"]["code"] for problem in error["payload"]] == ["FORBIDDEN"]
        assert 10_000 not in listener.deltas
        assert listener.closed is None


async def test_a_frozen_server_tells_nothing_to_those_who_were_shut_out_meanwhile(house: House) -> None:
    frozen = house.servers[1].process
    for seconds in (0.5, 3.0):
        viewer, bystander = await house.person(), await house.person()
        shut_out, stays = await house.listener(viewer, 1, STOCK), await house.listener(bystander, 1, STOCK)
        await house.heard_by(shut_out, stays)
        frozen.send_signal(signal.SIGSTOP)
        try:
            leaving = asyncio.create_task(house.ask(viewer, LOGOUT))
            await asyncio.sleep(seconds)
        finally:
            frozen.send_signal(signal.SIGCONT)
        await leaving
        await house.add(10_000)

        await closed(shut_out)
        assert shut_out.closed == (4403, "The session has ended: it was signed out. Sign in again.")
        await until(lambda stays=stays: 10_000 in stays.deltas)  # type: ignore[misc]  # bound at once
        assert 10_000 not in shut_out.deltas


async def test_lost_notices_shut_out_nobody_who_may_stay_and_lose_no_event(house: House) -> None:
    viewer = await house.person()
    listeners = await house.listeners(viewer, STOCK)
    await house.heard_by(*listeners)
    connection = await asyncpg.connect(house.database.url)
    first = 100_000
    for number in range(30):
        await house.add(first + number)
        if number % 10 == 5:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid() AND query NOT LIKE '%test stock%'"
            )
            await house.database.engine.dispose()
        await asyncio.sleep(0.02)
    await connection.close()

    expected = [first + number for number in range(30)]
    await until(lambda: all(listener.deltas[-1] == expected[-1] for listener in listeners))
    for listener in listeners:
        assert [delta for delta in listener.deltas if delta >= first] == expected
        assert listener.closed is None
