"""A line to PostgreSQL that holds an import up between two blocks, where its job is nobody's."""

import asyncio
from contextlib import closing, suppress
from dataclasses import dataclass

READ_BYTES = 65_536
# How an import takes its job for a block, and what PostgreSQL answers to the end of one.
TAKES_JOB = b"FOR NO KEY UPDATE"
COMMITTED = b"COMMIT\x00"


class HeldLine:
    """A proxy in front of PostgreSQL that lets nothing more of an import pass behind its first block.

    Args:
        host: of PostgreSQL.
        port: of PostgreSQL.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._carrying: set[asyncio.Task[None]] = set()
        self.is_held = asyncio.Event()
        self.may_go_on = asyncio.Event()

    async def carry(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        server, to_server = await asyncio.open_connection(self._host, self._port)
        connection = _Connection(self, client, to_client, server, to_server)
        self._carrying |= {asyncio.create_task(connection.carry_up()), asyncio.create_task(connection.bring_down())}

    async def close(self) -> None:
        """Leave nothing open."""
        for task in self._carrying:
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)


@dataclass
class _Connection:
    line: HeldLine
    client: asyncio.StreamReader
    to_client: asyncio.StreamWriter
    server: asyncio.StreamReader
    to_server: asyncio.StreamWriter
    is_importing: bool = False
    has_written: bool = False

    async def carry_up(self) -> None:
        with closing(self.to_server), suppress(ConnectionError):
            while content := await self.client.read(READ_BYTES):
                self.is_importing |= TAKES_JOB in content
                if self.has_written:
                    self.line.is_held.set()
                    await self.line.may_go_on.wait()
                self.to_server.write(content)
                await self.to_server.drain()

    async def bring_down(self) -> None:
        with closing(self.to_client), suppress(ConnectionError):
            while content := await self.server.read(READ_BYTES):
                self.has_written |= self.is_importing and COMMITTED in content
                self.to_client.write(content)
                await self.to_client.drain()
