"""One import job from its first block to its last, each block one transaction with its checkpoint."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

import asyncpg

from graphql_api.database.import_job import ImportStatus
from graphql_api.imports import seen
from graphql_api.imports.created import drop_created, drop_unused
from graphql_api.imports.data_file import CheckedBlock, DataFile
from graphql_api.imports.kinds import FileKind
from graphql_api.imports.load import BlockResult, LoadOptions
from graphql_api.imports.rejects import Reject
from graphql_api.imports.source import Checkpoint

logger = logging.getLogger(__name__)

# Blocks of different imports are written one after another: they create the same stores and products.
WRITE_LOCK = 7_301_847
# Losing a race against another writer is repaired by doing the block again.
RACES = (
    asyncpg.UniqueViolationError,
    asyncpg.ForeignKeyViolationError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
)
ATTEMPTS = 5
PAUSE_SECONDS = 0.2
REJECT_COLUMNS = ("import_id", "record", "line", "column", "code", "value", "hint", "fields")


class Stopped(Exception):  # noqa: N818 - a turn of events, not a fault
    """The job is no longer to be run: somebody cancelled it."""


@dataclass(frozen=True)
class ImportFile:
    """What is to be read, and how: `sha256` identifies the lines of a file without ids."""

    kind: FileKind
    open: Callable[[], BinaryIO]
    sha256: str
    mapping: dict[str, str]
    unpacked_limit: int
    block_bytes: int


async def load_file(
    connection: asyncpg.Connection, file: ImportFile, options: LoadOptions, start: Checkpoint | None
) -> None:
    """Load every block from `start` on; while one is written the next is read.

    Raises:
        FileProblem: the file as a whole, or from here on, cannot be read.
        Stopped: the job's status is no longer RUNNING.
    """
    loop = asyncio.get_running_loop()
    async with _reader_thread() as thread:
        raw = await loop.run_in_executor(thread, file.open)
        try:
            source = await loop.run_in_executor(thread, _open_file, raw, file)
            await _load_blocks(connection, source, file.kind, options, start, thread)
        finally:
            await loop.run_in_executor(thread, raw.close)  # when the thread is done with the file


@asynccontextmanager
async def _reader_thread() -> AsyncIterator[Executor]:
    """One thread for all that is read: each thread that allocates keeps memory of its own."""
    thread = ThreadPoolExecutor(1, "import-reader")
    try:
        yield thread
    finally:
        await asyncio.to_thread(thread.shutdown)


async def _load_blocks(  # noqa: PLR0913, PLR0917 - what the loop goes by
    connection: asyncpg.Connection,
    source: DataFile[CheckedBlock],
    kind: FileKind,
    options: LoadOptions,
    start: Checkpoint | None,
    thread: Executor,
) -> None:
    await connection.execute(
        "UPDATE import_job SET header = $2 WHERE id = $1", options.import_id, list(source.columns.header)
    )
    read = partial(asyncio.get_running_loop().run_in_executor, thread, next, source.blocks(start), None)
    offset = start.offset if start else 0
    pending: asyncio.Future[CheckedBlock | None] = read()
    try:
        while (block := await pending) is not None:
            bytes_read = source.bytes_read
            pending = read()
            await _persist(
                connection, partial(kind.load, connection, block, options), block.next, options, offset, bytes_read
            )
            offset = block.next.offset
    finally:
        await asyncio.gather(pending, return_exceptions=True)


def _open_file(raw: BinaryIO, file: ImportFile) -> DataFile[CheckedBlock]:
    return DataFile(
        raw,
        file.kind.layout,
        lambda reader: file.kind.validator(reader, file.sha256[:16]),
        mapping=file.mapping,
        unpacked_limit=file.unpacked_limit,
        block_bytes=file.block_bytes,
    )


async def _persist(  # noqa: PLR0913, PLR0917 - as above
    connection: asyncpg.Connection,
    load: Callable[[], Awaitable[BlockResult]],
    reached: Checkpoint,
    options: LoadOptions,
    offset: int,
    bytes_read: int,
) -> None:
    """Write a block and its checkpoint together, again when another writer was faster."""

    async def attempt() -> None:
        async with connection.transaction():
            await _hold_job(connection, options, offset)
            result = await load()
            await _write_rejects(connection, options.import_id, result.rejects)
            await _checkpoint(connection, options.import_id, result, reached, bytes_read)

    await _retry_races(attempt)


async def _retry_races(attempt: Callable[[], Awaitable[None]]) -> None:
    for left in reversed(range(ATTEMPTS)):
        try:
            await attempt()
        except RACES:
            if not left:
                raise
            logger.warning("An import block lost a race and is done again", exc_info=True)
            await asyncio.sleep(PAUSE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, no secret
        else:
            return


async def _hold_job(connection: asyncpg.Connection, options: LoadOptions, offset: int) -> None:
    """Keep the job as it is until the commit; whoever is not at its checkpoint must not write."""
    # Not FOR UPDATE: an undo that holds the write lock may hand rows over to this job and must not wait for it.
    job = await connection.fetchrow(
        "SELECT status, next_offset FROM import_job WHERE id = $1 FOR NO KEY UPDATE", options.import_id
    )
    if job is None or job["status"] != ImportStatus.RUNNING or job["next_offset"] != offset:
        raise Stopped
    # A block need not wait for the disk: lost in a crash, its checkpoint is lost with it, and the job's end waits.
    await connection.execute("SET LOCAL synchronous_commit TO off")
    if not options.dry_run:
        await _hold_write_lock(connection)


async def _hold_write_lock(connection: asyncpg.Connection) -> None:
    await connection.execute("SELECT pg_advisory_xact_lock($1)", WRITE_LOCK)


async def _write_rejects(connection: asyncpg.Connection, import_id: int, rejects: list[Reject]) -> None:
    rows: list[tuple[Any, ...]] = [
        (import_id, r.record, r.line, r.column, r.code.value, r.value, r.hint, r.fields) for r in rejects
    ]
    if rows:
        await connection.copy_records_to_table("import_reject", records=rows, columns=REJECT_COLUMNS)


async def _checkpoint(
    connection: asyncpg.Connection, import_id: int, result: BlockResult, reached: Checkpoint, bytes_read: int
) -> None:
    await connection.execute(
        "UPDATE import_job SET rows_read = rows_read + $2, rows_inserted = rows_inserted + $3, "
        "rows_updated = rows_updated + $4, rows_unchanged = rows_unchanged + $5, rows_rejected = rows_rejected + $6, "
        "next_offset = $7, next_line = $8, next_record = $9, bytes_read = $10 WHERE id = $1",
        import_id,
        result.rows_read,
        result.inserted,
        result.updated,
        result.unchanged,
        len(result.rejects),
        reached.offset,
        reached.line,
        reached.record,
        bytes_read,
    )


async def complete(connection: asyncpg.Connection, kind: FileKind, import_id: int, *, is_clean: bool) -> None:
    """End a job well, in the caller's transaction; `is_clean` when no row was refused."""
    if not is_clean:
        await _hold_write_lock(connection)
        await drop_unused(connection, import_id, subject=kind.subject)
    await finish(connection, import_id, ImportStatus.COMPLETED)


async def take_back(connection: asyncpg.Connection, kind: FileKind, import_id: int, status: ImportStatus) -> None:
    """Undo what a job wrote and give it its final status, in one transaction.

    Raises:
        Blocked: something of it has been used or changed since; nothing is undone.
    """

    async def attempt() -> None:
        async with connection.transaction():
            await _hold_write_lock(connection)
            await kind.undo(connection, import_id)
            await drop_created(connection, import_id)
            await finish(connection, import_id, status)

    await _retry_races(attempt)


async def finish(connection: asyncpg.Connection, import_id: int, status: ImportStatus) -> None:
    """Give a job its final status and drop its working notes."""
    await seen.forget(connection, import_id)
    await connection.execute(
        "UPDATE import_job SET status = $2::text, finished_at = now(), "
        "failure = CASE WHEN $2::text = 'REVERTED' THEN NULL ELSE failure END WHERE id = $1",
        import_id,
        status.value,
    )
