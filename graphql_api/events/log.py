"""The event log as it is kept in the database: the truth about what has happened, and in which order."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.database.event import Topic
from graphql_api.events.catalogue import Event, read_fact
from graphql_api.events.cursor import CursorExpired

HEAD = text("SELECT log::text AS log, last, forgotten FROM event_head")
READ = text(
    "SELECT number, topic, recorded_at, payload::text AS payload FROM event "
    "WHERE number > :after AND number <= :last AND (CAST(:topics AS text[]) IS NULL OR topic = ANY(:topics)) "
    "ORDER BY number LIMIT :most"
)
MOST = 500


@dataclass(frozen=True)
class Head:
    """How far a log goes: the last number given, and the last one forgotten. `log` names it."""

    log: str
    last: int
    forgotten: int


@dataclass(frozen=True)
class Passage:
    """Events in order, and the number up to which there are no others of the topics asked for."""

    events: Sequence[Event]
    until: int


class EventLog:
    """Reads the log.

    Args:
        database: where it is kept.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    async def head(self) -> Head:
        """How far the log goes at this moment."""
        async with self.database.read() as session:
            return Head(**(await session.execute(HEAD)).mappings().one())

    async def read(self, after: int, *, topics: Collection[Topic] | None = None, most: int = MOST) -> Passage:
        """The events that follow number `after`, at most so many.

        Args:
            after: the number of the last event known.
            topics: what they are to be about; None takes all.
            most: how many.

        Raises:
            CursorExpired: some of what follows is no longer kept, or `after` is no number this log has given.
        """
        wanted = None if topics is None else sorted(topics)
        async with self.database.read() as session:
            head = Head(**(await session.execute(HEAD)).mappings().one())
            if not head.forgotten <= after <= head.last:
                raise CursorExpired
            values = {"after": after, "last": head.last, "topics": wanted, "most": most}
            rows = (await session.execute(READ, values)).all()
        events = [Event(row.number, row.topic, row.recorded_at, read_fact(row.topic, row.payload)) for row in rows]
        return Passage(events, events[-1].number if len(events) == most else head.last)
