"""A running fan-out, events at will, and outlets that can be made to wait."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.database.event import Topic
from graphql_api.database.user import Language, Role
from graphql_api.events.catalogue import Event
from graphql_api.events.feed import Feed
from graphql_api.events.log import EventLog, Head, Passage
from graphql_api.schema.context import Context, Origin, Services
from graphql_api.schema.event_cursor import event_cursor
from graphql_api.schema.root import ApiSchema
from graphql_api.services.policy import Viewer
from graphql_api.services.storage import FileStorage
from graphql_api.transport.fanout import Fanout, Subscriber
from graphql_api.transport.graphql_request import GraphQLRequest
from tests.client import create_services
from tests.transport.fanout_schema import COUNTS, FAULTS, create_schema

WRITE = text("""
INSERT INTO outbox (topic, key, part, payload)
SELECT CAST(:topic AS text), 1, position,
       jsonb_build_object('entry', head.last + position, 'notification', 1, 'user', 1)
FROM event_head AS head, generate_series(1, :count) AS position
""")
ZERO = text("""
INSERT INTO outbox (topic, key, payload)
VALUES ('NOTIFICATION', 1, jsonb_build_object('entry', 0, 'notification', 1, 'user', 1))
""")
PRODUCT = text("""
INSERT INTO product (id, sku, name) VALUES (1, 'A', :name) ON CONFLICT (id) DO UPDATE SET name = excluded.name
""")
NUMBER = text("SELECT count(*) FROM relay_outbox(:count)")
ADMIN = Viewer(1, Role.ADMIN, 1)
OTHER_ADMIN = Viewer(2, Role.ADMIN, 2)
STAFF = Viewer(3, Role.STAFF, 3)
SALESPERSON = Viewer(4, Role.SALESPERSON, 4)
CUSTOMER = Viewer(5, Role.CUSTOMER, 5)
OTHER_CUSTOMER = Viewer(6, Role.CUSTOMER, 6)
PATIENCE = 60.0


class StepFeed(Feed):
    """A feed that hears of events when told; the log behind it is a real one."""

    def __init__(self, database: Database, size: int = 10_000) -> None:
        self.log = EventLog(database)
        self.size = size
        self.present_era = 0
        self.events: list[Event] = []
        self._end = 0
        self._name = ""
        self._changed = asyncio.Event()

    @property
    def last(self) -> int:
        """The number of the newest event."""
        return self._end

    @property
    def era(self) -> int:
        """Grows when the log is another one."""
        return self.present_era

    async def head(self) -> Head:
        """How far the log goes."""
        return await self.log.head()

    async def log_name(self) -> str:
        """The log's name."""
        self._name = self._name or (await self.log.head()).log
        return self._name

    def since(self, after: int) -> Sequence[Event] | None:
        """The events behind `after`, None when some are not remembered."""
        missing = self._end - after
        if missing <= 0:
            return ()
        return self.events[-missing:] if missing <= len(self.events) else None

    async def newer_than(self, number: int) -> None:
        """Wait for something newer."""
        era = self.present_era
        while self._end <= number and self.present_era == era:
            await self._changed.wait()

    def start_over(self) -> None:
        """Turn out to be another log."""
        self.present_era += 1
        self.events = []
        self._changed.set()
        self._changed = asyncio.Event()

    async def advance(self) -> None:
        """Hear of everything in the log."""
        while (passage := await self.log.read(self._end)).until > self._end:
            self.hear(passage)

    def hear(self, passage: Passage) -> None:
        """Hear of what was read from the log, without waiting for anything."""
        self.events = [*self.events, *passage.events][-self.size :]
        self._end = passage.until
        self._changed.set()
        self._changed = asyncio.Event()


@dataclass(eq=False)
class FakeOutlet:
    """The way to a client that can be made to wait; keeps what it got."""

    is_ready: bool = True
    # after so many messages it is busy
    room: int | None = None
    texts: list[str] = field(default_factory=list)
    cursors: list[str | None] = field(default_factory=list)
    errors: list[Mapping[str, Any]] | None = None
    is_ended: bool = False
    on_next: Callable[[], None] = lambda: None

    def next(self, payload: str, cursor: str | None) -> None:
        """Take a message."""
        assert self.is_ready, "a message came while the outlet was not ready"
        assert not self.is_ended, "a message came after the end"
        self.texts.append(payload)
        self.cursors.append(cursor)
        if self.room is not None:
            self.room -= 1
            self.is_ready = self.room > 0
        self.on_next()

    def end(self, errors: Sequence[Mapping[str, Any]] | None) -> None:
        """Nothing follows."""
        assert not self.is_ended, "the end came twice"
        self.is_ended = True
        self.errors = list(errors) if errors else None

    @property
    def results(self) -> list[Any]:
        """What came, decoded."""
        return [json.loads(text) for text in self.texts]

    @property
    def numbers(self) -> list[int]:
        """The numbers of the events that came."""
        return [next(iter(result["data"].values()))["number"] for result in self.results]

    @property
    def codes(self) -> list[str]:
        """The codes of the errors at the end."""
        return [error["extensions"]["code"] for error in self.errors or ()]


@dataclass
class FanoutCase:
    """A fan-out on a real log."""

    database: Database
    services: Services
    feed: StepFeed
    schema: ApiSchema
    fanout: Fanout

    async def add(self, count: int = 1, topic: Topic = Topic.NOTIFICATION, *, is_heard: bool = True) -> int:
        """Write events; the number of the last one."""
        async with self.database.transaction() as session:
            await session.execute(WRITE, {"count": count, "topic": topic.value})
            await session.execute(NUMBER, {"count": count})
        if is_heard:
            await self.feed.advance()
        return (await self.feed.log.head()).last

    async def add_unreadable(self) -> None:
        """Write an event that this version of the program cannot read."""
        async with self.database.transaction() as session:
            await session.execute(text("INSERT INTO outbox (topic, key, payload) VALUES ('NOTIFICATION', 1, '{}')"))
            await session.execute(NUMBER, {"count": 1})
        await self.feed.advance()

    async def add_zero(self) -> None:
        """Write an event that adds nothing to the sum."""
        async with self.database.transaction() as session:
            await session.execute(ZERO)
            await session.execute(NUMBER, {"count": 1})
        await self.feed.advance()

    async def forget(self, number: int) -> None:
        """Keep nothing up to an event."""
        async with self.database.transaction() as session:
            await session.execute(text("UPDATE event_head SET forgotten = :number"), {"number": number})

    def context(self, viewer: Viewer | None = ADMIN, language: Language = Language.EN) -> Context:
        """The context of one operation."""
        return Context(self.services, Origin("test-request", language=language), viewer)

    async def subscribe(  # noqa: PLR0913 - what a request consists of
        self,
        document: str,
        outlet: FakeOutlet | None = None,
        *,
        viewer: Viewer | None = ADMIN,
        language: Language = Language.EN,
        last_id: str | None = None,
        operation: str | None = None,
        **variables: Any,
    ) -> tuple[Subscriber, FakeOutlet]:
        """Begin a subscription; `last_id` is the cursor that goes before the field's own argument."""
        outlet = outlet or FakeOutlet()
        request = GraphQLRequest(document, variables, operation)
        context = self.context(viewer, language)
        return await self.fanout.subscribe(request, context, outlet, after=last_id), outlet

    async def cursor(self, number: int) -> str:
        """The cursor behind an event."""
        return str(await event_cursor(self.context(), number))

    async def name_product(self, name: str, *, is_told: bool = False) -> None:
        """Give the product with key 1 a name; no event tells of it unless `is_told`."""
        async with self.database.transaction() as session:
            if not is_told:
                await session.execute(text("SET LOCAL session_replication_role = replica"))
            await session.execute(PRODUCT, {"name": name})
            await session.execute(NUMBER, {"count": 100})
        await self.feed.advance()

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return len(self.fanout._groups)  # noqa: SLF001 - nothing else tells whether something stays behind


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - a condition may be about anything
            await asyncio.sleep(0.001)


async def quiet() -> None:
    """Let everything that is about to happen happen."""
    for _ in range(3):
        await asyncio.sleep(0.02)


@asynccontextmanager
async def fanning_out(
    database: Database, folder: Path, *, schema: ApiSchema | None = None, size: int = 10_000
) -> AsyncIterator[FanoutCase]:
    """A running fan-out on a database; its feed remembers `size` events."""
    COUNTS.clear()
    FAULTS.clear()
    feed = StepFeed(database, size)
    services = replace(create_services(database, FileStorage(str(folder / "storage"))), feed=feed)
    schema = schema or create_schema()
    case = FanoutCase(database, services, feed, schema, Fanout(schema, services))
    await feed.advance()
    tasks = [asyncio.create_task(services.noticeboard.run()), asyncio.create_task(case.fanout.run())]
    try:
        await until(lambda: services.noticeboard.is_current)
        # from here on it has all the tasks that it has while nobody listens
        await until(case.fanout._dispatcher.is_ready.is_set)  # noqa: SLF001 - nothing else tells
        yield case
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
