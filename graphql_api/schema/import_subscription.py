"""The progress of an import as clients listen to it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Annotated

import strawberry

from graphql_api.database.event import Topic
from graphql_api.events.catalogue import ImportProgressed
from graphql_api.schema.context import Context, Info
from graphql_api.schema.event_cursor import event_cursor
from graphql_api.schema.event_stream import LoggedFields, event_stream
from graphql_api.schema.import_job import Import
from graphql_api.schema.live import Opening
from graphql_api.schema.node import key_of
from graphql_api.schema.scalars import Cursor
from graphql_api.services.errors import NotFound
from graphql_api.services.event_filter import IMPORT_FACTS
from graphql_api.services.import_job import FINAL
from graphql_api.services.import_watch import ImportState, read_import_state

# The log lags by milliseconds; when it stands still there is nothing to wait for.
SETTLING_SECONDS = 2.0


@strawberry.type(description="How far an import is.")
class ImportEvent:
    """How far an import is."""

    cursor: Cursor = strawberry.field(description="The moment that this is known of.")
    import_: Import = strawberry.field(name="import", description="All of it, as it is now.")


async def _present(fact: ImportProgressed, logged: LoggedFields, context: Context) -> ImportEvent | None:
    row = await context.loaders.imports.load(fact.import_)
    return ImportEvent(cursor=logged["cursor"], import_=Import.from_row(row)) if row else None


async def _open(context: Context, key: int) -> Opening[ImportEvent]:
    """The present state, read at a place of the log behind which no end lies that is over and done with."""
    state = await _read(context, key)
    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLING_SECONDS):
            while state.has_old_end_ahead:
                await context.services.feed.newer_than(state.number)
                state = await _read(context, key)
    if state.row is None:
        raise _unknown()
    cursor = await event_cursor(context, state.number)
    value = ImportEvent(cursor=cursor, import_=Import.from_row(state.row))
    return Opening([value], state.number, is_last=state.row.status in FINAL)


async def _read(context: Context, key: int) -> ImportState:
    async with context.database.read() as session:
        return await read_import_state(session, key)


def _unknown() -> NotFound:
    return NotFound("There is no import of this id.", path=("id",))


@strawberry.type
class ImportSubscription:
    """Root field that tells of an import."""

    @strawberry.subscription(
        description=(
            "How far an import is: its present state at once, then each step, and at last how it ended, with which the "
            "subscription completes. Steps that follow each other quickly may show the same, latest state. Whoever "
            "takes a completed import back subscribes again. NOT_FOUND when there is none of this id. As in "
            '`subscription { importProgress(id: "SW1wb3J0OjE=") { import { status rowsRead progress { share } } } }`.'
        )
    )
    async def import_progress(
        self,
        info: Info,
        id: Annotated[  # noqa: A002 - the name of the GraphQL argument
            strawberry.ID, strawberry.argument(description="The id of the import.")
        ],
    ) -> AsyncGenerator[ImportEvent, None]:
        """How far an import is."""
        key = key_of(id, "Import")
        if await info.context.loaders.imports.load(key) is None:
            raise _unknown()
        return await event_stream(
            info.context,
            Topic.IMPORT,
            _present,
            where={"import": {"eq": key}},
            facts=IMPORT_FACTS,
            opening=lambda context: _open(context, key),
            is_last=lambda fact: fact.status in FINAL,
        )
