"""The rows an import refused: listed, counted by reason, and as a file ready to be corrected."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.engine import Database
from graphql_api.database.import_job import ImportRejectRow
from graphql_api.imports.columns import REASON_HEADERS
from graphql_api.imports.rejects import RejectCode
from graphql_api.services.errors import NotFound
from graphql_api.services.filters import column_filter, escape_like
from graphql_api.services.import_job import import_by_id
from graphql_api.services.listing import Listing, Sort

# A refused row may be a mebibyte long, so few of them are held at once.
REJECT_PART = 100


def rejects_of(import_id: int) -> Listing[ImportRejectRow]:
    """The refused rows of one job as a list, in the order of the file."""
    record = col(ImportRejectRow.record)
    return Listing(
        statement=select(ImportRejectRow).where(col(ImportRejectRow.import_id) == import_id),
        key=record,
        fields={"code": column_filter(col(ImportRejectRow.code)), "column": column_filter(col(ImportRejectRow.column))},
        sorts={"RECORD": record},
        default=[Sort("RECORD")],
        search=lambda text: col(ImportRejectRow.value).ilike(f"%{escape_like(text)}%", escape="\\"),
    )


async def reject_counts_by_import(
    session: AsyncSession, import_ids: Sequence[int]
) -> list[list[tuple[RejectCode, int]]]:
    """For each job, in the order of the ids, the number of rejected rows by code, most frequent first."""
    number = func.count()
    statement = (
        select(col(ImportRejectRow.import_id), col(ImportRejectRow.code), number)
        .where(col(ImportRejectRow.import_id).in_(import_ids))
        .group_by(col(ImportRejectRow.import_id), col(ImportRejectRow.code))
        .order_by(number.desc(), col(ImportRejectRow.code))
    )
    counts: dict[int, list[tuple[RejectCode, int]]] = {import_id: [] for import_id in import_ids}
    for import_id, code, count in await session.execute(statement):
        counts[import_id].append((RejectCode[code], count))
    return [counts[import_id] for import_id in import_ids]


async def rejects_csv(database: Database, import_id: int) -> AsyncIterator[bytes]:
    """The refused rows as CSV, ready to be corrected and imported again: the original columns, then the reasons.

    Raises:
        NotFound: there is no such import.
    """
    async with database.read() as session:
        job = await import_by_id(session, import_id)
        if job is None:
            raise NotFound("There is no import of this id.", path=("id",))
        header = job.header or []
    return _reject_rows(database, import_id, header)


async def _reject_rows(database: Database, import_id: int, header: list[str]) -> AsyncIterator[bytes]:
    shape = _Shape(header)
    yield _csv([[*shape.header, *REASON_HEADERS]])
    statement = (
        select(ImportRejectRow)
        .where(col(ImportRejectRow.import_id) == import_id)
        .order_by(col(ImportRejectRow.record))
        .execution_options(yield_per=REJECT_PART)
    )
    async with database.read() as session:
        async for rejects in (await session.stream_scalars(statement)).partitions():
            yield _csv(shape.row(reject) for reject in rejects)
            session.expunge_all()


class _Shape:
    """The columns of a file of rejects: those of the imported file, less the reasons of an earlier import."""

    def __init__(self, header: list[str]) -> None:
        self._width = len(header)
        self._kept = [position for position, name in enumerate(header) if name not in REASON_HEADERS]
        self.header = [header[position] for position in self._kept]

    def row(self, reject: ImportRejectRow) -> list[Any]:
        """The original cells padded to the header, the reasons, and cells for which there was no column."""
        padded = reject.fields + [""] * (self._width - len(reject.fields))
        reasons = [reject.line, reject.column or "", reject.code, reject.value or "", reject.hint]
        return [*(padded[position] for position in self._kept), *reasons, *reject.fields[self._width :]]


def _csv(rows: Iterable[list[Any]]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue().encode()
