"""What whoever watches over the program wants to know in numbers; the same in every process."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text

from graphql_api.database.books import BooksCheckRow
from graphql_api.database.engine import Database
from graphql_api.services.books_watch import last_check

QUEUE = text("""
SELECT entrypoint, status::text AS status, count(*) AS jobs,
       greatest(extract(epoch FROM now() - min(execute_after)), 0)::float8 AS waited
FROM jobs.pgqueuer GROUP BY entrypoint, status ORDER BY entrypoint, status
""")
EVENTS = text("""
SELECT last, (SELECT count(*) FROM outbox) AS waiting,
       coalesce((SELECT extract(epoch FROM clock_timestamp() - min(recorded_at)) FROM outbox), 0)::float8 AS waited
FROM event_head WHERE id = 1
""")


@dataclass(frozen=True)
class QueuedJobs:
    """Jobs of one kind in one state; `waited` is how many seconds the first of them has been due."""

    job: str
    status: str
    count: int
    waited: float


@dataclass(frozen=True)
class EventNumbers:
    """The event log: the last number given, how many changes wait for one, and for how many seconds the oldest has."""

    last: int
    waiting: int
    waited: float


@dataclass(frozen=True)
class Metrics:
    """The numbers of one moment; `books` is None before the first check."""

    books: BooksCheckRow | None
    jobs: Sequence[QueuedJobs]
    events: EventNumbers


async def read_metrics(database: Database) -> Metrics:
    """The present numbers, from the database."""
    async with database.read() as session:
        books = await last_check(session)
        jobs = [QueuedJobs(*row) for row in await session.execute(QUEUE)]
        events = EventNumbers(*(await session.execute(EVENTS)).one())
    return Metrics(books, jobs, events)
