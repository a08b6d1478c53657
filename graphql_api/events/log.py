"""The event log as it is kept in the database: the truth about what has happened, and in which order."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.database.event import Topic
from graphql_api.events.catalogue import Event, read_fact
from graphql_api.events.cursor import CursorExpired

HEAD = text("SELECT log::text AS log, last, forgotten FROM event_head WHERE id = 1")
# Before the snapshot: a day that is dropped is gone for older snapshots too, and what was read would have a hole.
HOLD = text("LOCK TABLE ONLY event IN ACCESS SHARE MODE")
READ = text(
    "SELECT number, topic, recorded_at, payload::text AS payload FROM event "
    "WHERE number > :after AND number <= :until AND (CAST(:topics AS text[]) IS NULL OR topic = ANY(:topics)) "
    "ORDER BY number LIMIT :most"
)
MOST = 500
# How many numbers are looked through at most, however few of them are wanted.
SPAN = 5_000


@dataclass(frozen=True)
class Head:
    """How far a log goes: the last number given, and the last one forgotten. `log` names it."""

    log: str
    last: int
    forgotten: int


@dataclass(frozen=True)
class Passage:
    """Events in order, and the number up to which there are no others of the topics asked for.

    Read on from `until`; it may lie before the end of the log, even when there are no events.
    """

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
        """The events that follow number `after`, at most so many, among the next 5,000.

        Args:
            after: the number of the last event known.
            topics: what they are to be about; None takes all.
            most: how many.

        Raises:
            CursorExpired: some of what follows is no longer kept, or `after` is no number this log has given.
        """
        async with self.database.read() as session:
            await session.execute(HOLD)
            head = Head(**(await session.execute(HEAD)).mappings().one())
            if not head.forgotten <= after <= head.last:
                raise CursorExpired
            until = min(head.last, after + SPAN)
            wanted = None if topics is None else sorted(topics)
            values = {"after": after, "until": until, "topics": wanted, "most": most}
            rows = (await session.execute(READ, values)).all()
        events = [Event(row.number, row.topic, row.recorded_at, read_fact(row.topic, row.payload)) for row in rows]
        return Passage(events, events[-1].number if len(events) == most else until)
