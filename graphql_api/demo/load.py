"""Load the demonstration data once, by the way every file takes: sales, then the purchases that are in stock.

Files and import jobs rather than rows by COPY: the rules that guard real data guard this as well, the job
shows in the list of imports and can be reverted, and a process killed half way leaves a job that a worker
finishes. It costs under a second more at the first start.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date

import asyncpg

from graphql_api.database.base import now_utc
from graphql_api.database.engine import Database
from graphql_api.database.import_job import ImportKind
from graphql_api.demo.purchases import purchases_file
from graphql_api.demo.sales import sales_file
from graphql_api.services import import_job
from graphql_api.services.import_job import ImportRequest
from graphql_api.services.import_run import Busy, ImportRunner
from graphql_api.services.storage import FileStorage
from graphql_api.services.unit_of_work import unit_of_work

FILE_NAME = "demo-sales.csv"
PURCHASES_NAME = "demo-purchases.csv"
LINES = 40_000
FILE_LIMIT = 1 << 30
# Any constant will do: it keeps two processes that start at once from loading the data twice.
DEMO_LOCK = 7_301_848
POLL_SECONDS = 0.1

IS_UNTOUCHED = "SELECT NOT EXISTS (SELECT FROM invoice) AND NOT EXISTS (SELECT FROM import_job)"
SIZES = """
SELECT (SELECT count(*) FROM store), (SELECT count(*) FROM product), (SELECT count(*) FROM invoice_line),
       (SELECT coalesce(sum(on_hand), 0)::bigint FROM stock_level)
"""


@dataclass(frozen=True)
class DemoSummary:
    """How much was loaded; all zeros when the database held invoices or imports already."""

    stores: int
    products: int
    lines: int
    bottles: int


async def load_demo(
    database: Database, storage: FileStorage, *, today: date | None = None, lines: int = LINES
) -> DemoSummary:
    """Import about `lines` invoice lines of the two years before `today` (UTC), and stock, into an untouched database.

    Safe to call at every start and from several processes at once: the first one loads, the others wait for it.
    """
    async with alone(database) as connection:
        if not await connection.fetchval(IS_UNTOUCHED):
            return DemoSummary(0, 0, 0, 0)
        day, runner = today or now_utc().date(), ImportRunner(database, storage, FILE_LIMIT)
        sales = await _start(database, storage, sales_file(day, lines), ImportRequest(FILE_NAME))
        await _finish(runner, sales)
        wish = ImportRequest(PURCHASES_NAME, ImportKind.PURCHASES)
        await _finish(runner, await _start(database, storage, purchases_file(day), wish))
        (sizes,) = await connection.fetch(SIZES)
        return DemoSummary(*sizes)


@asynccontextmanager
async def alone(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """A connection that holds the lock until it closes."""
    async with database.dedicated() as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", DEMO_LOCK)
        yield connection


async def _start(database: Database, storage: FileStorage, file: Iterable[bytes], wish: ImportRequest) -> int:
    stored = await import_job.receive_file(storage, _pieces(file), limit=FILE_LIMIT)
    async with unit_of_work(database) as work:
        job = await import_job.start_import(work, stored, wish)
        return job.id


async def _pieces(file: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in file:
        yield piece


async def _finish(runner: ImportRunner, import_id: int) -> None:
    """Run the job here rather than wait for a worker, unless one has taken it up already."""
    while True:
        try:
            return await runner.run(import_id)
        except Busy:
            await asyncio.sleep(POLL_SECONDS)
