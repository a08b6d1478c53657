"""client_examples/subscribe.py as a program of its own, against real servers that come and go."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.schema.node import global_id
from graphql_api.services.key import KeyRing
from graphql_api.services.key_file import OwnKeys
from graphql_api.services.policy import Viewer
from graphql_api.services.resources import create_keys
from graphql_api.services.token import AccessTokens
from tests.architecture.repository import ROOT
from tests.factories import (
    PASSWORD,
    create_place,
    create_product,
    create_session,
    create_stock,
    create_store,
    create_user,
)
from tests.faults.server_process import serving
from tests.ports import kept_port
from tests.transport.live_server import LiveServer, live_server, live_settings

SCRIPT = ROOT / "client_examples/subscribe.py"
LONGEST_EXAMPLE = 100
PATIENCE = 120.0
CITY = "Tallgrass"
ADA, CARL = "ada@example.com", "carl@example.com"
ADJUST = """
mutation ($store: ID!, $product: ID!, $quantity: Int!) {
  adjustStock(input: {storeId: $store, productId: $product, quantity: $quantity, reason: "a test"}) {
    userErrors { message }
  }
}
"""


@dataclass(frozen=True)
class Town:
    """A store in the city and one elsewhere, with bottles of one product; an administrator, a customer.

    Args:
        url: the endpoint of its servers.
        headers: of the administrator.
        stores: the global ids of both.
        product: its global id.
        made: every change in the city, in order.
    """

    url: str
    headers: dict[str, str]
    stores: Sequence[str]
    product: str
    made: list[int] = field(default_factory=list)

    async def execute(self, query: str, **variables: Any) -> Any:
        """The data of an answer without errors, as the administrator."""
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            answer = await http.post(self.url, json={"query": query, "variables": variables}, headers=self.headers)
        assert "errors" not in answer.json(), answer.text
        return answer.json()["data"]

    async def heard(self) -> None:
        """Wait until somebody listens."""
        async with httpx.AsyncClient(headers=self.headers, timeout=PATIENCE) as http, asyncio.timeout(PATIENCE):
            page = f"{self.url.removesuffix('/graphql')}/metrics"
            while "graphql_api_socket_operations 1.0" not in (await http.get(page)).text:  # noqa: ASYNC110 - as below
                await asyncio.sleep(0.05)  # another process has no event to wait for

    async def adjust(self, *quantities: int, store: int = 0) -> None:
        """Bottles come or go, one time after the other."""
        for quantity in quantities:
            values = {"store": self.stores[store], "product": self.product, "quantity": quantity}
            assert await self.execute(ADJUST, **values) == {"adjustStock": {"userErrors": []}}
            if store == 0:
                self.made.append(quantity)


async def create_town(database: Database, url: str, keys: KeyRing) -> Town:
    async with database.transaction() as session:
        admin = await create_user(session, email=ADA)
        await create_user(session, email=CARL, role=Role.CUSTOMER)
        viewer = Viewer(admin.id, Role.ADMIN, (await create_session(session, admin)).id)
        stores = [
            await create_store(session, name=name, place=await create_place(session, city=city.upper()))
            for name, city in (("Corner", CITY), ("Abroad", "Elsewhere"))
        ]
        product = await create_product(session, name="Ale")
        for store in stores:
            await create_stock(session, store, product, 100)
        ids = [str(global_id("Store", store.id)) for store in stores], str(global_id("Product", product.id))
    token = AccessTokens(keys).issue(viewer, lifetime_minutes=15)
    return Town(url, {"authorization": f"Bearer {token.text}"}, *ids)


@pytest.fixture
def steady_server(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[LiveServer]:
    """A server that stays."""
    with live_server(live_settings(database_url, redis_url, tmp_path)) as server:
        yield server


@asynccontextmanager
async def running(
    town: Town, *arguments: str, email: str = ADA, password: str = PASSWORD
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The example, as it is started in a shell."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SCRIPT), town.url, *arguments),
        env={**os.environ, "API_EMAIL": email, "API_PASSWORD": password},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        # to the end of what it has printed: before that its pipes stay open
        await process.communicate()


async def printed(process: asyncio.subprocess.Process) -> str:
    """Its next line."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        line = await process.stdout.readline()
    return line.decode().rstrip("\n")


async def failure(town: Town, *arguments: str, **account: str) -> str:
    """What it says when it does not get as far as listening."""
    async with running(town, *arguments, **account) as process, asyncio.timeout(PATIENCE):
        output, errors = await process.communicate()
    assert (process.returncode, output) == (1, b"")
    assert "Traceback" not in errors.decode()
    return errors.decode()


async def first_line(town: Town, process: asyncio.subprocess.Process) -> str:
    """Its first line: bottles come and go until it has begun to listen."""
    async with asyncio.TaskGroup() as group:
        line = group.create_task(printed(process))
        while not line.done():
            await town.adjust(1, -1)
            await asyncio.wait({line}, timeout=0.2)
    return line.result()


def delta(line: str) -> int:
    """How many bottles a line says have come or gone."""
    found = re.fullmatch(r"Corner \| Ale \| \d+ ([+-]\d+) = \d+ bottles \| ADJUSTMENT", line)
    assert found, line
    return int(found[1])


async def test_every_change_is_printed_once_and_in_order_whatever_becomes_of_the_server(
    database: Database, redis_url: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        port = stack.enter_context(kept_port())
        town = await create_town(database, f"http://127.0.0.1:{port}/graphql", OwnKeys(tmp_path))
        # given somebody who listens
        async with serving(database.url, redis_url, tmp_path, port=port):
            process = await stack.enter_async_context(running(town, CITY))
            await town.heard()
        # when the server is stopped before the first change, and started again
        seen: list[int] = []
        async with serving(database.url, redis_url, tmp_path, port=port):
            await town.adjust(2)
            await town.adjust(50, store=1)
            await town.adjust(-3)
        # and once more, and there are changes before the listener is back
        async with serving(database.url, redis_url, tmp_path, port=port) as server:
            await town.adjust(4, -5)
            while -5 not in seen:
                seen.append(delta(await printed(process)))
            # and is killed while there are more
            await town.adjust(6, -7)
            await server.kill()
        async with serving(database.url, redis_url, tmp_path, port=port):
            await town.adjust(8)
            while seen[-1] != 8:
                seen.append(delta(await printed(process)))
    # then all have been printed from the first on
    assert seen == town.made == [2, -3, 4, -5, 6, -7, 8]


async def test_it_ends_in_a_sentence(database: Database, steady_server: LiveServer) -> None:
    town = await create_town(database, steady_server.http_url, create_keys(steady_server.settings))
    # given that it cannot begin
    assert "password" in await failure(town, CITY, password="something else")  # noqa: S106 - a wrong one
    assert "You may not see stock." in await failure(town, CITY, email=CARL)
    with kept_port() as port:
        elsewhere = replace(town, url=f"http://127.0.0.1:{port}/graphql")
        assert "sign-in" in await failure(elsewhere, CITY)
    # that it has printed what it was to print
    async with running(town, CITY, "--max", "1") as process, asyncio.timeout(PATIENCE):
        delta(await first_line(town, process))
        output, errors = await process.communicate()
        assert (process.returncode, output, errors) == (0, b"", b"")
    # or that somebody has ended its session
    async with running(town, CITY) as process, asyncio.timeout(PATIENCE):
        delta(await first_line(town, process))
        await town.execute("mutation { logoutEverywhere { endedCount } }")
        _, errors = await process.communicate()
        assert process.returncode == 1
        assert "Traceback" not in errors.decode()
        assert "ended" in errors.decode().splitlines()[-1]


def test_it_is_short() -> None:
    assert len(SCRIPT.read_text().splitlines()) <= LONGEST_EXAMPLE
