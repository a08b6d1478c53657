"""Running an import job to its end, from whatever state a killed worker left it in."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg

from graphql_api.database.engine import Database
from graphql_api.database.import_job import ImportMode, ImportStatus, RejectPolicy
from graphql_api.imports.loader import LoadOptions
from graphql_api.imports.rejects import FileProblem
from graphql_api.imports.run import ImportFile, Stopped, finish, load_file, take_back
from graphql_api.imports.source import Checkpoint
from graphql_api.services.storage import FileStorage

logger = logging.getLogger(__name__)

# First key of the two-part advisory lock that a worker holds while it runs a job; the second is the job's id.
RUN_LOCK = 7_301
BLOCK_BYTES = 4 << 20


class Busy(Exception):  # noqa: N818 - a turn of events, not a fault
    """Another worker is running this job."""


@dataclass(frozen=True)
class ImportRunner:
    """What running a job needs. `unpacked_limit` and `block_bytes` are bytes of unpacked text."""

    database: Database
    storage: FileStorage
    unpacked_limit: int
    block_bytes: int = BLOCK_BYTES

    async def run(self, import_id: int) -> None:
        """Bring a job to a final status; running a finished job again does nothing.

        Raises:
            Busy: another worker holds the job; ask again later.
        """
        async with self.database.dedicated() as connection, _sole_runner(connection, import_id):
            await self._advance(connection, import_id)

    async def _advance(self, connection: asyncpg.Connection, import_id: int) -> None:
        """Step from state to state until one is final."""
        while True:
            job = await _job(connection, "SELECT * FROM import_job WHERE id = $1", import_id)
            match ImportStatus(job["status"]):
                case ImportStatus.QUEUED:
                    await connection.execute(
                        "UPDATE import_job SET status = 'RUNNING', started_at = coalesce(started_at, now()) "
                        "WHERE id = $1 AND status = 'QUEUED'",
                        import_id,
                    )
                case ImportStatus.RUNNING:
                    await self._load(connection, job)
                case ImportStatus.CANCELLING:
                    await take_back(connection, import_id, ImportStatus.CANCELLED)
                case ImportStatus.REVERTING:
                    await take_back(connection, import_id, ImportStatus.REVERTED)
                case _:
                    return

    async def _load(self, connection: asyncpg.Connection, job: asyncpg.Record) -> None:
        # REJECT_ALL looks at the whole file before it writes the first line.
        checking = job["on_error"] == RejectPolicy.REJECT_ALL and not job["checked"]
        options = LoadOptions(
            import_id=job["id"],
            replace=job["mode"] == ImportMode.UPSERT,
            dry_run=job["dry_run"] or checking,
        )
        try:
            await load_file(connection, self._file(job), options, _start(job))
        except Stopped:
            return
        except FileProblem as problem:
            await _fail(connection, job["id"], problem)
            return
        await self._conclude(connection, job["id"], checking=checking)

    def _file(self, job: asyncpg.Record) -> ImportFile:
        key = job["storage_key"]
        return ImportFile(
            open=lambda: self.storage.open(key),
            sha256=job["sha256"],
            mapping=json.loads(job["mapping"]),
            unpacked_limit=self.unpacked_limit,
            block_bytes=self.block_bytes,
        )

    async def _conclude(self, connection: asyncpg.Connection, import_id: int, *, checking: bool) -> None:
        async with connection.transaction():
            job = await _job(connection, "SELECT * FROM import_job WHERE id = $1 FOR UPDATE", import_id)
            if job["status"] != ImportStatus.RUNNING:
                return
            refused = job["on_error"] == RejectPolicy.REJECT_ALL and job["rows_rejected"]
            if not refused and checking and not job["dry_run"]:
                await _begin_again(connection, import_id)
            elif not refused:
                await finish(connection, import_id, ImportStatus.COMPLETED)
        if refused:
            await take_back(connection, import_id, ImportStatus.REFUSED)


async def _job(connection: asyncpg.Connection, query: str, import_id: int) -> asyncpg.Record:
    job = await connection.fetchrow(query, import_id)
    if job is None:
        raise LookupError(f"Import {import_id} is gone; jobs are never deleted.")
    return job


def _start(job: asyncpg.Record) -> Checkpoint | None:
    if not job["next_offset"]:
        return None
    return Checkpoint(job["next_offset"], job["next_line"], job["next_record"])


async def _begin_again(connection: asyncpg.Connection, import_id: int) -> None:
    """The file has passed its check: now load it."""
    await connection.execute("DELETE FROM import_seen WHERE import_id = $1", import_id)
    await connection.execute(
        "UPDATE import_job SET checked = true, next_offset = 0, next_line = 0, next_record = 0, bytes_read = 0, "
        "rows_read = 0, rows_inserted = 0, rows_updated = 0, rows_unchanged = 0 WHERE id = $1",
        import_id,
    )


async def _fail(connection: asyncpg.Connection, import_id: int, problem: FileProblem) -> None:
    """Note what is wrong with the file and leave nothing of it behind."""
    failure = {
        "code": problem.code.value,
        "message": problem.message,
        "hint": problem.hint,
        "line": problem.line,
        "column": problem.column,
    }
    await connection.execute("UPDATE import_job SET failure = $2 WHERE id = $1", import_id, json.dumps(failure))
    await take_back(connection, import_id, ImportStatus.FAILED)


@asynccontextmanager
async def _sole_runner(connection: asyncpg.Connection, import_id: int) -> AsyncIterator[None]:
    """Hold the job; the lock goes with the connection, so a killed worker gives it up at once."""
    if not await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", RUN_LOCK, import_id):
        raise Busy
    try:
        yield
    finally:
        if not connection.is_closed():
            await asyncio.shield(connection.execute("SELECT pg_advisory_unlock($1, $2)", RUN_LOCK, import_id))
