"""One real server for a module of tests, on a database of its own, with a shop whose stock changes."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
import time_machine
from redis import Redis

from graphql_api.database.base import now_utc
from graphql_api.database.engine import Database
from graphql_api.database.product import ProductRow
from graphql_api.database.store import StoreRow
from graphql_api.database.user import Role, UserRow
from graphql_api.events.cursor import encode_cursor
from graphql_api.events.log import EventLog
from graphql_api.services.password import Passwords
from graphql_api.services.session import Device, Tokens, open_session
from graphql_api.services.token import MAX_ACCESS_MINUTES, AccessTokens
from graphql_api.services.unit_of_work import unit_of_work
from tests.clients.packages import install_packages
from tests.clients.real_server import KEYS, RealServer, running
from tests.conftest import with_database
from tests.factories import PASSWORD, create_place, create_product, create_stock, create_store, create_user
from tests.ports import kept_port

CITY = "TALLGRASS"


@dataclass
class Shop:
    """A server, and a store in Tallgrass with two products, none of which is in stock at first.

    Args:
        server: runs.
        people: somebody of the staff and a customer, who sign in with `PASSWORD`.
        store: where stock changes.
        product: what `change` brings.
        other: for clients to change.
        on_hand: bottles of the product.
    """

    server: RealServer
    people: Mapping[Role, UserRow]
    store: StoreRow
    product: ProductRow
    other: ProductRow
    on_hand: int = 0

    @property
    def logins(self) -> dict[str, str]:
        """What clients sign in with, as environment variables."""
        names = {f"{role}_EMAIL": user.email for role, user in self.people.items()}
        return {**names, "API_EMAIL": self.people[Role.STAFF].email, "API_PASSWORD": PASSWORD}

    def change(self, times: int = 1) -> list[int]:
        """Bring bottles of the product, one by one, each with a commit of its own; how many there are after each."""
        begin = self.on_hand + 1
        self.on_hand += times
        self._run(self._receive(times))
        return list(range(begin, self.on_hand + 1))

    def cursor(self) -> str:
        """The cursor behind all that has happened."""
        return str(self._run(self._cursor()))

    def short_session(self, left: timedelta) -> str:
        """A session of the staff whose access token ends so soon, as JSON: `accessToken` and `refreshToken`."""
        with time_machine.travel(now_utc() - timedelta(minutes=MAX_ACCESS_MINUTES) + left, tick=True):
            tokens = self._run(self._open_session())
        return json.dumps({"accessToken": tokens.access.text, "refreshToken": tokens.refresh.text})

    async def _open_session(self) -> Tokens:
        async with opened(self.server.database_url) as database, unit_of_work(database) as work:
            return await open_session(work, self.people[Role.STAFF], Device(), AccessTokens(KEYS))

    async def _receive(self, times: int) -> None:
        async with opened(self.server.database_url) as database:
            for _ in range(times):
                async with database.transaction() as session:
                    await create_stock(session, self.store, self.product, 1)

    async def _cursor(self) -> str:
        async with opened(self.server.database_url) as database:
            head = await EventLog(database).head()
            return encode_cursor(head.log, head.last)

    @staticmethod
    def _run(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(work)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """The program's view of a database."""
    database = Database(url)
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture(scope="session")
def packages() -> None:
    """What the clients need is installed."""
    install_packages()


@pytest.fixture(scope="module")
def module_database_url(server_url: str, template_name: str) -> Iterator[str]:
    """URL of a migrated, empty database of a module's own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    asyncio.run(execute(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template_name}" STRATEGY FILE_COPY'))
    yield with_database(server_url, name)
    asyncio.run(execute(server_url, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(scope="module")
def shop(
    module_database_url: str, valkey_url: str, packages: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """The shop, open; nobody has signed in at its address in these ten minutes."""
    assert packages is None
    with Redis.from_url(valkey_url) as redis:
        redis.flushall()
    with kept_port() as port:
        server = RealServer(module_database_url, valkey_url, tmp_path_factory.mktemp("server"), port)
        shop = asyncio.run(furnish(server))
        with running(shop.server):
            yield shop


async def execute(url: str, statement: str) -> None:
    """Run a statement outside of a transaction."""
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


async def furnish(server: RealServer) -> Shop:
    """The shop of a server that does not run yet."""
    # a hash that is not renewed at the first sign-in, because there are several at once
    password_hash = await Passwords().hash(PASSWORD)
    async with opened(server.database_url) as database, database.transaction() as session:
        people = {
            role: await create_user(session, role=role, password_hash=password_hash)
            for role in (Role.STAFF, Role.CUSTOMER)
        }
        store = await create_store(session, place=await create_place(session, city=CITY))
        return Shop(server, people, store, await create_product(session), await create_product(session))
