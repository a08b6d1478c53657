"""A whole shop of processes that tests kill, freeze and restart: servers, a worker, and PostgreSQL and Valkey."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx
import psutil

from graphql_api import embedded
from graphql_api.database import migrate
from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.embedded.home import find_home
from graphql_api.events.relay import LEADER_LOCK
from graphql_api.services.key import GivenKeys
from graphql_api.services.token import AccessTokens
from tests.factories import create_product, create_store
from tests.faults.server_process import ServerProgram, server_programs
from tests.faults.valkey_process import ValkeyProcess, running_valkey
from tests.programs import GRAPHQL_API, Program
from tests.transport.conftest import SECRET_KEY, create_viewer

STORES = 5
PRODUCTS = 6
PATIENCE = 180.0
LEADER_PORT = """
SELECT a.client_port FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objid = $1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
RELAY_PORTS = """
SELECT client_port FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'graphql-api relay'
"""


@dataclass(frozen=True)
class Goods:
    """What is moved about: ids of stores and products, and how clients name them."""

    stores: dict[int, int]
    skus: dict[int, str]


@dataclass(frozen=True)
class Shop:
    """Servers of one database and one Valkey.

    Args:
        folder: of PostgreSQL's data and of everything that the programs keep.
        database_url: of PostgreSQL.
        valkey: as a process.
        goods: what there is to be moved.
        token: an administrator's.
    """

    folder: Path
    database_url: str
    valkey: ValkeyProcess
    goods: Goods
    token: str

    @contextmanager
    def serving(self, name: str, workers: int) -> Iterator[ServerProgram]:
        """`graphql-api serve` with so many processes."""
        folder = self.folder / name
        folder.mkdir()
        settings = {
            "WORKERS": str(workers),
            "CONNECTIONS_PER_USER": "100000",
            "METRICS_READERS": "127.0.0.1",
            "LOG_LEVEL": "warning",
        }
        with server_programs(1, self.database_url, self.valkey.url, folder, **settings) as (server,):
            yield server

    async def restart_postgres(self) -> None:
        """Have it stop at once, as after a power failure but for the disk; its supervisor starts it again."""
        before = self._postmaster()
        os.kill(before, signal.SIGQUIT)
        async with asyncio.timeout(PATIENCE):
            while not await self._has_restarted(before):  # noqa: ASYNC110 - another process does it
                await asyncio.sleep(0.05)

    def _postmaster(self) -> int:
        home = find_home(self.folder)
        assert home is not None
        return int((home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])

    async def _has_restarted(self, before: int) -> bool:
        try:
            if self._postmaster() == before:
                return False
            connection = await asyncpg.connect(self.database_url, timeout=5)
        except (OSError, IndexError, asyncpg.PostgresError):
            return False
        await connection.close()
        return True


@dataclass
class Crew:
    """The processes of a shop that number events and serve clients, to be killed and frozen."""

    shop: Shop
    server: ServerProgram
    workers: int
    worker: Program = field(init=False)

    def __post_init__(self) -> None:
        self.start_worker()

    def start_worker(self) -> None:
        """The process for background jobs."""
        environment = {
            **os.environ,
            "DATABASE_URL": self.shop.database_url,
            "REDIS_URL": self.shop.valkey.url,
            "DATA_DIR": str(self.shop.folder / "worker"),
            "SECRET_KEY": SECRET_KEY,
        }
        with Path(os.devnull).open("w") as nothing:
            self.worker = Program(GRAPHQL_API, "worker", environment=environment, stdout=nothing)

    def servers(self) -> list[psutil.Process]:
        """The processes that serve clients."""
        return [child for child in psutil.Process(self.server.process.pid).children() if _is_server(child)]

    async def complete(self) -> None:
        """Return when all work, those in the places of others as well: each gives numbers, or waits to."""
        connection = await asyncpg.connect(self.shop.database_url)
        try:
            async with asyncio.timeout(PATIENCE):
                while not await self._is_complete(connection):  # noqa: ASYNC110 - processes tell nobody
                    await asyncio.sleep(0.05)
        finally:
            await connection.close()

    async def _is_complete(self, connection: asyncpg.Connection) -> bool:
        relays = {row["client_port"] for row in await connection.fetch(RELAY_PORTS)}
        servers = self.servers()
        return len(servers) == self.workers and all(
            relays & _ports(process) for process in (psutil.Process(self.worker.pid), *servers)
        )

    async def leader(self) -> psutil.Process:
        """Whoever numbers events at the moment."""
        connection = await asyncpg.connect(self.shop.database_url)
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    port = await connection.fetchval(LEADER_PORT, LEADER_LOCK)
                    for process in (psutil.Process(self.worker.pid), *self.servers()):
                        if port in _ports(process):
                            return process
                    await asyncio.sleep(0.02)
        finally:
            await connection.close()

    async def kill_leader(self) -> str:
        """End it as the kernel does; it is started again. What it was."""
        leader = await self.leader()
        leader.kill()
        if leader.pid != self.worker.pid:
            return "a server"
        self.worker.wait()
        self.start_worker()
        return "the worker"

    async def freeze_server(self, seconds: float) -> None:
        """Have one that serves clients stop and go on later."""
        frozen = self.servers()[0]
        frozen.suspend()
        try:
            await asyncio.sleep(seconds)
        finally:
            frozen.resume()

    def stop(self) -> None:
        """Stop the worker."""
        self.worker.terminate()
        self.worker.wait(PATIENCE)


def _is_server(process: psutil.Process) -> bool:
    """Whether it serves clients, and lives."""
    try:
        return any("spawn_main" in word for word in process.cmdline())
    except psutil.Error:
        return False


def _ports(process: psutil.Process) -> set[int]:
    """Where its connections begin; none when it has died."""
    try:
        return {one.laddr.port for one in process.net_connections("tcp")}
    except psutil.Error:
        return set()


@contextmanager
def open_shop(folder: Path) -> Iterator[Shop]:
    """A shop whose PostgreSQL and Valkey run."""
    valkey_folder = folder / "valkey"
    valkey_folder.mkdir()
    servers = embedded.start(folder, valkey=False)
    try:
        with running_valkey(valkey_folder) as valkey:
            goods, token = asyncio.run(_furnish(servers.database_url))
            yield Shop(folder, servers.database_url, valkey, goods, token)
    finally:
        servers.stop()
        embedded.remove(folder)


async def _furnish(database_url: str) -> tuple[Goods, str]:
    database = Database(database_url)
    await migrate.upgrade(database)
    async with database.transaction() as session:
        stores = [await create_store(session) for _ in range(STORES)]
        products = [await create_product(session) for _ in range(PRODUCTS)]
    token = AccessTokens(GivenKeys(SECRET_KEY)).issue(await create_viewer(database, Role.ADMIN), 15).text
    await database.close()
    skus = {product.id: product.sku for product in products}
    return Goods({store.id: store.number for store in stores}, skus), token


async def metric(server: ServerProgram, name: str) -> float:
    """What a server with one process has counted."""
    async with httpx.AsyncClient(timeout=PATIENCE) as http:
        answer = await http.get(server.http_url.replace("/graphql", "/metrics"))
    lines = [line.split() for line in answer.raise_for_status().text.splitlines()]
    return next(float(line[1]) for line in lines if line[0] == name)
