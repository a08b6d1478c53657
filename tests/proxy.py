"""Proxies in front of PostgreSQL, with which tests hold connections up or cut them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar
from urllib.parse import urlsplit


class Proxy(Protocol):
    """Carries what clients and PostgreSQL say to each other."""

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of a client."""

    async def close(self) -> None:
        """Leave nothing open."""


AnyProxy = TypeVar("AnyProxy", bound=Proxy)


@asynccontextmanager
async def proxied(database_url: str, create: Callable[[str, int], AnyProxy]) -> AsyncIterator[tuple[AnyProxy, str]]:
    """A proxy in front of a database, and the URL that leads through it.

    Args:
        database_url: of the database itself.
        create: makes the proxy of PostgreSQL's host and port.
    """
    place = urlsplit(database_url)
    proxy = create(place.hostname or "127.0.0.1", place.port or 5432)
    server = await asyncio.start_server(proxy.carry, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    user, at, _ = place.netloc.rpartition("@")
    try:
        yield proxy, place._replace(netloc=f"{user}{at}127.0.0.1:{port}").geturl()
    finally:
        server.close()
        await proxy.close()
