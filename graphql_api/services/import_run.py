"""Running an import job to its end, from whatever state a killed worker left it in."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import BinaryIO

import asyncpg
from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.database.import_job import ImportKind, ImportMode, ImportStatus, RejectPolicy, StockEffect
from graphql_api.imports.kinds import KINDS
from graphql_api.imports.load import LoadOptions
from graphql_api.imports.rejects import FileProblem, FileProblemCode
from graphql_api.imports.run import ImportFile, Stopped, complete, load_file
from graphql_api.imports.source import Checkpoint
from graphql_api.services.import_ending import fail, give_up, take_back_or_keep
from graphql_api.services.import_job import IMPORT_JOB
from graphql_api.services.import_low_stock import tell_of_low_stock
from graphql_api.services.storage import FileStorage
from graphql_api.services.unit_of_work import unit_of_work

# First key of the two-part advisory lock that a worker holds while it runs a job; the second is the job's id.
RUN_LOCK = 7_301
BLOCK_BYTES = 8 << 20
# A job that fails this often in one process, each time for a reason nobody foresaw, is given up.
ATTEMPTS = 6
# What passes without anybody's doing. Nothing can be written down about a job while it lasts, either.
OUTAGES = (
    ConnectionError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)
JOB = "SELECT * FROM import_job WHERE id = $1"
UNFINISHED = "QUEUED", "RUNNING", "CANCELLING", "REVERTING"
LOST_JOBS = text(
    "SELECT id FROM import_job j WHERE status = ANY(:unfinished) AND NOT EXISTS (SELECT FROM jobs.pgqueuer q "
    "WHERE q.entrypoint = :entrypoint AND q.payload = convert_to(j.id::text, 'UTF8') "
    "AND q.status IN ('queued', 'picked')) ORDER BY id"
)


class Busy(Exception):  # noqa: N818 - a turn of events, not a fault
    """Another worker is running this job."""


@dataclass(frozen=True)
class ImportRunner:
    """What running a job needs. `unpacked_limit` and `block_bytes` are bytes of unpacked text."""

    database: Database
    storage: FileStorage
    unpacked_limit: int
    block_bytes: int = BLOCK_BYTES
    attempts: int = ATTEMPTS
    _failures: Counter[int] = field(default_factory=Counter, init=False, repr=False)

    async def run(self, import_id: int) -> None:
        """Bring a job to a final status; running a finished job again does nothing.

        Raises:
            Busy: another worker holds the job; ask again later.
            Exception: something unforeseen, at most `attempts` - 1 times; then the job ends.
        """
        async with self.database.dedicated() as connection, _sole_runner(connection, import_id):
            try:
                await self._advance(connection, import_id)
            except OUTAGES:
                raise
            except Exception as error:
                self._failures[import_id] += 1
                if self._failures[import_id] < self.attempts:
                    raise
                await give_up(connection, await _job(connection, JOB, import_id), error)
            self._failures.pop(import_id, None)
        await tell_of_low_stock(self.database, import_id)

    async def adopt_lost_jobs(self) -> list[int]:
        """Queue the unfinished jobs that no entry of the queue leads to any more; their ids."""
        async with unit_of_work(self.database) as work:
            lost = await work.session.scalars(LOST_JOBS, {"unfinished": list(UNFINISHED), "entrypoint": IMPORT_JOB})
            ids = list(lost)
            for import_id in ids:
                await work.enqueue(IMPORT_JOB, str(import_id).encode())
        return ids

    async def _advance(self, connection: asyncpg.Connection, import_id: int) -> None:
        """Step from state to state until one is final."""
        while True:
            job = await _job(connection, JOB, import_id)
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
                    await take_back_or_keep(connection, job, ImportStatus.CANCELLED)
                case ImportStatus.REVERTING:
                    await take_back_or_keep(connection, job, ImportStatus.REVERTED)
                case _:
                    return

    async def _load(self, connection: asyncpg.Connection, job: asyncpg.Record) -> None:
        # REJECT_ALL looks at the whole file before it writes the first line.
        checking = job["on_error"] == RejectPolicy.REJECT_ALL and not job["checked"]
        options = LoadOptions(
            import_id=job["id"],
            replace=job["mode"] == ImportMode.UPSERT,
            dry_run=job["dry_run"] or checking,
            deduct=job["stock_effect"] == StockEffect.DEDUCT,
            file=_identity(job),
            actor_id=job["created_by"],
        )
        try:
            await load_file(connection, self._file(job), options, _start(job))
        except Stopped:
            return
        except FileProblem as problem:
            await fail(connection, job, problem)
            return
        await self._conclude(connection, job["id"], checking=checking)

    def _file(self, job: asyncpg.Record) -> ImportFile:
        return ImportFile(
            kind=KINDS[ImportKind(job["kind"])],
            open=partial(self._open, job["storage_key"]),
            sha256=job["sha256"],
            mapping=json.loads(job["mapping"]),
            unpacked_limit=self.unpacked_limit,
            block_bytes=self.block_bytes,
        )

    def _open(self, key: str) -> BinaryIO:
        try:
            return self.storage.open(key)
        except FileNotFoundError as error:
            raise FileProblem(
                FileProblemCode.FILE_MISSING,
                "The stored file is gone.",
                "Send the file again as a new import; what is already there will not be imported twice.",
            ) from error

    async def _conclude(self, connection: asyncpg.Connection, import_id: int, *, checking: bool) -> None:
        async with connection.transaction():
            job = await _job(connection, "SELECT * FROM import_job WHERE id = $1 FOR NO KEY UPDATE", import_id)
            if job["status"] != ImportStatus.RUNNING:
                return
            refused = job["on_error"] == RejectPolicy.REJECT_ALL and job["rows_rejected"]
            if not refused and checking and not job["dry_run"]:
                await _begin_again(connection, import_id)
            elif not refused:
                await complete(connection, KINDS[ImportKind(job["kind"])], import_id, is_clean=not job["rows_rejected"])
        if refused:
            await take_back_or_keep(connection, job, ImportStatus.REFUSED)


async def _job(connection: asyncpg.Connection, query: str, import_id: int) -> asyncpg.Record:
    job = await connection.fetchrow(query, import_id)
    if job is None:
        raise LookupError(f"Import {import_id} is gone; jobs are never deleted.")
    return job


def _identity(job: asyncpg.Record) -> str:
    """What the file is known by: the same bytes, read in the same way."""
    mapping = json.dumps(json.loads(job["mapping"]), sort_keys=True)
    return sha256(f"{job['sha256']} {mapping}".encode()).hexdigest()


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
