"""The servers to be compared, each on a processor of its own, and how each is told of changes."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic_ns
from typing import IO, cast

import asyncpg
import psutil

from benchmarks.authentication import SECRET_KEY, sign_in
from benchmarks.subscriptions.machine import OF_SERVER, processors
from graphql_api.database.engine import Database

FOLDER = Path(__file__).parent
STOP_SECONDS = 10
# What the other servers tell of, too.
STORE_AND_PRODUCT = """
WITH place AS (INSERT INTO place (city, zip_code) VALUES ('TALLGRASS', '52001') RETURNING id),
  store AS (INSERT INTO store (number, name, place_id) SELECT 2001, 'Store 1', id FROM place RETURNING id),
  product AS (INSERT INTO product (sku, name, unit_cost) VALUES ('B-1', 'Product 1', 600) RETURNING id)
SELECT store.id, product.id FROM store, product
"""
# When something was sent, and when it was done, in nanoseconds.
Moment = tuple[int, int]
# So many commits (or requests), so many a second, with so many changes each.
Publish = Callable[[int, int, float], Sequence[Moment]]


@dataclass(frozen=True)
class RunningServer:
    """A server that runs.

    Args:
        process: its one process.
        port: where it listens.
        publish: has it tell of changes.
        token: what clients sign in with.
    """

    process: psutil.Process
    port: int
    publish: Publish
    token: str | None = None

    @property
    def memory(self) -> int:
        """Bytes that it holds."""
        return int(self.process.memory_info().rss)

    @property
    def busy_seconds(self) -> float:
        """Seconds of processor that it has used."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


Start = Callable[[], AbstractContextManager[RunningServer]]


def install_packages() -> None:
    """Install what the Node server needs, unless it is there."""
    installed, wanted = FOLDER / "node_modules/.package-lock.json", FOLDER / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < wanted.stat().st_mtime:
        subprocess.run(["npm", "ci", "--silent"], cwd=FOLDER, check=True)  # noqa: S607 - wherever npm is


@contextmanager
def _process(command: Sequence[str | Path], environment: dict[str, str] | None = None) -> Iterator[tuple[int, IO[str]]]:
    """Id and output of a server on the processor that is its own."""
    with processors(OF_SERVER):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        yield process.pid, cast("IO[str]", process.stdout)
    finally:
        process.terminate()
        process.communicate(timeout=STOP_SECONDS)


@contextmanager
def _told_over_http(command: Sequence[str | Path]) -> Iterator[RunningServer]:
    with _process(command) as (number, output):
        port = int(output.readline())
        connection = HTTPConnection("127.0.0.1", port)

        def publish(events: int, commits: int, rate: float) -> list[Moment]:
            return [_post(connection, f"/publish?count={events}") for _ in paced(commits, rate)]

        yield RunningServer(psutil.Process(number), port, publish)
        connection.close()


def paced(times: int, rate: float) -> Iterator[int]:
    """Numbers, so many a second; what is late is not waited for."""
    began = monotonic_ns()
    for number in range(times):
        time.sleep(max(began + number / rate * 1e9 - monotonic_ns(), 0) / 1e9)
        yield number


def _post(connection: HTTPConnection, path: str) -> Moment:
    sent = monotonic_ns()
    connection.request("POST", path)
    connection.getresponse().read()
    return sent, monotonic_ns()


def node() -> AbstractContextManager[RunningServer]:
    """A Node server with graphql-ws."""
    return _told_over_http(["node", FOLDER / "node_server.mjs"])


def strawberry() -> AbstractContextManager[RunningServer]:
    """A server with plain Strawberry."""
    return _told_over_http([sys.executable, "-m", "benchmarks.subscriptions.strawberry_server"])


@contextmanager
def ours(database_url: str, redis_url: str, folder: Path) -> Iterator[RunningServer]:
    """Our server, on a database of the newest schema."""
    token, key = asyncio.run(_prepare(database_url))
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "DATA_DIR": str(folder),
        "SECRET_KEY": SECRET_KEY,
        "CONNECTIONS_PER_USER": "100000",
        "WORKER_IN_SERVER": "false",
        "LOG_LEVEL": "warning",
    }
    command = [sys.executable, "-c", "from graphql_api.cli import main; main()", "serve", "--port", "0"]
    with _process(command, environment) as (number, output), _writer(database_url, redis_url, key) as publish:
        endpoint = next(line for line in output if line.startswith("Endpoint")).split()[1]
        port = int(endpoint.rpartition(":")[2].partition("/")[0])
        yield RunningServer(psutil.Process(number), port, publish, token)


async def _prepare(database_url: str) -> tuple[str, tuple[int, int]]:
    """The token of somebody who may listen, and the store and product whose stock changes: none has moved so far."""
    database = Database(database_url)
    connection = await asyncpg.connect(database_url)
    try:
        ((store, product),) = await connection.fetch(STORE_AND_PRODUCT)
        return (await sign_in(database)).access.text, (store, product)
    finally:
        await connection.close()
        await database.close()


@contextmanager
def _writer(database_url: str, redis_url: str, key: tuple[int, int]) -> Iterator[Publish]:
    command = [sys.executable, "-m", "benchmarks.subscriptions.writer", database_url, redis_url, *map(str, key)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def publish(events: int, commits: int, rate: float) -> list[Moment]:
        lines = cast("IO[str]", process.stdin)
        lines.write(f"{json.dumps({'events': events, 'commits': commits, 'rate': rate})}\n")
        lines.flush()
        return [(sent, done) for sent, done in json.loads(cast("IO[str]", process.stdout).readline())]

    try:
        yield publish
    finally:
        process.kill()
        process.communicate()
