"""The worker: takes jobs from the job engine and runs them, in `serve` or as a process of its own."""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg
from pgqueuer import AsyncpgDriver, Job, PgQueuer
from pgqueuer.errors import RetryRequested

from graphql_api.services.import_job import IMPORT_JOB
from graphql_api.services.import_run import Busy, ImportRunner
from graphql_api.services.unit_of_work import job_queries

logger = logging.getLogger(__name__)

# A job whose worker has not been heard of for this long is given to another.
HEARTBEAT = timedelta(seconds=10)
POLL = timedelta(seconds=5)
BUSY_DELAY = timedelta(seconds=1)
RECONNECT_SECONDS = 1.0
RESTART_SECONDS = 5.0
MAX_DELAY_SECONDS = 300


@dataclass
class Worker:
    """Runs jobs until it is told to stop; a lost database only makes it wait.

    Args:
        url: of the PostgreSQL that holds the jobs.
        imports: runs import jobs.
        heartbeat: how soon the jobs of a killed worker are taken over.
        poll: how soon a job is noticed whose notification was missed.
    """

    url: str
    imports: ImportRunner
    heartbeat: timedelta = HEARTBEAT
    poll: timedelta = POLL

    def __post_init__(self) -> None:
        """Begin unstopped."""
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Serve jobs until `stop`; no fault ends background work for good."""
        while not self._stopping.is_set():
            try:
                await self._serve()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                logger.warning("The worker lost the database and tries again", exc_info=True)
                await asyncio.sleep(RECONNECT_SECONDS)
            except Exception:
                logger.exception("The worker failed and starts again")
                await asyncio.sleep(RESTART_SECONDS)

    def stop(self) -> None:
        """Have `run` return soon: running jobs are let go and go on from their checkpoints at the next start."""
        self._stopping.set()

    async def _serve(self) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            driver = AsyncpgDriver(connection)
            queue = PgQueuer(connection=driver, queries=job_queries(driver))
            queue.entrypoint(IMPORT_JOB)(self._run_import)
            if lost_jobs := await self.imports.adopt_lost_jobs():
                logger.warning("Imports without an entry in the queue are queued again: %s", lost_jobs)
            lost = asyncio.Event()
            connection.add_termination_listener(lambda _: lost.set())
            await self._until_stopped(queue, lost)
        finally:
            await connection.close(timeout=5)

    async def _until_stopped(self, queue: PgQueuer, lost: asyncio.Event) -> None:
        running = queue.run(dequeue_timeout=self.poll, heartbeat_timeout=self.heartbeat, batch_size=1)
        serving = asyncio.create_task(running)
        endings = [asyncio.create_task(self._stopping.wait()), asyncio.create_task(lost.wait())]
        try:
            await asyncio.wait([serving, *endings], return_when=asyncio.FIRST_COMPLETED)
            queue.shutdown.set()
            await serving
        finally:
            for task in (serving, *endings):
                task.cancel()

    async def _run_import(self, job: Job) -> None:
        import_id = int((job.payload or b"").decode())
        try:
            await self._until_done_or_stopped(self.imports.run(import_id))
        except Busy:
            raise RetryRequested(BUSY_DELAY, "another worker runs this import") from None
        except RetryRequested:
            raise
        except Exception as error:
            # Whatever it was, the checkpoint stands: the job goes on from there.
            logger.exception("Import %d was interrupted and goes on later", import_id)
            delay = min(2**job.attempts, MAX_DELAY_SECONDS)
            raise RetryRequested(timedelta(seconds=delay), type(error).__name__) from error

    async def _until_done_or_stopped(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for work that may be broken off anywhere; a worker that stops hands it back to the queue."""
        working = asyncio.create_task(work)
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise RetryRequested(reason="the worker stops")
            working.result()
        finally:
            working.cancel()
            stopping.cancel()
            await asyncio.gather(working, stopping, return_exceptions=True)
