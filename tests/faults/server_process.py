"""`graphql-api serve` as a process that a test can kill, and a line to PostgreSQL that a test can cut."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

PATIENCE = 60.0
READ_BYTES = 65_536
# What the transaction that is to be cut off says before its COMMIT, and what PostgreSQL answers to that.
MARK = b"idempotency_key"
COMMIT = b"COMMIT"
COMMITTED = b"COMMIT\x00"

Happening = Callable[[], Awaitable[None]]


@dataclass
class ServerProcess:
    """One `graphql-api serve`."""

    process: asyncio.subprocess.Process
    url: str
    http: httpx.AsyncClient

    async def ask(self, document: str, headers: dict[str, str], **variables: Any) -> Any:
        """The answer as it came."""
        body = {"query": document, "variables": variables}
        answer = await self.http.post(self.url, json=body, headers=headers)
        return answer.json()

    async def kill(self) -> None:
        """End it as the kernel does, at once and without a last word."""
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def serving(
    database_url: str, redis_url: str, folder: Path, *, port: int = 0, **settings: str
) -> AsyncIterator[ServerProcess]:
    """A server, on a free port unless it is named; `settings` are environment variables besides the usual ones."""
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "DATA_DIR": str(folder),
        "WORKER_IN_SERVER": "false",
        **settings,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from graphql_api.cli import main; main()", "serve", "--port", str(port)),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            line = ""
            while not line.startswith("Endpoint"):
                line = (await process.stdout.readline()).decode()
                assert line, "the server did not start"
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            yield ServerProcess(process, line.split()[1], http)
    finally:
        if process.returncode is None:
            process.terminate()
            await asyncio.wait_for(process.wait(), PATIENCE)


@dataclass
class Line:
    """A proxy in front of PostgreSQL that can cut off a transaction right after its COMMIT.

    Args:
        host: of PostgreSQL.
        port: of PostgreSQL.
        on_commit: what happens once, when PostgreSQL has committed a transaction with an idempotency key and the
            client has not heard of it; afterwards that connection is gone. None lets everything pass.
        cuts: how many connections were cut.
    """

    host: str
    port: int
    on_commit: Happening | None = None
    cuts: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        above_reader, above_writer = await asyncio.open_connection(self.host, self.port)
        wire = _Wire(self)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(wire.up(reader, above_writer))
                group.create_task(wire.down(above_reader, writer))
        except* (ConnectionError, _CutError):
            pass
        finally:
            writer.close()
            above_writer.close()


class _CutError(Exception):
    """The connection was cut."""


@dataclass
class _Wire:
    """One connection through the line."""

    line: Line
    is_marked: bool = False
    is_committing: bool = False

    async def up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while content := await reader.read(READ_BYTES):
            self.is_marked |= MARK in content
            if self.is_marked and self.line.on_commit and COMMIT in content:
                self.is_committing = True
            writer.write(content)
            await writer.drain()
        raise _CutError

    async def down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while content := await reader.read(READ_BYTES):
            if self.is_committing and COMMITTED in content and (happening := self.line.on_commit):
                self.line.on_commit = None
                self.line.cuts += 1
                await happening()
                raise _CutError
            writer.write(content)
            await writer.drain()
        raise _CutError


@asynccontextmanager
async def line_to(database_url: str) -> AsyncIterator[tuple[Line, str]]:
    """A line to a database, and the URL that leads through it."""
    place = urlsplit(database_url)
    line = Line(place.hostname or "127.0.0.1", place.port or 5432)
    server = await asyncio.start_server(line.carry, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    user = place.netloc.rpartition("@")[0]
    try:
        yield line, place._replace(netloc=f"{user}@127.0.0.1:{port}" if user else f"127.0.0.1:{port}").geturl()
    finally:
        server.close()
