"""What the import tests share: start a file, run it, look at the books."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.database.import_job import ImportJobRow
from graphql_api.services import import_job
from graphql_api.services.import_job import ImportRequest
from graphql_api.services.import_run import ImportRunner
from graphql_api.services.storage import FileStorage
from graphql_api.services.unit_of_work import unit_of_work
from tests.sales_files import chunks
from tests.waiting import until_held_up

BOOKS = """
SELECT i.number, l.line_number, i.date, s.number AS store, p.city, p.zip_code, c.name AS county, r.sku,
       l.quantity, l.unit_price, l.discount, l.revenue, l.cost, l.volume_ml
FROM invoice_line l JOIN invoice i ON i.id = l.invoice_id JOIN store s ON s.id = l.store_id
JOIN place p ON p.id = l.place_id LEFT JOIN county c ON c.id = p.county_id JOIN product r ON r.id = l.product_id
ORDER BY i.number, l.line_number
"""
STOCK = """
SELECT s.number, p.sku, l.on_hand, l.value FROM stock_level l
JOIN store s ON s.id = l.store_id JOIN product p ON p.id = l.product_id WHERE l.on_hand > 0 ORDER BY 1, 2
"""
LOTS = """
SELECT s.number, p.sku, l.received, l.remaining, l.unit_cost, l.received_on::text, l.expires_on::text
FROM stock_lot l JOIN store s ON s.id = l.store_id JOIN product p ON p.id = l.product_id ORDER BY l.id
"""
# Levels that differ from their movements or lots: there must be none, ever.
IMBALANCES = """
SELECT l.store_id, l.product_id FROM stock_level l
WHERE (l.on_hand, l.value) <> (SELECT coalesce(sum(quantity), 0), coalesce(sum(cost), 0) FROM stock_movement m
                               WHERE (m.store_id, m.product_id) = (l.store_id, l.product_id))
   OR (l.on_hand, l.value) <> (SELECT coalesce(sum(remaining), 0), coalesce(sum(remaining * unit_cost), 0)
                               FROM stock_lot o WHERE (o.store_id, o.product_id) = (l.store_id, l.product_id))
"""
# Whoever inserts the line waits for whoever holds the lock; an import gets no further.
HELD = 4_711
HOLD = f"""
CREATE FUNCTION wait_for_the_test() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN PERFORM pg_advisory_xact_lock_shared({HELD}); RETURN NEW; END';
CREATE TRIGGER wait BEFORE INSERT ON invoice FOR EACH ROW WHEN (NEW.number = %s)
  EXECUTE FUNCTION wait_for_the_test()
"""
REFERENCES = "county", "place", "store", "vendor", "category", "product", "invoice", "import_seen"


@dataclass(frozen=True)
class ImportCase:
    """A database and a storage of one test."""

    database: Database
    folder: Path
    block_bytes: int = 8 << 20

    @property
    def storage(self) -> FileStorage:
        return FileStorage(str(self.folder / "storage"))

    @property
    def runner(self) -> ImportRunner:
        return ImportRunner(self.database, self.storage, unpacked_limit=1 << 30, block_bytes=self.block_bytes)

    async def start(self, content: bytes, **request: Any) -> int:
        """Store a file and create its job; its id."""
        stored = await import_job.receive_file(self.storage, chunks(content), limit=1 << 30)
        async with unit_of_work(self.database) as work:
            job = await import_job.start_import(work, stored, ImportRequest(**{"file_name": "sales.csv", **request}))
            return job.id

    @asynccontextmanager
    async def running(self, import_id: int, until: str) -> AsyncIterator[None]:
        """Run it up to the invoice of this number, and for as long as the block lasts no further; then to its end."""
        async with self.database.dedicated() as holder:
            await holder.execute(HOLD % f"'{until}'")
            await holder.execute("SELECT pg_advisory_lock($1)", HELD)
            task = asyncio.create_task(self.runner.run(import_id))
            await until_held_up(self.database)
            yield
            await holder.execute("SELECT pg_advisory_unlock($1)", HELD)
            await task

    async def job(self, import_id: int) -> ImportJobRow:
        async with self.database.read() as session:
            job = await import_job.import_by_id(session, import_id)
            assert job is not None
            return job

    async def load(self, content: bytes, **request: Any) -> ImportJobRow:
        """Start a file and run it to its end."""
        import_id = await self.start(content, **request)
        await self.runner.run(import_id)
        return await self.job(import_id)

    async def books(self) -> list[tuple[Any, ...]]:
        """Every line in natural terms, without ids."""
        return await self.query(BOOKS)

    async def revert(self, import_id: int) -> ImportJobRow:
        """Have a completed import taken back."""
        async with unit_of_work(self.database) as work:
            await import_job.revert_import(work, import_id)
        await self.runner.run(import_id)
        return await self.job(import_id)

    async def stock(self) -> list[tuple[Any, ...]]:
        """Store, item number, bottles and cents of every level that has something, once the books balance."""
        assert await self.query(IMBALANCES) == []
        return await self.query(STOCK)

    async def lots(self) -> list[tuple[Any, ...]]:
        """Store, item number, received, remaining, cost, day and expiry of every lot."""
        return await self.query(LOTS)

    async def query(self, statement: str) -> list[tuple[Any, ...]]:
        async with self.database.read() as session:
            return [tuple(row) for row in await session.execute(text(statement))]

    async def table_sizes(self) -> dict[str, int]:
        """Rows of everything an import may create besides lines."""
        return {table: (await self.query(f"SELECT count(*) FROM {table}"))[0][0] for table in REFERENCES}  # noqa: S608 - names of our own

    async def rejects(self, import_id: int) -> list[tuple[int, str, str | None]]:
        """(line, code, column) of every refused row."""
        rows = await self.query(
            f'SELECT line, code, "column" FROM import_reject WHERE import_id = {int(import_id)} ORDER BY record'  # noqa: S608 - a number
        )
        return [(line, code, column) for line, code, column in rows]


def counts(job: ImportJobRow) -> tuple[int, int, int, int, int]:
    """read, inserted, updated, unchanged, rejected."""
    return job.rows_read, job.rows_inserted, job.rows_updated, job.rows_unchanged, job.rows_rejected
