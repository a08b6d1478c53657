"""The worker: takes jobs from the job engine and runs them, in `serve` or as a process of its own."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import asyncpg
from pgqueuer import AsyncpgDriver, Job, PgQueuer, Queries
from pgqueuer.errors import RetryRequested
from pgqueuer.models import Schedule

from graphql_api.services.import_job import IMPORT_JOB
from graphql_api.services.import_run import Busy, ImportRunner
from graphql_api.services.mail.delivery import Undelivered
from graphql_api.services.mail.message import MAIL_JOB
from graphql_api.services.mail.runner import MailRunner
from graphql_api.services.periodic import Periodic, is_repeated
from graphql_api.services.unit_of_work import job_queries

logger = logging.getLogger(__name__)

# A job whose worker has not been heard of for this long is given to another.
HEARTBEAT = timedelta(seconds=10)
POLL = timedelta(seconds=5)
BUSY_DELAY = timedelta(seconds=1)
RECONNECT_SECONDS = 1.0
RESTART_SECONDS = 5.0
MAX_DELAY_SECONDS = 300
# With the delays between them these take an hour: a mail server that is down longer is somebody's business.
MAIL_ATTEMPTS = 20
# What still fails after half an hour waits for its next time.
PERIODIC_ATTEMPTS = 12


@dataclass
class Worker:
    """Runs jobs until it is told to stop; a lost database only makes it wait.

    Args:
        url: of the PostgreSQL that holds the jobs.
        imports: runs import jobs.
        mails: sends mails.
        heartbeat: how soon the jobs of a killed worker are taken over.
        poll: how soon a job is noticed whose notification was missed.
        periodic: what comes round by the clock.
    """

    url: str
    imports: ImportRunner
    mails: MailRunner
    heartbeat: timedelta = HEARTBEAT
    poll: timedelta = POLL
    periodic: Sequence[Periodic] = ()

    def __post_init__(self) -> None:
        """Begin unstopped."""
        self._stopping = asyncio.Event()
        self._entry_points: Mapping[str, Callable[[Job], Awaitable[None]]] = {
            IMPORT_JOB: self._run_import,
            MAIL_JOB: self._send_mail,
            **{work.job: partial(self._run_periodic, work) for work in self.periodic},
        }

    async def run(self) -> None:
        """Serve jobs until `stop`; no fault ends background work for good."""
        while not self._stopping.is_set():
            try:
                await self._serve()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                logger.warning("The worker has lost the database and tries again: %r", error)
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
            queries = job_queries(driver)
            queue = PgQueuer(connection=driver, queries=queries)
            for name, run in self._entry_points.items():
                queue.entrypoint(name)(run)
            for work in self.periodic:
                queue.schedule(work.job, work.cron)(partial(_enqueue, queries))
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
            raise RetryRequested(_delay(job), type(error).__name__) from error

    async def _send_mail(self, job: Job) -> None:
        try:
            await self._until_done_or_stopped(self.mails.run(job.payload or b""))
        except RetryRequested:
            raise
        except Undelivered as failure:
            _postpone_mail(job, str(failure))
        except Exception as error:
            logger.exception("The mail of job %d failed", job.id)
            _postpone_mail(job, type(error).__name__)

    async def _run_periodic(self, work: Periodic, job: Job) -> None:
        try:
            await self._until_done_or_stopped(work.run())
        except RetryRequested:
            raise
        except Exception as error:
            logger.exception("The periodic work `%s` failed", work.name)
            if job.attempts + 1 < PERIODIC_ATTEMPTS:
                raise RetryRequested(_delay(job), type(error).__name__) from error

    async def _until_done_or_stopped(self, work: Awaitable[None]) -> None:
        """Wait for work that may be broken off anywhere; a worker that stops hands it back to the queue."""
        working = asyncio.ensure_future(work)
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


async def _enqueue(queries: Queries, schedule: Schedule) -> None:
    """Put work whose time has come into the queue, from where it is run, retried and taken over as any job."""
    if not is_repeated(schedule.updated, schedule.next_run, schedule.last_run):
        job = schedule.entrypoint
        await queries.enqueue(job, None, dedupe_key=job, on_conflict="skip")


def _postpone_mail(job: Job, reason: str) -> None:
    """Have a mail tried again later; after too many attempts it is given up.

    Raises:
        RetryRequested: what the job engine acts on.
    """
    if job.attempts + 1 >= MAIL_ATTEMPTS:
        logger.error("The mail of job %d is given up: %s", job.id, reason)
        return
    logger.warning("The mail of job %d has to wait: %s", job.id, reason)
    # without the cause, which may name addresses: the job engine writes it down
    raise RetryRequested(_delay(job), reason) from None


def _delay(job: Job) -> timedelta:
    """Twice as long after each attempt, five minutes at most."""
    return timedelta(seconds=min(2**job.attempts, MAX_DELAY_SECONDS))
