"""An import and how far the event log has told of it, read together."""

from dataclasses import dataclass

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.event import EventHeadRow, OutboxRow, Topic
from graphql_api.database.import_job import ImportJobRow
from graphql_api.services.import_job import FINAL, import_by_id


@dataclass(frozen=True)
class ImportState:
    """An import right now.

    Args:
        number: the newest event that has a number.
        row: the import; None when there is none.
        has_old_end_ahead: whether an event without a number will tell that it has ended, though it was taken up
            again since.
    """

    number: int
    row: ImportJobRow | None
    has_old_end_ahead: bool


async def read_import_state(session: AsyncSession, import_id: int) -> ImportState:
    """The import and the log of one snapshot.

    Args:
        session: one snapshot.
        import_id: the key of the import.
    """
    number = (await session.execute(select(col(EventHeadRow.last)))).scalar_one()
    row = await import_by_id(session, import_id)
    if row is None or row.status in FINAL:
        return ImportState(number, row, has_old_end_ahead=False)
    ends = exists().where(
        col(OutboxRow.topic) == Topic.IMPORT,
        col(OutboxRow.key) == import_id,
        col(OutboxRow.payload)["status"].astext.in_(sorted(FINAL)),
    )
    return ImportState(number, row, has_old_end_ahead=bool(await session.scalar(select(ends))))
