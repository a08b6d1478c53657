"""`graphql-api serve` as processes that tests can share or kill, and a line to PostgreSQL that a test can cut."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx

from tests.faults.idle_clock import IdleClock
from tests.programs import GRAPHQL_API, PIPE, Program
from tests.transport.conftest import SECRET_KEY

PATIENCE = 120.0
READ_BYTES = 65_536
# What the transaction that is to be cut off says before its COMMIT, and what PostgreSQL answers to that.
MARK = b"idempotency_key"
COMMIT = b"COMMIT"
COMMITTED = b"COMMIT\x00"

Happening = Callable[[], Awaitable[None]]


@dataclass
class ServerProcess:
    """One `graphql-api serve`."""

    process: Program
    url: str
    http: httpx.AsyncClient

    async def ask(self, document: str, headers: dict[str, str], **variables: Any) -> Any:
        """The answer as it came."""
        body = {"query": document, "variables": variables}
        answer = await self.http.post(self.url, json=body, headers=headers)
        return answer.json()

    async def kill(self) -> None:
        """End it as the kernel does, at once and without a last word."""
        self.process.kill()


def start(environment: dict[str, str], port: int = 0, stderr: IO[str] | None = None) -> Program:
    """`graphql-api serve`, which is on its way."""
    arguments = ("serve", "--port", str(port))
    return Program(GRAPHQL_API, *arguments, environment={**os.environ, **environment}, stdout=PIPE, stderr=stderr)


def stop(program: Program) -> None:
    """Have a server end, frozen or not."""
    program.send_signal(signal.SIGCONT)
    program.terminate()
    try:
        program.wait(PATIENCE)
    finally:
        program.kill()
        program.close()


def endpoint(program: Program) -> str:
    """Where a server answers, once it does: it says where long before, and whoever connects meanwhile waits."""
    assert program.stdout
    for line in program.stdout:
        if line.startswith("Endpoint"):
            url = line.split()[1]
            httpx.get(url.replace("/graphql", "/health/live"), timeout=PATIENCE).raise_for_status()
            return url
    raise AssertionError("the server did not start")


@dataclass(frozen=True)
class ServerProgram:
    """`graphql-api serve` as a process that tests of one module share.

    Args:
        process: the process.
        http_url: the endpoint for HTTP.
        errors: what it has written to its log.
    """

    process: Program
    http_url: str
    errors: Path

    @property
    def socket_url(self) -> str:
        """The endpoint for WebSockets."""
        return self.http_url.replace("http", "ws", 1)


async def ended(server: ServerProgram) -> float:
    """Tell a server to stop; how many seconds that takes when the machine has nothing else to do."""
    with IdleClock() as clock:
        server.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(server.process.wait, PATIENCE)
    return clock.seconds


@contextmanager
def server_programs(
    count: int, database_url: str, redis_url: str, folder: Path, **settings: str
) -> Iterator[list[ServerProgram]]:
    """Servers on free ports; `settings` are environment variables besides the usual ones."""
    environment = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "DATA_DIR": str(folder),
        "SECRET_KEY": SECRET_KEY,
        "WORKER_IN_SERVER": "false",
        **settings,
    }
    logs = [folder / f"errors-{number}.log" for number in range(count)]
    with ExitStack() as stack:
        processes = [start(environment, stderr=stack.enter_context(log.open("w"))) for log in logs]
        for process in processes:
            stack.callback(stop, process)
        yield [ServerProgram(process, endpoint(process), log) for process, log in zip(processes, logs, strict=True)]


@asynccontextmanager
async def serving(
    database_url: str, redis_url: str, folder: Path, *, port: int = 0, **settings: str
) -> AsyncIterator[ServerProcess]:
    """A server, on a free port unless it is named; `settings` are environment variables besides the usual ones."""
    environment = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "DATA_DIR": str(folder),
        "WORKER_IN_SERVER": "false",
        **settings,
    }
    process = start(environment, port)
    try:
        url = await asyncio.to_thread(endpoint, process)
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            yield ServerProcess(process, url, http)
    finally:
        # its line to the database may be in this very loop
        await asyncio.to_thread(stop, process)


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

    async def close(self) -> None:
        """Hang up wherever somebody has not."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        if task := asyncio.current_task():
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
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
