"""Plain Strawberry on uvicorn, with the settings of our own server.

    python -m benchmarks.subscriptions.strawberry_server

POST /publish?count=N tells every subscriber of N changes of stock. Prints its port.
"""

import asyncio
import base64
import socket
from collections.abc import AsyncIterator

import strawberry
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from strawberry.asgi import GraphQL
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

BACKLOG = 2048


@strawberry.type
class Store:
    """Where stock is."""

    number: int
    name: str


@strawberry.type
class Product:
    """What it is."""

    sku: str
    name: str


@strawberry.type
class StockChange:
    """Bottles came or went."""

    cursor: str
    before: int
    after: int
    delta: int
    cause: str
    store: Store
    product: Product


class Changes:
    """What has changed, for whoever listens."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[StockChange]] = set()
        self._last = 0

    async def listen(self) -> AsyncIterator[StockChange]:
        """Changes from now on."""
        queue: asyncio.Queue[StockChange] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)

    async def publish(self, request: Request) -> Response:
        """Tell of as many changes as `count` says."""
        for _ in range(int(request.query_params["count"])):
            self._last += 1
            for queue in self._listeners:
                queue.put_nowait(_change(self._last))
        return Response()


CHANGES = Changes()


def _change(number: int) -> StockChange:
    cursor = base64.urlsafe_b64encode(f"events1:benchmark:{number}".encode()).decode().rstrip("=")
    return StockChange(
        cursor=cursor,
        before=number - 1,
        after=number,
        delta=1,
        cause="ADJUSTMENT",
        store=Store(number=2001, name="Store 1"),
        product=Product(sku="B-1", name="Product 1"),
    )


@strawberry.type
class Query:
    """Nothing to read."""

    ready: bool = True


@strawberry.type
class Subscription:
    """What can be listened to."""

    @strawberry.subscription
    async def stock_changed(self) -> AsyncIterator[StockChange]:
        """Every change of stock."""
        async for change in CHANGES.listen():
            yield change


def main() -> None:
    """Serve until a signal comes."""
    endpoint: GraphQL[None, None] = GraphQL(
        strawberry.Schema(Query, subscription=Subscription),
        subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
    )
    routes = [WebSocketRoute("/graphql", endpoint), Route("/publish", CHANGES.publish, methods=["POST"])]
    config = uvicorn.Config(
        Starlette(routes=routes),
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        log_level="warning",
        access_log=False,
    )
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:
        print(listener.getsockname()[1], flush=True)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
