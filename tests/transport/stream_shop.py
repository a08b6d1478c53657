"""A store whose stock changes, as somebody sees it who listens to server-sent events."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import httpx

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.schema.node import global_id
from graphql_api.services.policy import Viewer
from tests.factories import create_product, create_store
from tests.transport.conftest import authorization, create_viewer
from tests.transport.event_source import PATIENCE, EventSource, Subscriber
from tests.transport.live_server import LiveServer

LONG_REASON = "x" * 500
CHANGES = """
subscription Changes($where: StockChangeWhere, $after: Cursor) {
  stockChanged(where: $where, after: $after) { cursor delta product { sku } }
}
"""
VARIABLES = "$store: ID!, $product: ID!, $reason: String!"
ADJUST = """adjustStock(input: {storeId: $store, productId: $product, quantity: %d, reason: $reason}) {
  userErrors { message }
}"""
MOST_AT_ONCE = 10


@dataclass(frozen=True)
class Shop:
    """A store with two products, behind a real server.

    Args:
        server: serves it.
        database: holds it.
        staff: somebody who may move stock and listens.
        store: its global id.
        products: their global ids, by SKU.
    """

    server: LiveServer
    database: Database
    staff: Subscriber
    store: str
    products: dict[str, str]

    @property
    def ale(self) -> str:
        """The SKU of the first product."""
        return min(self.products)

    @property
    def gin(self) -> str:
        """The SKU of the second product."""
        return max(self.products)

    async def adjust(self, *quantities: int, sku: str | None = None) -> None:
        """Bottles come or go, of ale unless it is another; one time after the other."""
        values = {"store": self.store, "product": self.products[sku or self.ale], "reason": LONG_REASON}
        for first in range(0, len(quantities), MOST_AT_ONCE):
            batch = quantities[first : first + MOST_AT_ONCE]
            fields = " ".join(f"a{number}: {ADJUST % quantity}" for number, quantity in enumerate(batch))
            answer = await self.staff.execute(f"mutation ({VARIABLES}) {{ {fields} }}", **values)
            assert list(answer.values()) == [{"userErrors": []}] * len(batch)

    async def somebody(self, role: Role) -> Subscriber:
        """Somebody else."""
        return self.as_viewer(await create_viewer(self.database, role))

    def as_viewer(self, viewer: Viewer) -> Subscriber:
        """Somebody with this account."""
        return replace(self.staff, headers=authorization(self.server.settings, viewer))


async def deltas(source: EventSource, count: int) -> list[int]:
    return [(await source.result())["stockChanged"]["delta"] for _ in range(count)]


@asynccontextmanager
async def opened_shop(server: LiveServer, database: Database) -> AsyncIterator[Shop]:
    """A new shop with bottles of both, of which the server has heard before anybody listens."""
    async with database.transaction() as session:
        store = await create_store(session)
        products = [await create_product(session) for _ in range(2)]
        found = {product.sku: str(global_id("Product", product.id)) for product in products}
        store_id = str(global_id("Store", store.id))
    staff = authorization(server.settings, await create_viewer(database, Role.ADMIN))
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=PATIENCE, limits=limits) as http:
        shop = Shop(server, database, Subscriber(http, server.http_url, staff), store_id, found)
        # of its own alone: what came before in other shops may have no number yet, and is then heard here first
        async with shop.staff.subscribed(CHANGES, where={"sku": {"in": list(found)}}) as source:
            await shop.adjust(1_000)
            await shop.adjust(1_000, sku=shop.gin)
            assert await deltas(source, 2) == [1_000, 1_000]
        yield shop
